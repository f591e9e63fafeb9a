/* Plain C: what any machine runs, and what the other sets are compared with. */
#include "lanes_scalar.h"
#define ROW_TILE 4
#define VALUE_ROWS 2
#define VALUE_COLUMNS 1
#define ROW_MAJOR 0
#include "isa_body.h"

static void panel_int8(const int8_t *x, const float *scale, const int32_t *offset, int64_t rows, int64_t inner,
                       const uint8_t *w, const float *output_scale, float *out, int64_t stride, const void *ahead) {
    (void)ahead;
    for (int64_t r = 0; r < rows; r++)
        for (int lane = 0; lane < 16; lane++) {
            float sum = 0.0f;
            for (int64_t g = 0; g < inner / GROUP; g++) {
                int32_t part = offset[g * rows + r];
                for (int64_t k = g * GROUP; k < (g + 1) * GROUP; k++)
                    part += w[k / 4 * 64 + lane * 4 + k % 4] * x[(k / 4 * rows + r) * 4 + k % 4];
                sum = fmaf((float)part, scale[g * rows + r], sum);
            }
            out[r * stride + lane] = sum * output_scale[lane];
        }
}

KERNELS(native_scalar, "scalar");
