/* Arm NEON with dot products: four int8 products and their sum a lane and instruction. */
#include "lanes_neon.h"
#define ROW_TILE 3
#define VALUE_ROWS 3
#define VALUE_COLUMNS 2
#define ROW_MAJOR 0
#include "isa_body.h"

/* The weights' offset of 128 is taken off by flipping their top bit, so the activations' offset is not needed. */
#define INT8_TILE(NAME, R)                                                                                   \
    static void NAME##_##R(const int8_t *x, const float *scale, int64_t groups, const uint8_t *w,            \
                           vf output_scale, float *out, int64_t stride) {                                    \
        vf sum[R];                                                                                           \
        UNROLL for (int r = 0; r < R; r++) sum[r] = v_set(0.0f);                                             \
        for (int64_t g = 0; g < groups; g++, x += GROUP * R, w += GROUP * 16, scale += R) {                  \
            int32x4_t part[R][4];                                                                            \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int i = 0; i < 4; i++) part[r][i] = vdupq_n_s32(0); \
            UNROLL for (int k = 0; k < GROUP / 4; k++) {                                                     \
                int8x16_t weights[4];                                                                        \
                UNROLL for (int i = 0; i < 4; i++) weights[i] =                                              \
                    vreinterpretq_s8_u8(veorq_u8(vld1q_u8(w + 64 * k + 16 * i), vdupq_n_u8(128)));           \
                UNROLL for (int r = 0; r < R; r++) {                                                         \
                    int32_t bytes;                                                                           \
                    memcpy(&bytes, x + (k * R + r) * 4, 4);                                                  \
                    int8x16_t broad = vreinterpretq_s8_s32(vdupq_n_s32(bytes));                              \
                    UNROLL for (int i = 0; i < 4; i++) part[r][i] = vdotq_s32(part[r][i], weights[i], broad); \
                }                                                                                            \
            }                                                                                                \
            UNROLL for (int r = 0; r < R; r++) {                                                             \
                vf whole;                                                                                    \
                UNROLL for (int i = 0; i < 4; i++) whole.q[i] = vcvtq_f32_s32(part[r][i]);                   \
                sum[r] = v_fma(whole, v_set(scale[r]), sum[r]);                                              \
            }                                                                                                \
        }                                                                                                    \
        UNROLL for (int r = 0; r < R; r++) v_store(out + r * stride, v_mul(sum[r], output_scale));           \
    }

EACH_ROW_TILE(INT8_TILE, tile_int8)

static void panel_int8(const int8_t *x, const float *scale, const int32_t *offset, int64_t rows, int64_t inner,
                       const uint8_t *w, const float *output_scale, float *out, int64_t stride, const void *ahead) {
    static void (*const tiles[])(const int8_t *, const float *, int64_t, const uint8_t *, vf, float *, int64_t) = {
        EACH_ROW_TILE(NAMED, tile_int8)};
    (void)offset, (void)ahead;
    tiles[rows - 1](x, scale, inner / GROUP, w, v_load(output_scale), out, stride);
}

KERNELS(native_neon, "neon");
