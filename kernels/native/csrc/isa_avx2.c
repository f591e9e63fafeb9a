/* AVX2 with FMA. Without VNNI an int8 product goes through 16 bits: |x| times the weight with x's sign, two of them
 * added, is at most 2 * 127 * 127 < 32767, since neither is ever -128. */
#include "lanes_avx2.h"
#define ROW_TILE 3
#define VALUE_ROWS 3
#define VALUE_COLUMNS 2
#define ROW_MAJOR 0
#include "isa_body.h"

static inline __m256i four_products(__m256i sum, __m256i weights, __m256i x, __m256i size) {
    __m256i pairs = _mm256_maddubs_epi16(size, _mm256_sign_epi8(weights, x));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* The weights' offset of 128 is taken off by flipping their top bit, so the activations' offset is not needed. */
#define INT8_TILE(NAME, R)                                                                                  \
    static void NAME##_##R(const int8_t *x, const float *scale, int64_t groups, const uint8_t *w,           \
                           vf output_scale, float *out, int64_t stride) {                                   \
        const __m256i top = _mm256_set1_epi8(-128);                                                         \
        vf sum[R];                                                                                          \
        UNROLL for (int r = 0; r < R; r++) sum[r] = v_set(0.0f);                                            \
        for (int64_t g = 0; g < groups; g++, x += GROUP * R, w += GROUP * 16, scale += R) {                 \
            __m256i lo[R], hi[R];                                                                           \
            UNROLL for (int r = 0; r < R; r++) lo[r] = hi[r] = _mm256_setzero_si256();                      \
            UNROLL for (int k = 0; k < GROUP / 4; k++) {                                                    \
                __m256i a = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(w + 64 * k)), top);       \
                __m256i b = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(w + 64 * k + 32)), top);  \
                UNROLL for (int r = 0; r < R; r++) {                                                        \
                    int32_t bytes;                                                                          \
                    memcpy(&bytes, x + (k * R + r) * 4, 4);                                                 \
                    __m256i broad = _mm256_set1_epi32(bytes), size = _mm256_abs_epi8(broad);                \
                    lo[r] = four_products(lo[r], a, broad, size);                                           \
                    hi[r] = four_products(hi[r], b, broad, size);                                           \
                }                                                                                           \
            }                                                                                               \
            UNROLL for (int r = 0; r < R; r++) {                                                            \
                vf part = {_mm256_cvtepi32_ps(lo[r]), _mm256_cvtepi32_ps(hi[r])};                           \
                sum[r] = v_fma(part, v_set(scale[r]), sum[r]);                                              \
            }                                                                                               \
        }                                                                                                   \
        UNROLL for (int r = 0; r < R; r++) v_store(out + r * stride, v_mul(sum[r], output_scale));          \
    }

EACH_ROW_TILE(INT8_TILE, tile_int8)

static void panel_int8(const int8_t *x, const float *scale, const int32_t *offset, int64_t rows, int64_t inner,
                       const uint8_t *w, const float *output_scale, float *out, int64_t stride, const void *ahead) {
    static void (*const tiles[])(const int8_t *, const float *, int64_t, const uint8_t *, vf, float *, int64_t) = {
        EACH_ROW_TILE(NAMED, tile_int8)};
    (void)offset, (void)ahead;
    tiles[rows - 1](x, scale, inner / GROUP, w, v_load(output_scale), out, stride);
}

KERNELS(native_avx2, "avx2");
