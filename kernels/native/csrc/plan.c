/* Checks a forward's arguments and lays out its work; see plan.h. Nothing here touches weights or caches' contents. */
#include "plan.h"

#include <string.h>

enum { UNIT_QUERIES = 96, PIECES_A_THREAD = 8, FEW_BLOCKS = 8, ROW_BUFFER = 0, STRAY_BUFFER, UNIT_BUFFER, TILE_BUFFER, ITEM_BUFFER };

int64_t part_floats(const Model *model) { return model->image.spec->head_dim + LANES; }

static int64_t group_heads(const Model *model) {
    return model->image.spec->heads / model->image.spec->key_value_heads;
}

int64_t unit_rows(const Model *model) {
    int64_t rows = UNIT_QUERIES / group_heads(model);
    return rows > 0 ? rows : 1;
}

static int check_segment(Model *model, const Segment *segment) {
    Cache *cache = segment->cache;
    if (!cache || cache->model != model || segment->rows < 1 || segment->committed < 0) return NATIVE_BAD_ARGUMENT;
    if (segment->rows > cache->capacity - segment->committed) return NATIVE_CACHE_FULL;
    if (cache->stamp == model->stamp) return NATIVE_CACHE_TWICE;
    cache->stamp = model->stamp;
    return NATIVE_OK;
}

static int check_rows(const Model *model, const Segment *segment, const int32_t *tokens, const int32_t *parents,
                      const int32_t *depths) {
    for (int64_t i = 0; i < segment->rows; i++) {
        if (tokens[i] < 0 || tokens[i] >= model->image.spec->vocabulary) return NATIVE_BAD_TOKEN;
        if (parents[i] < -1 || parents[i] >= i) return NATIVE_BAD_ROWS;
        if (depths[i] != (parents[i] < 0 ? 0 : depths[parents[i]] + 1)) return NATIVE_BAD_ROWS;
    }
    return NATIVE_OK;
}

/* Fills rows of a segment; strays is where theirs go (NULL: only count them). Returns how many strays. */
static int64_t lay_rows(const Segment *segment, const int32_t *parents, const int32_t *depths, Row *rows, int32_t *strays) {
    int64_t used = 0;
    for (int64_t i = 0; i < segment->rows; i++) {
        const Row *parent = parents[i] < 0 ? NULL : &rows[parents[i]];
        Row row = {.slot = segment->committed + i, .position = segment->committed + depths[i], .cache = segment->cache};
        row.straight = parent ? parent->straight : segment->committed;
        if (row.slot == row.position && row.straight == row.position) row.straight++;
        const int64_t count = row.position + 1 - row.straight;
        if (strays && count > 0) {
            if (count > 1) memcpy(strays + used, parent->stray, (size_t)(count - 1) * sizeof *strays);
            strays[used + count - 1] = (int32_t)row.slot;
            row.stray = strays + used;
        }
        used += count;
        rows[i] = row;
    }
    return used;
}

static int plan_rows(Model *model, const Segment *segments, int64_t segment_count, const int32_t *tokens,
                     const int32_t *parents, const int32_t *depths, Plan *plan) {
    int64_t total = 0, start = 0, strays = 0;
    model->stamp++;
    for (int64_t s = 0; s < segment_count; s++) {
        int code = check_segment(model, &segments[s]);
        if (!code) code = check_rows(model, &segments[s], tokens + total, parents + total, depths + total);
        if (code) return code;
        total += segments[s].rows;
    }
    plan->rows = total;
    plan->row = buffer_room(&model->buffers[ROW_BUFFER], total * (int64_t)sizeof(Row));
    if (!plan->row) return NATIVE_NO_MEMORY;
    for (int64_t s = 0; s < segment_count; start += segments[s++].rows)
        strays += lay_rows(&segments[s], parents + start, depths + start, plan->row + start, NULL);
    if (!strays) return NATIVE_OK;
    plan->strays = buffer_room(&model->buffers[STRAY_BUFFER], strays * (int64_t)sizeof(int32_t));
    if (!plan->strays) return NATIVE_NO_MEMORY;
    strays = start = 0;
    for (int64_t s = 0; s < segment_count; start += segments[s++].rows)
        strays += lay_rows(&segments[s], parents + start, depths + start, plan->row + start, plan->strays + strays);
    return NATIVE_OK;
}

/* Rows of a unit of this segment. Few rows over a short context are dealt to units of one tile of queries, as many as
 * threads share out evenly if that is at all near, so that no result has to be put together from pieces. */
static int64_t segment_unit_rows(const Model *model, const Segment *segment, int64_t segment_count) {
    const int64_t most = unit_rows(model), tile = model->kernels->query_tile / group_heads(model), rows = segment->rows;
    const int64_t heads = model->image.spec->key_value_heads, threads = native_pool_threads(model->pool);
    if (segment_count > 1 || rows > most || (segment->committed + rows) / BLOCK >= FEW_BLOCKS) return most;
    const int64_t least = tile > 1 ? (rows + tile - 1) / tile : rows;
    for (int64_t units = least; units <= 2 * least && units <= rows; units++)
        if (units * heads % threads == 0) return (rows + units - 1) / units;
    return (rows + least - 1) / least;
}

static int plan_units(Model *model, const Segment *segments, int64_t segment_count, Plan *plan) {
    int64_t row = 0;
    for (int64_t s = 0; s < segment_count; s++) {
        const int64_t most = segment_unit_rows(model, &segments[s], segment_count);
        plan->units += (segments[s].rows + most - 1) / most;
    }
    plan->unit = buffer_room(&model->buffers[UNIT_BUFFER], plan->units * (int64_t)sizeof(Unit));
    plan->tiles = buffer_room(&model->buffers[TILE_BUFFER], plan->rows * (int64_t)sizeof(Tile));
    if (!plan->unit || !plan->tiles) return NATIVE_NO_MEMORY;
    plan->tile_count = deal_tiles(plan->rows, model->kernels->row_tile, plan->tiles);
    for (int64_t t = 0; t < plan->tile_count; t++)
        for (int64_t i = 0; i < plan->tiles[t].rows; i++)
            plan->row[plan->tiles[t].row + i].tile = plan->tiles[t], plan->row[plan->tiles[t].row + i].place = i;
    Unit *unit = plan->unit;
    for (int64_t s = 0; s < segment_count; s++) {
        const int64_t most = segment_unit_rows(model, &segments[s], segment_count);
        for (int64_t done = 0; done < segments[s].rows; unit++) {
            int64_t rows = segments[s].rows - done < most ? segments[s].rows - done : most;
            done += rows;
            *unit = (Unit){row, rows, segments[s].committed, segments[s].committed + done};
            row += rows;
        }
    }
    return NATIVE_OK;
}

/* Blocks that any row of the unit sees. */
static void unit_blocks(const Plan *plan, const Unit *unit, int32_t window, int64_t *first, int64_t *end) {
    int64_t least = INT64_MAX, most = 0;
    for (int64_t r = unit->row; r < unit->row + unit->rows; r++) {
        int64_t from = window ? plan->row[r].position - window + 1 : 0;
        if (from < least) least = from;
        if (plan->row[r].position > most) most = plan->row[r].position;
    }
    *first = (least > 0 ? least : 0) / BLOCK;
    *end = most / BLOCK + 1;
}

/* Writes a window's items when there is room for them; returns how many there are. */
static int64_t lay_items(const Plan *plan, int32_t window, int64_t chunk, Item *items, int64_t *parts, int64_t *counters) {
    const Spec *s = plan->model->image.spec;
    const int64_t queries = group_heads(plan->model), floats = part_floats(plan->model);
    int64_t count = 0;
    *parts = *counters = 0;
    for (const Unit *unit = plan->unit; unit < plan->unit + plan->units; unit++) {
        int64_t first, end;
        unit_blocks(plan, unit, window, &first, &end);
        const int64_t pieces = (end - first + chunk - 1) / chunk;
        for (int64_t head = 0; head < s->key_value_heads; head++) {
            for (int64_t from = first; from < end; from += chunk, count++)
                if (items)
                    items[count] = (Item){unit, head, from, from + chunk < end ? from + chunk : end, first, end, *parts,
                                          pieces, *counters};
            *counters += 1;
            if (pieces > 1) *parts += unit->rows * queries * (end - first) * floats;
        }
    }
    return count;
}

/* Blocks of an item: all of a unit's where units and heads are enough for all threads, else what is a fair share. */
static int64_t item_blocks(const Plan *plan, int64_t blocks) {
    const int64_t threads = native_pool_threads(plan->model->pool);
    const int64_t items = plan->units * plan->model->image.spec->key_value_heads, fair = blocks / (PIECES_A_THREAD * threads);
    if (blocks < FEW_BLOCKS * items && items >= 2 * threads && items % threads == 0) return FEW_BLOCKS * items;
    return fair > 1 ? fair : 1;
}

static int plan_lists(Model *model, Plan *plan) {
    const Spec *s = model->image.spec;
    Buffer *buffer = &model->buffers[ITEM_BUFFER];
    for (int layer = 0; layer < s->layers; layer++) {
        const int32_t window = model->image.layer_specs[layer].window;
        if (plan_items(plan, window)) continue;
        if (plan->lists == 8) return NATIVE_BAD_SPEC;
        int64_t blocks = 0, parts, counters, first, end;
        for (int64_t u = 0; u < plan->units; u++) {
            unit_blocks(plan, &plan->unit[u], window, &first, &end);
            blocks += (end - first) * s->key_value_heads;
        }
        const int64_t chunk = item_blocks(plan, blocks);
        ItemList *list = &plan->list[plan->lists];
        list->window = window;
        list->count = lay_items(plan, window, chunk, NULL, &parts, &counters);
        list->items = buffer_room(&buffer[plan->lists], list->count * (int64_t)sizeof(Item));
        if (!list->items) return NATIVE_NO_MEMORY;
        lay_items(plan, window, chunk, list->items, &parts, &counters);
        if (parts > plan->parts) plan->parts = parts;
        if (counters > plan->counters) plan->counters = counters;
        plan->lists++;
    }
    return NATIVE_OK;
}

const ItemList *plan_items(const Plan *plan, int32_t window) {
    for (int64_t i = 0; i < plan->lists; i++)
        if (plan->list[i].window == window) return &plan->list[i];
    return NULL;
}

int plan_make(Model *model, const Segment *segments, int64_t segment_count, const int32_t *tokens,
              const int32_t *parents, const int32_t *depths, Plan *plan) {
    *plan = (Plan){.model = model};
    int code = plan_rows(model, segments, segment_count, tokens, parents, depths, plan);
    if (!code) code = plan_units(model, segments, segment_count, plan);
    if (!code) code = plan_lists(model, plan);
    return code;
}
