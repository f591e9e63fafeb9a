/* A model that can run: a packed image, the kernels chosen for it, its pool, its rotary tables and its buffers. */
#ifndef MODEL_H
#define MODEL_H

#include "image.h"
#include "kernels.h"
#include "pool.h"

/* Memory that grows and is kept from call to call. */
typedef struct Buffer {
    void *memory;
    int64_t size;
} Buffer;

void noise_streams(uint32_t seed, int64_t position, uint32_t *stream, uint32_t *step); /* pick.c */
int rule_fits(const Rule *rule);

void *buffer_room(Buffer *buffer, int64_t size); /* at least size bytes, 64-byte aligned, contents lost; NULL: none */

/* Rows of activations, side by side in tiles as the kernels read them. */
typedef struct Act {
    int64_t inner;
    int8_t *q;
    float *scale;
    int32_t *offset;
    float *x; /* instead of the three above in the float formats */
} Act;

typedef struct Tile {
    int64_t row, rows;
} Tile;

int64_t act_bytes(int32_t format, int64_t rows, int64_t inner);
Act act_at(int32_t format, int64_t rows, int64_t inner, void *memory);

struct Cache {
    const Model *model;
    int64_t capacity, slots; /* as asked for; rounded up to a multiple of BLOCK */
    void *memory;
    int64_t size;
    uint64_t stamp; /* the last forward it took part in */
};

enum { ROW_BLOCK_TILES = 4, FEW_ROWS = 16, BUFFERS = 24 };

struct Model {
    Image image;
    const Kernels *kernels;
    Pool *pool;
    float *cosine[MAX_ROTARIES], *sine[MAX_ROTARIES]; /* [positions][rotary_dims / 2] */
    int64_t positions;
    uint64_t stamp;
    Buffer buffers[BUFFERS];
};

void *cache_keys(const Cache *cache, int64_t layer, int64_t head);
void *cache_values(const Cache *cache, int64_t layer, int64_t head);
int model_positions(Model *model, int64_t positions); /* rotary tables for positions below */

/* Columns from..from+count-1 of a tile's rows i..i+rows-1; unless norm is NULL, x[r][c] * norm[r] * weight[c]. */
void act_put_rows(const Model *model, const Act *act, Tile tile, int64_t i, int64_t rows, const float *const *x,
                  const float *norm, const float *weight, int64_t from, int64_t count);
/* A panel of a linear layer for a tile: out[r * stride + 0..15], without bias. */
void linear_tile(const Model *model, const Linear *linear, int64_t panel, const Act *act, Tile tile, float *out,
                 int64_t stride);
/* The same while fetching the panel `ahead` (or NULL), which is of the same size. */
void linear_tile_ahead(const Model *model, const Linear *linear, int64_t panel, const Act *act, Tile tile, float *out,
                       int64_t stride, const void *ahead);
const void *linear_panel(const Model *model, const Linear *linear, int64_t panel); /* where it lies */
void add_bias(const float *bias, float *out, int64_t stride, int64_t rows); /* 16 columns; bias may be NULL */

/* Rows dealt to tiles as evenly as they go; tiles has room for rows. Returns how many. */
int64_t deal_tiles(int64_t rows, int64_t row_tile, Tile *tiles);

#endif
