/* One panel of 16 outputs times a tile of rows in float32: each output one lane, k rising, one fused step each. */

#define FLOAT_TILE(NAME, WEIGHT, LOAD, R)                                                                \
    static void NAME##_##R(const float *x, int64_t inner, const WEIGHT *w, float *out, int64_t stride) { \
        vf sum[R];                                                                                       \
        UNROLL for (int r = 0; r < R; r++) sum[r] = v_set(0.0f);                                         \
        for (int64_t k = 0; k < inner; k++, x += R, w += 16) {                                           \
            vf column = LOAD(w);                                                                         \
            UNROLL for (int r = 0; r < R; r++) sum[r] = v_fma(v_set(x[r]), column, sum[r]);              \
        }                                                                                                \
        UNROLL for (int r = 0; r < R; r++) v_store(out + r * stride, sum[r]);                            \
    }

EACH_ROW_TILE(FLOAT_TILE, tile_float32, float, v_load)
EACH_ROW_TILE(FLOAT_TILE, tile_bfloat16, uint16_t, v_load_bf16)

static void panel_float32(const float *x, int64_t rows, int64_t inner, const float *w, float *out, int64_t stride) {
    static void (*const tiles[])(const float *, int64_t, const float *, float *, int64_t) = {
        EACH_ROW_TILE(NAMED, tile_float32)};
    tiles[rows - 1](x, inner, w, out, stride);
}

static void panel_bfloat16(const float *x, int64_t rows, int64_t inner, const uint16_t *w, float *out, int64_t stride) {
    static void (*const tiles[])(const float *, int64_t, const uint16_t *, float *, int64_t) = {
        EACH_ROW_TILE(NAMED, tile_bfloat16)};
    tiles[rows - 1](x, inner, w, out, stride);
}
