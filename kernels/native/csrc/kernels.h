/* One table of functions for each instruction set; all tables give the same bits.
 *
 * A "tile" is up to row_tile rows of activations side by side: element k of row r stands at [k * R + r] (float32), or
 * the four int8 of step k at [(k * R + r) * 4]; its scales and offsets at [g * R + r]. Sets with row_major != 0 keep
 * each row's bytes together instead. A "panel" is 16 outputs: float32 and bfloat16 [k][16], int8 [k / 4][16][4]. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stdint.h>

#define MAX_ROW_TILE 16
#define MAX_QUERY_TILE 16

/* Queries of one key-value head of one segment, up to query_tile of them, and what each may see. Positions are
 * logical: from first to straight they lie in the slots of the same number, from straight to last in stray[0..]. */
typedef struct QueryTile {
    int32_t queries, dim, key_value_dtype;
    float softcap;
    const float *query; /* [dim][queries], scaled */
    const void *keys;   /* [slot / 16][dim][16]; int8: see attention_int8.h */
    const void *values; /* [slot][dim] */
    const int8_t *query_bytes; /* the queries as a tile of int8 activations, for int8 keys */
    const float *query_scale;
    const int32_t *query_offset;
    int64_t first[MAX_QUERY_TILE], straight[MAX_QUERY_TILE], last[MAX_QUERY_TILE];
    const int32_t *stray[MAX_QUERY_TILE];
    int64_t fresh_from, fresh_to; /* slots that strays lie in */
} QueryTile;

typedef struct Kernels {
    const char *name;
    int32_t row_tile, query_tile, row_major;
    /* Rows as int8, with a scale and an offset (-128 times the sum) for every GROUP. Row r's bytes start at q + r * q_row,
     * four of them every `step`; its scales and offsets at scale + r and offset + r, one every group_step. Unless norm is
     * NULL, x[r][i] * norm[r] * weight[i] is what is quantised. */
    void (*quantise)(const float *const *x, int64_t rows, const float *norm, const float *weight, int64_t count, int8_t *q,
                     int64_t q_row, int64_t step, float *scale, int32_t *offset, int64_t group_step);
    /* One panel times one tile: out[r * stride + 0..15]. `ahead` is a panel of the same size that will be wanted soon,
     * or NULL: where it pays, it is fetched on the way. */
    void (*panel_int8)(const int8_t *x, const float *scale, const int32_t *offset, int64_t rows, int64_t inner,
                       const uint8_t *w, const float *output_scale, float *out, int64_t stride, const void *ahead);
    void (*panel_float32)(const float *x, int64_t rows, int64_t inner, const float *w, float *out, int64_t stride);
    void (*panel_bfloat16)(const float *x, int64_t rows, int64_t inner, const uint16_t *w, float *out, int64_t stride);
    void (*norm)(const float *x, const float *weight, float eps, int64_t count, float *y);
    void (*norms)(const float *const *x, int64_t rows, float eps, int64_t count, float *norm); /* norm's factor a row */
    void (*gated)(int32_t activation, const float *gate, const float *up, int64_t count, float *y);
    /* Sixteen columns of `rows` rows: x += scale * y, the strides in floats. */
    void (*add_scaled)(float *x, int64_t x_stride, const float *y, int64_t y_stride, float scale, int64_t rows);
    void (*scale_cap)(float *x, float scale, float cap, int64_t count);       /* x = cap * tanh(scale * x / cap) */
    void (*rotate)(float *head, const float *cosine, const float *sine, int64_t half);
    /* One block of BLOCK positions: for each query o[dim], maximum, sum at out[q * out_stride]; work holds
     * queries * (BLOCK + fresh slots rounded out to 16s) floats. */
    void (*attend)(const QueryTile *tile, int64_t block, float *work, float *out, int64_t out_stride);
    void (*fold)(float *state, const float *part, int64_t dim); /* state: o[dim], maximum, sum */
    void (*finish)(const float *state, int64_t dim, float *out);
    void (*store)(const float *x, int64_t dim, void *keys, void *values, int64_t slot, int32_t dtype);
    /* Over one row of logits; see choices.h. */
    int64_t (*top)(const float *x, int64_t count, int64_t wanted, int32_t *ids, float *values);
    int64_t (*above)(const float *x, int64_t count, float bound, int32_t *ids);
    float (*exp_sum)(const float *x, int64_t count, float scale, float shift, float *e);
    float (*log)(float x);
    float (*exp)(float x);
    int64_t (*rank)(const float *x, int64_t count, int64_t id);
    void (*noise)(const int32_t *ids, int64_t first, int64_t count, uint32_t stream, uint32_t step, float *noise);
    int64_t (*pick)(const float *x, int64_t count, float threshold, float temperature, uint32_t stream, uint32_t step,
                    float *gap);
} Kernels;

extern const Kernels native_scalar;
extern const Kernels native_avx2;
extern const Kernels native_avx512;
extern const Kernels native_amx;
extern const Kernels native_neon;

int native_selftest(const Kernels *kernels, const Kernels *reference);

#endif
