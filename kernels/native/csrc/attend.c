/* Attention of a forward: items of units, heads and blocks, and the merging of their blocks. */
#include <string.h>

#include "forward.h"

static int64_t group_of(const Run *run) {
    return run->model->image.spec->heads / run->model->image.spec->key_value_heads;
}

/* Queries from..from+count-1 of a unit: query q is head q % group of row q / group. */
static QueryTile query_tile(const Run *run, const Unit *unit, int64_t layer, int64_t head, int64_t from, int64_t count,
                            const float *packed) {
    const Spec *s = run->model->image.spec;
    const int64_t group = group_of(run), window = run->model->image.layer_specs[layer].window;
    const Cache *cache = run->plan.row[unit->row].cache;
    QueryTile tile = {.queries = (int32_t)count, .dim = s->head_dim, .key_value_dtype = s->key_value_dtype,
                      .softcap = s->attention_softcap, .query = packed, .keys = cache_keys(cache, layer, head),
                      .values = cache_values(cache, layer, head), .fresh_from = unit->fresh_from,
                      .fresh_to = unit->fresh_to};
    for (int64_t q = 0; q < count; q++) {
        const Row *row = &run->plan.row[unit->row + (from + q) / group];
        const int64_t first = window ? row->position - window + 1 : 0;
        tile.first[q] = first > 0 ? first : 0;
        tile.straight[q] = row->straight;
        tile.last[q] = row->position + 1;
        tile.stray[q] = row->stray;
    }
    return tile;
}

/* The same with its queries in int8, for int8 keys: bytes, scales and offsets where the floats would stand. */
static QueryTile byte_tile(const Run *run, Scratch *own, const Unit *unit, int64_t layer, int64_t head, int64_t from,
                           int64_t count) {
    const Spec *s = run->model->image.spec;
    const Kernels *k = run->model->kernels;
    const int64_t group = group_of(run), dim = s->head_dim;
    float *scale = own->query + from * dim;
    int32_t *offset = (int32_t *)(scale + count * dim / GROUP);
    int8_t *bytes = (int8_t *)(offset + count * dim / GROUP);
    const float *x[MAX_QUERY_TILE];
    for (int64_t q = 0; q < count; q++)
        x[q] = run->query + ((unit->row + (from + q) / group) * s->heads + head * group + (from + q) % group) * dim;
    k->quantise(x, count, NULL, NULL, dim, bytes, k->row_major ? dim : 4, k->row_major ? 4 : 4 * count, scale, offset, count);
    QueryTile tile = query_tile(run, unit, layer, head, from, count, NULL);
    tile.query_bytes = bytes, tile.query_scale = scale, tile.query_offset = offset;
    return tile;
}

/* All tiles of a unit's queries of one key-value head, each interleaved as the kernels read it. */
static int64_t query_tiles(const Run *run, Scratch *own, const Unit *unit, int64_t layer, int64_t head) {
    const Spec *s = run->model->image.spec;
    const int64_t group = group_of(run), most = run->model->kernels->query_tile, dim = s->head_dim;
    int64_t tiles = 0;
    for (int64_t from = 0, left; (left = unit->rows * group - from) > 0; from += most) {
        const int64_t count = left < most ? left : most;
        float *packed = own->query + from * dim;
        if (s->key_value_dtype == KV_INT8) {
            own->tiles[tiles++] = byte_tile(run, own, unit, layer, head, from, count);
            continue;
        }
        for (int64_t q = 0; q < count; q++) {
            const int64_t row = unit->row + (from + q) / group, query = head * group + (from + q) % group;
            const float *x = run->query + (row * s->heads + query) * dim;
            for (int64_t d = 0; d < dim; d++) packed[d * count + q] = x[d];
        }
        own->tiles[tiles++] = query_tile(run, unit, layer, head, from, count, packed);
    }
    return tiles;
}

/* Each row's heads of one group, divided by their sums, go on as input of the output layer. */
static void put_result(const Run *run, Scratch *own, const Unit *unit, int64_t head) {
    const Spec *s = run->model->image.spec;
    const int64_t group = group_of(run), dim = s->head_dim, floats = part_floats(run->model);
    const float *x[MAX_ROW_TILE];
    for (int64_t r = 0, rows; r < unit->rows; r += rows) { /* rows of one tile */
        const Row *row = &run->plan.row[unit->row + r];
        const int64_t left = row->tile.rows - row->place;
        rows = left < unit->rows - r ? left : unit->rows - r;
        for (int64_t i = 0; i < rows; i++) { /* the queries are done with */
            float *to = run->whole ? run->wide + ((row - run->plan.row + i) * s->heads + head * group) * dim
                                   : own->query + (r + i) * group * dim;
            for (int64_t g = 0; g < group; g++)
                run->model->kernels->finish(own->state + ((r + i) * group + g) * floats, dim, to + g * dim);
            x[i] = to;
        }
        if (!run->whole)
            act_put_rows(run->model, &run->mixed, row->tile, row->place, rows, x, NULL, NULL, head * group * dim, group * dim);
    }
}

static void clear_states(const Run *run, Scratch *own, int64_t queries) {
    const int64_t floats = part_floats(run->model), dim = run->model->image.spec->head_dim;
    for (int64_t q = 0; q < queries; q++) own->state[q * floats + dim + 1] = 0.0f;
}

/* The unit whole: its blocks are folded as they come. */
static void attend_whole(const Run *run, Scratch *own, int64_t layer, const Item *item) {
    const Kernels *k = run->model->kernels;
    const int64_t dim = run->model->image.spec->head_dim, floats = part_floats(run->model);
    const int64_t tiles = query_tiles(run, own, item->unit, layer, item->head);
    clear_states(run, own, item->unit->rows * group_of(run));
    for (int64_t block = item->from; block < item->to; block++)
        for (int64_t t = 0, q = 0; t < tiles; q += own->tiles[t++].queries) {
            k->attend(&own->tiles[t], block, own->scores, own->part, floats);
            for (int64_t i = 0; i < own->tiles[t].queries; i++)
                k->fold(own->state + (q + i) * floats, own->part + i * floats, dim);
        }
    put_result(run, own, item->unit, item->head);
}

/* Some of its blocks: parts [query][block] are left for whoever ends last. */
static void attend_piece(const Run *run, Scratch *own, int64_t layer, const Item *item) {
    const Kernels *k = run->model->kernels;
    const int64_t dim = run->model->image.spec->head_dim, floats = part_floats(run->model);
    const int64_t blocks = item->end - item->first, queries = item->unit->rows * group_of(run);
    const int64_t tiles = query_tiles(run, own, item->unit, layer, item->head);
    float *parts = run->parts + item->part;
    for (int64_t block = item->from; block < item->to; block++)
        for (int64_t t = 0, q = 0; t < tiles; q += own->tiles[t++].queries)
            k->attend(&own->tiles[t], block, own->scores, parts + (q * blocks + block - item->first) * floats, blocks * floats);
    if (atomic_fetch_add(&run->counters[item->counter], 1) + 1 < item->pieces) return;
    atomic_store(&run->counters[item->counter], 0); /* for the next layer */
    clear_states(run, own, queries);
    for (int64_t q = 0; q < queries; q++)
        for (int64_t block = 0; block < blocks; block++)
            k->fold(own->state + q * floats, parts + (q * blocks + block) * floats, dim);
    put_result(run, own, item->unit, item->head);
}

void attention_phase(Run *run, Worker *worker, int64_t layer) {
    const ItemList *list = plan_items(&run->plan, run->model->image.layer_specs[layer].window);
    Scratch *own = &run->scratch[worker->index];
    for (int64_t i; (i = worker_next(worker, list->count)) >= 0;) {
        if (list->items[i].pieces > 1) attend_piece(run, own, layer, &list->items[i]);
        else attend_whole(run, own, layer, &list->items[i]);
    }
    if (run->whole && run->shared)
        prepare_all(run, worker, run->wide, run->mixed.inner, NULL, &run->mixed);
}
