/* The memory of a forward: grown when a larger one comes, kept between calls. */
#include <stddef.h>

#include "forward.h"

enum { SHARED_BUFFER = 13, PART_BUFFER, SCRATCH_BUFFER }; /* after the plan's */

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static void *take(char **at, int64_t bytes) {
    void *start = *at;
    *at += (bytes + 63) & ~(int64_t)63;
    return start;
}

int64_t unit_queries(const Model *model) {
    return unit_rows(model) * (model->image.spec->heads / model->image.spec->key_value_heads);
}

/* One thread's scratch; at starts from NULL to measure. */
static Scratch scratch_at(const Run *run, char **at) {
    const Model *m = run->model;
    const Spec *s = m->image.spec;
    const int64_t tile = m->kernels->row_tile, heads = (int64_t)s->heads * s->head_dim;
    const int64_t widest = larger(s->hidden, heads);
    Scratch own;
    own.act = (Act){0};
    own.act_memory = take(at, act_bytes(s->format, FEW_ROWS, larger(s->hidden, heads)));
    own.line = take(at, widest * 4);
    own.out = take(at, ROW_BLOCK_TILES * tile * MAX_HEAD_DIM * 4);
    own.query = take(at, unit_queries(m) * s->head_dim * 4);
    own.state = take(at, unit_queries(m) * part_floats(m) * 4);
    own.part = take(at, m->kernels->query_tile * part_floats(m) * 4);
    own.scores = take(at, m->kernels->query_tile * (BLOCK + run->plan.rows + 32) * 4);
    own.tiles = take(at, (unit_queries(m) / m->kernels->query_tile + 1) * (int64_t)sizeof(QueryTile));
    return own;
}

static int run_scratch(Run *run) {
    const int threads = native_pool_threads(run->model->pool);
    char *at = NULL;
    scratch_at(run, &at);
    const int64_t each = (int64_t)(intptr_t)at + 128, table = threads * (int64_t)sizeof(Scratch) + 64;
    char *memory = buffer_room(&run->model->buffers[SCRATCH_BUFFER], table + each * threads);
    if (!memory) return NATIVE_NO_MEMORY;
    run->scratch = (Scratch *)memory;
    for (int t = 0; t < threads; t++) {
        at = memory + ((table + 63) & ~(int64_t)63) + t * (each & ~(int64_t)63);
        run->scratch[t] = scratch_at(run, &at);
    }
    return NATIVE_OK;
}

int run_buffers(Run *run) {
    Model *m = run->model;
    const Spec *s = m->image.spec;
    const int64_t rows = run->plan.rows, heads = (int64_t)s->heads * s->head_dim;
    const int64_t wide = heads + 2 * (int64_t)s->key_value_heads * s->head_dim;
    const int64_t sizes[] = {rows * s->hidden * 4, rows * heads * 4, rows * wide * 4,
                             act_bytes(s->format, rows, s->hidden), act_bytes(s->format, rows, heads),
                             act_bytes(s->format, rows, s->inner), rows * s->hidden * 4};
    int64_t total = 0;
    for (int i = 0; i < 7; i++) total += (sizes[i] + 63) & ~(int64_t)63;
    char *at = buffer_room(&m->buffers[SHARED_BUFFER], total);
    char *parts = buffer_room(&m->buffers[PART_BUFFER], run->plan.parts * 4 + 64 + run->plan.counters * 4);
    if (!at || !parts) return NATIVE_NO_MEMORY;
    run->x = take(&at, sizes[0]);
    run->query = take(&at, sizes[1]);
    run->wide = take(&at, sizes[2]);
    run->input = act_at(s->format, rows, s->hidden, take(&at, sizes[3]));
    run->mixed = act_at(s->format, rows, heads, take(&at, sizes[4]));
    run->middle = act_at(s->format, rows, s->inner, take(&at, sizes[5]));
    run->after = take(&at, sizes[6]);
    run->parts = (float *)parts;
    run->counters = (atomic_int *)(parts + ((run->plan.parts * 4 + 63) & ~(int64_t)63));
    for (int64_t i = 0; i < run->plan.counters; i++) atomic_store(&run->counters[i], 0);
    run->shared = rows > FEW_ROWS;
    run->whole = s->format == FORMAT_INT8 && s->heads / s->key_value_heads * s->head_dim % GROUP != 0;
    run->blocks = (run->plan.tile_count + ROW_BLOCK_TILES - 1) / ROW_BLOCK_TILES;
    return run_scratch(run);
}
