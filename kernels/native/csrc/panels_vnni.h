/* The int8 panel with VNNI: weights unsigned (offset 128) from the panel, activations signed and broadcast. Each
 * group's integer sum starts at -128 times the activations' sum, so the offset is gone exactly. A line of the panel
 * ahead is fetched into the second-level cache for each line read: the products of a few rows then hide the memory. */

#define INT8_TILE(NAME, R)                                                                                        \
    static void NAME##_##R(const int8_t *x, const float *scale, const int32_t *offset, int64_t groups,            \
                           const uint8_t *w, __m512 output_scale, float *out, int64_t stride, const char *ahead,  \
                           int64_t line) {                                                                        \
        __m512 sum[R];                                                                                            \
        UNROLL for (int r = 0; r < R; r++) sum[r] = _mm512_setzero_ps();                                          \
        for (int64_t g = 0; g < groups; g++, x += GROUP * R, w += GROUP * 16, scale += R, offset += R) {          \
            __m512i part[R];                                                                                      \
            UNROLL for (int r = 0; r < R; r++) part[r] = _mm512_set1_epi32(offset[r]);                            \
            UNROLL for (int k = 0; k < GROUP / 4; k++, ahead += line) {                                           \
                __m512i weights = _mm512_loadu_si512(w + 64 * k);                                                 \
                _mm_prefetch(ahead, _MM_HINT_T1);                                                                 \
                UNROLL for (int r = 0; r < R; r++) part[r] = _mm512_dpbusd_epi32(                                 \
                    part[r], weights, _mm512_set1_epi32(four(x + (k * R + r) * 4)));                              \
            }                                                                                                     \
            UNROLL for (int r = 0; r < R; r++) sum[r] =                                                           \
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(part[r]), _mm512_set1_ps(scale[r]), sum[r]);                   \
        }                                                                                                         \
        UNROLL for (int r = 0; r < R; r++) _mm512_storeu_ps(out + r * stride, _mm512_mul_ps(sum[r], output_scale)); \
    }

static inline int32_t four(const int8_t *p) {
    int32_t bytes;
    memcpy(&bytes, p, 4);
    return bytes;
}

EACH_ROW_TILE(INT8_TILE, tile_int8)

/* Up to three rows are as fast as the memory, which the processor then fetches ahead better by itself. */
static void panel_int8(const int8_t *x, const float *scale, const int32_t *offset, int64_t rows, int64_t inner,
                       const uint8_t *w, const float *output_scale, float *out, int64_t stride, const void *ahead) {
    static void (*const tiles[])(const int8_t *, const float *, const int32_t *, int64_t, const uint8_t *, __m512,
                                 float *, int64_t, const char *, int64_t) = {EACH_ROW_TILE(NAMED, tile_int8)};
    const int told = ahead && rows > 3;
    tiles[rows - 1](x, scale, offset, inner / GROUP, w, _mm512_loadu_ps(output_scale), out, stride,
                    told ? ahead : w, told ? 64 : 0);
}
