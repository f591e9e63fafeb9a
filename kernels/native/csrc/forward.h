/* One forward while it runs: its plan, the buffers all threads share, and each thread's own. */
#ifndef FORWARD_H
#define FORWARD_H

#include "plan.h"

typedef struct Scratch { /* one thread's */
    Act act;             /* a prepared input of few rows, in act_memory */
    void *act_memory;
    float *line;         /* one row of the widest kind */
    float *out;          /* [ROW_BLOCK_TILES * row_tile][MAX_HEAD_DIM] */
    float *query;        /* a unit's queries, tile by tile [dim][queries] */
    float *state;        /* [UNIT queries][part] */
    float *part;         /* [query tile][part] */
    float *scores;
    QueryTile *tiles; /* a unit's */
} Scratch;

typedef struct Run {
    Model *model;
    Plan plan;
    int shared;     /* inputs are prepared once, in a phase of their own */
    int whole;      /* attention's result is quantised only when all heads are there: groups span heads */
    int64_t blocks; /* of ROW_BLOCK_TILES tiles */
    const int32_t *tokens, *tap_layers;
    int64_t tap_count;
    float *taps, *hidden;
    float *x;     /* [rows][H], the residual stream */
    float *query; /* [rows][heads * dim] */
    float *wide;  /* [rows][qkv outputs] before a norm over the row, later attention's result */
    float *after; /* [rows][H], a sub-block's result before the norm after it */
    Act input, mixed, middle; /* normed x; attention's result; gated */
    float *parts;
    atomic_int *counters;
    Scratch *scratch;
} Run;

/* Tiles of row block b, and its rows. */
static inline int64_t block_tiles(const Run *run, int64_t b, const Tile **tiles, Tile *span) {
    const int64_t from = b * ROW_BLOCK_TILES, left = run->plan.tile_count - from;
    const int64_t count = left < ROW_BLOCK_TILES ? left : ROW_BLOCK_TILES;
    *tiles = run->plan.tiles + from;
    *span = (Tile){run->plan.tiles[from].row, 0};
    for (int64_t t = 0; t < count; t++) span->rows += run->plan.tiles[from + t].rows;
    return count;
}

int64_t unit_queries(const Model *model);
int run_buffers(Run *run);                                              /* buffers.c */
void attention_phase(Run *run, Worker *worker, int64_t layer);          /* attend.c */
void query_key_value_phase(Run *run, Worker *worker, int64_t layer);    /* projections.c, and the next three */
void out_phase(Run *run, Worker *worker, int64_t layer);
void gate_up_phase(Run *run, Worker *worker, int64_t layer);
void down_phase(Run *run, Worker *worker, int64_t layer);
/* All rows of x (normed by weight unless that is NULL) as an input in `to`. */
void prepare_all(const Run *run, Worker *worker, const float *x, int64_t width, const float *weight, const Act *to);

#endif
