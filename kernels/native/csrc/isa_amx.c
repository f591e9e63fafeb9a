/* AMX int8: one tile instruction multiplies up to 16 rows of activations, one group deep, with a panel's group.
 *
 * A group is 32 deep, half of what a tile holds: its weights [8][16][4] are loaded as they lie, its activations as
 * rows of 32 bytes, so activations are kept row by row. Sums leave the tile for AVX-512, which takes off the weights'
 * offset, scales and adds as the other sets do. Everything else is the AVX-512 set's.
 *
 * With NATIVE_AMX_EMULATED the tile instructions are functions over memory: the logic runs where no AMX is. */
#include "lanes_avx512.h"
#define ROW_TILE 16
#define VALUE_ROWS 6
#define VALUE_COLUMNS 4
#define ROW_MAJOR 1
#include "isa_body.h"

/* Tile registers, which the instructions want as literal numbers: two groups are under way at a time. */
#define SUM_A 0
#define SUM_B 1
#define X_A 2
#define X_B 3
#define W_A 4
#define W_B 5

typedef struct __attribute__((packed)) TileConfig {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} TileConfig;

#ifdef NATIVE_AMX_EMULATED
static _Thread_local struct {
    TileConfig config;
    uint8_t bytes[8][16][64];
} tiles;

static void tile_configure(const TileConfig *config) { tiles.config = *config; }

static void tile_load(int tile, const void *from, int64_t stride) {
    memset(tiles.bytes[tile], 0, sizeof tiles.bytes[tile]);
    for (int r = 0; r < tiles.config.rows[tile]; r++)
        memcpy(tiles.bytes[tile][r], (const char *)from + r * stride, tiles.config.row_bytes[tile]);
}

static void tile_store(int tile, void *to, int64_t stride) {
    for (int r = 0; r < tiles.config.rows[tile]; r++)
        memcpy((char *)to + r * stride, tiles.bytes[tile][r], tiles.config.row_bytes[tile]);
}

static void tile_zero(int tile) { memset(tiles.bytes[tile], 0, sizeof tiles.bytes[tile]); }

/* Signed times unsigned, as TDPBSUD: sum[m][n] += x[m][4 k + i] * w[k][4 n + i]. */
static void tile_multiply(int sum, int x, int w) {
    for (int m = 0; m < tiles.config.rows[sum]; m++)
        for (int n = 0; n < tiles.config.row_bytes[sum] / 4; n++) {
            int32_t total;
            memcpy(&total, &tiles.bytes[sum][m][4 * n], 4);
            for (int k = 0; k < tiles.config.row_bytes[x]; k++)
                total += (int8_t)tiles.bytes[x][m][k] * tiles.bytes[w][k / 4][4 * n + k % 4];
            memcpy(&tiles.bytes[sum][m][4 * n], &total, 4);
        }
}

static void tile_release(void) {}
#else
#define tile_configure(config) _tile_loadconfig(config)
#define tile_load(tile, from, stride) _tile_loadd(tile, from, stride)
#define tile_store(tile, to, stride) _tile_stored(tile, to, stride)
#define tile_zero(tile) _tile_zero(tile)
#define tile_multiply(sum, x, w) _tile_dpbsud(sum, x, w)
#define tile_release() _tile_release()
#endif

static TileConfig shapes(int64_t rows) {
    TileConfig config = {.palette = 1};
    for (int pair = 0; pair < 2; pair++) {
        config.rows[SUM_A + pair] = config.rows[X_A + pair] = (uint8_t)rows;
        config.row_bytes[SUM_A + pair] = config.row_bytes[W_A + pair] = 64;
        config.row_bytes[X_A + pair] = GROUP;
        config.rows[W_A + pair] = GROUP / 4;
    }
    return config;
}

/* One group's integer sums [rows][16] in `part`. */
#define GROUP_SUMS(SUM, X, W, x, w, inner, part) \
    tile_zero(SUM);                              \
    tile_load(X, x, inner);                      \
    tile_load(W, w, 64);                         \
    tile_multiply(SUM, X, W);                    \
    tile_store(SUM, part, 64)

static inline void add_group(__m512 *sum, const int32_t *part, const float *scale, const int32_t *offset, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        __m512i whole = _mm512_add_epi32(_mm512_load_si512(part + 16 * r), _mm512_set1_epi32(offset[r]));
        sum[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_set1_ps(scale[r]), sum[r]);
    }
}

static void panel_int8(const int8_t *x, const float *scale, const int32_t *offset, int64_t rows, int64_t inner,
                       const uint8_t *w, const float *output_scale, float *out, int64_t stride, const void *ahead) {
    const TileConfig config = shapes(rows);
    const int64_t groups = inner / GROUP;
    _Alignas(64) int32_t part[2][ROW_TILE * 16];
    __m512 sum[ROW_TILE];
    tile_configure(&config);
    for (int64_t r = 0; r < rows; r++) sum[r] = _mm512_setzero_ps();
    for (int64_t g = 0; g < groups; g += 2) {
        for (int64_t i = 0; ahead && i < 1024; i += 64) _mm_prefetch((const char *)ahead + g * GROUP * 16 + i, _MM_HINT_T1);
        GROUP_SUMS(SUM_A, X_A, W_A, x + g * GROUP, w + g * GROUP * 16, inner, part[0]);
        if (g + 1 < groups) {
            GROUP_SUMS(SUM_B, X_B, W_B, x + (g + 1) * GROUP, w + (g + 1) * GROUP * 16, inner, part[1]);
        }
        add_group(sum, part[0], scale + g * rows, offset + g * rows, rows);
        if (g + 1 < groups) add_group(sum, part[1], scale + (g + 1) * rows, offset + (g + 1) * rows, rows);
    }
    tile_release();
    for (int64_t r = 0; r < rows; r++)
        _mm512_storeu_ps(out + r * stride, _mm512_mul_ps(sum[r], _mm512_loadu_ps(output_scale)));
}

KERNELS(native_amx, "amx");
