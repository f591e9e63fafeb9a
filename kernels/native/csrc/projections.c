/* The four linear layers of a layer, each one phase: what comes before and after them is done with them. */
#include <stddef.h>

#include "forward.h"

static void prepare_tile(const Run *run, Tile tile, const float *x, int64_t width, const float *weight, const Act *to) {
    const Kernels *k = run->model->kernels;
    const float *rows[MAX_ROW_TILE];
    float norm[MAX_ROW_TILE];
    for (int64_t i = 0; i < tile.rows; i++) rows[i] = x + (tile.row + i) * width;
    if (weight) k->norms(rows, tile.rows, run->model->image.spec->norm_eps, width, norm);
    act_put_rows(run->model, to, tile, 0, tile.rows, rows, weight ? norm : NULL, weight, 0, width);
}

static void prepare_few(const Run *run, Scratch *own, const float *x, int64_t width, const float *weight) {
    own->act = act_at(run->model->image.spec->format, run->plan.rows, width, own->act_memory);
    for (int64_t t = 0; t < run->plan.tile_count; t++) prepare_tile(run, run->plan.tiles[t], x, width, weight, &own->act);
}

void prepare_all(const Run *run, Worker *worker, const float *x, int64_t width, const float *weight, const Act *to) {
    for (int64_t item; (item = worker_next(worker, run->plan.tile_count)) >= 0;)
        prepare_tile(run, run->plan.tiles[item], x, width, weight, to);
}

/* Input of a linear layer: prepared in a phase of its own, or by each thread that found work (`ready` says so). */
static const Act *input_of(const Run *run, Scratch *own, const float *x, int64_t width, const float *weight, int *ready) {
    if (run->shared) return &run->input;
    if (!*ready) prepare_few(run, own, x, width, weight);
    *ready = 1;
    return &own->act;
}

/* A linear layer as its phase hands it out: items of `each` panels and one row block, panels first. */
typedef struct Stream {
    const Linear *linear;
    int64_t each, items;
} Stream;

static Stream stream_of(const Run *run, const Linear *linear, int64_t each) {
    return (Stream){linear, each, (linear->panels + each - 1) / each * run->blocks};
}

/* Panels of an out or down layer taken at a time: more where there are many, so that taking them costs nothing. */
static Stream residual_stream(const Run *run, const Linear *linear) {
    const int64_t fair = linear->panels * run->blocks / (12 * native_pool_threads(run->model->pool));
    return stream_of(run, linear, fair < 1 ? 1 : fair > 4 ? 4 : fair);
}

static Stream query_key_value_stream(const Run *run, int64_t layer) { /* a head an item */
    if (layer == run->model->image.spec->layers) return (Stream){0};
    return stream_of(run, &run->model->image.layers[layer].qkv, run->model->image.spec->head_dim / LANES);
}

static Stream gate_up_stream(const Run *run, int64_t layer) { /* gate, up, gate, up: one group of the next input */
    return stream_of(run, &run->model->image.layers[layer].gate_up, 4);
}

/* The panel this thread reads after those of `item`: of its next item, or the first of its share of the next phase. */
static const void *panel_after(const Run *run, const Worker *worker, const Stream *now, int64_t item, const Stream *then) {
    if (item < share_start(worker, now->items, worker->index)) return NULL;
    int64_t next = item + 1;
    const int64_t end = share_start(worker, now->items, worker->index + 1);
    if (next > end || (next < end && next / run->blocks == item / run->blocks)) return NULL;
    if (next < end) return linear_panel(run->model, now->linear, next / run->blocks * now->each);
    if (!then->items) return NULL;
    next = share_start(worker, then->items, worker->index) / run->blocks;
    return linear_panel(run->model, then->linear, next * then->each);
}

/* Panels first.. (count of them) for the tiles of a block: own->out[row][count * 16], with bias. */
static void block_panels(const Run *run, Scratch *own, const Linear *linear, int64_t first, int64_t count,
                         const Act *act, int64_t block, const void *after) {
    const Tile *tiles;
    Tile span;
    const int64_t stride = count * LANES, tile_count = block_tiles(run, block, &tiles, &span);
    for (int64_t p = 0; p < count; p++) {
        const void *ahead = p + 1 < count ? linear_panel(run->model, linear, first + p + 1) : after;
        for (int64_t t = 0; t < tile_count; t++, ahead = NULL) {
            float *out = own->out + (tiles[t].row - span.row) * stride + p * LANES;
            linear_tile_ahead(run->model, linear, first + p, act, tiles[t], out, stride, ahead);
            add_bias(linear->bias ? linear->bias + (first + p) * LANES : NULL, out, stride, tiles[t].rows);
        }
    }
}

/* Head h of the queries, then the keys, then the values of one row: turned, and put where it belongs. */
static void put_head(const Run *run, int64_t layer, int64_t r, int64_t h, float *x) {
    const Model *m = run->model;
    const Spec *s = m->image.spec;
    const Row *row = &run->plan.row[r];
    const int64_t dim = s->head_dim, half = s->rotary_dims / 2, rotary = m->image.layer_specs[layer].rotary;
    const int64_t key = h - s->heads, value = key - s->key_value_heads;
    if (value >= 0) {
        m->kernels->store(x, dim, NULL, cache_values(row->cache, layer, value), row->slot, s->key_value_dtype);
        return;
    }
    if (rotary >= 0)
        m->kernels->rotate(x, m->cosine[rotary] + row->position * half, m->sine[rotary] + row->position * half, half);
    if (key >= 0) {
        m->kernels->store(x, dim, cache_keys(row->cache, layer, key), NULL, row->slot, s->key_value_dtype);
        return;
    }
    float *query = run->query + (r * s->heads + h) * dim;
    for (int64_t d = 0; d < dim; d++) query[d] = x[d] * s->attention_scale;
}

static void norm_head(const Run *run, int64_t layer, int64_t h, float *x) {
    const Spec *s = run->model->image.spec;
    const Layer *l = &run->model->image.layers[layer];
    if (s->qk_norm == QK_NORM_HEAD && h < s->heads + s->key_value_heads)
        run->model->kernels->norm(x, h < s->heads ? l->query_norm : l->key_norm, s->norm_eps, s->head_dim, x);
}

/* Norms over all queries and all keys of a row come before the heads are told apart. */
static void norm_rows_phase(Run *run, Worker *worker, int64_t layer) {
    const Spec *s = run->model->image.spec;
    const Layer *l = &run->model->image.layers[layer];
    const int64_t dim = s->head_dim, query = s->heads * dim, key = s->key_value_heads * dim;
    for (int64_t r; (r = worker_next(worker, run->plan.rows)) >= 0;) {
        float *x = run->wide + r * (query + 2 * key);
        run->model->kernels->norm(x, l->query_norm, s->norm_eps, query, x);
        run->model->kernels->norm(x + query, l->key_norm, s->norm_eps, key, x + query);
        for (int64_t h = 0; h < s->heads + 2 * s->key_value_heads; h++) put_head(run, layer, r, h, x + h * dim);
    }
}

void query_key_value_phase(Run *run, Worker *worker, int64_t layer) {
    const Spec *s = run->model->image.spec;
    const Layer *l = &run->model->image.layers[layer];
    const int64_t dim = s->head_dim, heads = s->heads + 2 * (int64_t)s->key_value_heads;
    const Stream stream = query_key_value_stream(run, layer), then = residual_stream(run, &l->out);
    Scratch *own = &run->scratch[worker->index];
    int ready = 0;
    if (run->shared) prepare_all(run, worker, run->x, s->hidden, l->attention_norm, &run->input);
    for (int64_t item; (item = worker_next(worker, stream.items)) >= 0;) {
        const int64_t h = item / run->blocks, block = item % run->blocks;
        const Act *act = input_of(run, own, run->x, s->hidden, l->attention_norm, &ready);
        const Tile *tiles;
        Tile span;
        block_tiles(run, block, &tiles, &span);
        block_panels(run, own, &l->qkv, h * dim / LANES, dim / LANES, act, block,
                     panel_after(run, worker, &stream, item, &then));
        for (int64_t r = 0; r < span.rows; r++) {
            float *x = own->out + r * dim;
            if (s->qk_norm == QK_NORM_ROW) {
                float *to = run->wide + ((span.row + r) * heads + h) * dim;
                for (int64_t d = 0; d < dim; d++) to[d] = x[d];
                continue;
            }
            norm_head(run, layer, h, x);
            put_head(run, layer, span.row + r, h, x);
        }
    }
    if (s->qk_norm == QK_NORM_ROW) norm_rows_phase(run, worker, layer);
}

static float *tap_of(const Run *run, int64_t layer) {
    for (int64_t i = 0; run->taps && i < run->tap_count; i++)
        if (run->tap_layers[i] == layer) return run->taps + i * run->plan.rows * run->model->image.spec->hidden;
    return NULL;
}

/* Columns from.. of a block's rows in own->out [row][count]: added to the residual stream, or left for a norm. */
static void add_columns(const Run *run, Scratch *own, int64_t block, int64_t from, int64_t count, int normed, float *tap) {
    const Spec *s = run->model->image.spec;
    const Tile *tiles;
    Tile span;
    block_tiles(run, block, &tiles, &span);
    for (int64_t c = 0; c < count; c += LANES) {
        const int64_t at = span.row * s->hidden + from + c;
        if (!normed)
            run->model->kernels->add_scaled(run->x + at, s->hidden, own->out + c, count, s->residual_scale, span.rows);
        for (int64_t r = 0; r < span.rows && (normed || tap); r++)
            for (int64_t i = 0; i < LANES; i++) {
                const int64_t place = at + r * s->hidden + i;
                if (normed) run->after[place] = own->out[r * count + c + i];
                else tap[place] = run->x[place];
            }
    }
}

/* x += residual_scale * norm(what the sub-block left) */
static void norm_after_phase(Run *run, Worker *worker, const float *weight, float *tap) {
    const Spec *s = run->model->image.spec;
    float *line = run->scratch[worker->index].line;
    for (int64_t r; (r = worker_next(worker, run->plan.rows)) >= 0;) {
        float *x = run->x + r * s->hidden;
        run->model->kernels->norm(run->after + r * s->hidden, weight, s->norm_eps, s->hidden, line);
        run->model->kernels->add_scaled(x, LANES, line, LANES, s->residual_scale, s->hidden / LANES);
        for (int64_t i = 0; tap && i < s->hidden; i++) tap[r * s->hidden + i] = x[i];
    }
}

static void residual_phase(Run *run, Worker *worker, const Linear *linear, Stream then, const Act *given, const float *after,
                           float *tap) {
    const Stream stream = residual_stream(run, linear);
    Scratch *own = &run->scratch[worker->index];
    int ready = 0;
    for (int64_t item; (item = worker_next(worker, stream.items)) >= 0;) {
        const int64_t first = item / run->blocks * stream.each, block = item % run->blocks;
        const int64_t count = linear->panels - first < stream.each ? linear->panels - first : stream.each;
        const Act *act = given ? given : input_of(run, own, run->wide, linear->inner, NULL, &ready);
        block_panels(run, own, linear, first, count, act, block, panel_after(run, worker, &stream, item, &then));
        add_columns(run, own, block, first * LANES, count * LANES, after != NULL, tap);
    }
    if (after) norm_after_phase(run, worker, after, tap);
}

void out_phase(Run *run, Worker *worker, int64_t layer) {
    const Layer *l = &run->model->image.layers[layer];
    residual_phase(run, worker, &l->out, gate_up_stream(run, layer), run->whole && !run->shared ? NULL : &run->mixed,
                   l->after_attention_norm, NULL);
}

void down_phase(Run *run, Worker *worker, int64_t layer) {
    const Layer *l = &run->model->image.layers[layer];
    residual_phase(run, worker, &l->down, query_key_value_stream(run, layer + 1), &run->middle, l->after_mlp_norm,
                   tap_of(run, layer));
}

/* Rows [gate, up, gate, up] of a block's tiles become a group of the next input. */
static void gate_tiles(const Run *run, float *x, const Tile *tiles, int64_t tile_count, int64_t group) {
    const Kernels *k = run->model->kernels;
    const int32_t activation = run->model->image.spec->activation;
    const float *rows[MAX_ROW_TILE];
    for (int64_t t = 0; t < tile_count; t++) {
        for (int64_t i = 0; i < tiles[t].rows; i++, x += 4 * LANES) {
            k->gated(activation, x, x + LANES, LANES, x);
            k->gated(activation, x + 2 * LANES, x + 3 * LANES, LANES, x + LANES);
            rows[i] = x;
        }
        act_put_rows(run->model, &run->middle, tiles[t], 0, tiles[t].rows, rows, NULL, NULL, group * GROUP, GROUP);
    }
}

/* Items of 32 columns: one group of the next layer's input. */
void gate_up_phase(Run *run, Worker *worker, int64_t layer) {
    const Spec *s = run->model->image.spec;
    const Layer *l = &run->model->image.layers[layer];
    const Stream stream = gate_up_stream(run, layer), then = residual_stream(run, &l->down);
    Scratch *own = &run->scratch[worker->index];
    int ready = 0;
    if (run->shared) prepare_all(run, worker, run->x, s->hidden, l->mlp_norm, &run->input);
    for (int64_t item; (item = worker_next(worker, stream.items)) >= 0;) {
        const int64_t group = item / run->blocks, block = item % run->blocks;
        const Act *act = input_of(run, own, run->x, s->hidden, l->mlp_norm, &ready);
        const Tile *tiles;
        Tile span;
        const int64_t tile_count = block_tiles(run, block, &tiles, &span);
        block_panels(run, own, &l->gate_up, group * 4, 4, act, block, panel_after(run, worker, &stream, item, &then));
        gate_tiles(run, own->out, tiles, tile_count, group);
    }
}
