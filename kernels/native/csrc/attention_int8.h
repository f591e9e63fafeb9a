/* Attention over int8 keys and values: both products are the int8 panel's, so whole groups of sums are exact integers.
 *
 * Keys: panels [slot / 16][dim / 4][16][4] unsigned as weights are, then the 16 slots' scales. Values: blocks
 * [slot / BLOCK][dim / 16][BLOCK / 4][16][4], then the block's scales. A block's weights, times their values' scales,
 * are quantised as any activation is, in groups of 32 positions; a position nobody sees has weight 0 and adds nothing. */

#define KEY_PANEL(dim) ((dim) * 16 + 64)
#define VALUE_BLOCK(dim) ((dim) * BLOCK + 4 * BLOCK)

static inline uint8_t *value_at(void *values, int64_t dim, int64_t slot, int64_t d) {
    return (uint8_t *)values + slot / BLOCK * VALUE_BLOCK(dim) + d / 16 * 16 * BLOCK + slot % BLOCK / 4 * 64 + d % 16 * 4 + slot % 4;
}

static inline float *value_scale(const void *values, int64_t dim, int64_t slot) {
    return (float *)((char *)values + slot / BLOCK * VALUE_BLOCK(dim) + dim * BLOCK) + slot % BLOCK;
}

/* x [dim] as bytes with an offset of 128 and one scale. */
static float bytes_of(const float *x, int64_t dim, uint8_t *bytes) {
    vf most = v_set(0.0f);
    for (int64_t d = 0; d < dim; d += 16) most = v_max(v_abs(v_load(x + d)), most);
    const float scale = v_largest(most) / 127.0f, inverse = scale > 1e-30f ? 1.0f / scale : 0.0f;
    for (int64_t d = 0; d < dim; d += 16) {
        vf q = v_min(v_max(v_mul(v_load(x + d), v_set(inverse)), v_set(-127.0f)), v_set(127.0f));
        v_store_i8((int8_t *)bytes + d, v_rint(q));
        for (int i = 0; i < 16; i++) bytes[d + i] ^= 128;
    }
    return scale > 1e-30f ? scale : 0.0f;
}

static void store_int8(const float *x, int64_t dim, void *keys, void *values, int64_t slot) {
    uint8_t bytes[MAX_HEAD_DIM];
    const float scale = bytes_of(x, dim, bytes);
    if (keys) {
        uint8_t *panel = (uint8_t *)keys + slot / 16 * KEY_PANEL(dim);
        for (int64_t d = 0; d < dim; d += 4) memcpy(panel + d * 16 + slot % 16 * 4, bytes + d, 4);
        ((float *)(panel + dim * 16))[slot % 16] = scale;
    }
    if (values) {
        for (int64_t d = 0; d < dim; d++) *value_at(values, dim, slot, d) = bytes[d];
        *value_scale(values, dim, slot) = scale;
    }
}

static void score_slots_int8(const QueryTile *t, int64_t from, int64_t to, float *scores, int64_t stride) {
    for (int64_t slot = from; slot < to; slot += 16, scores += 16) {
        const uint8_t *panel = (const uint8_t *)t->keys + slot / 16 * KEY_PANEL(t->dim);
        panel_int8(t->query_bytes, t->query_scale, t->query_offset, t->queries, t->dim, panel,
                   (const float *)(panel + t->dim * 16), scores, stride, NULL);
    }
}

/* Where the byte of query q and input k stands in a tile of `width` inputs. */
static inline int8_t *byte_at(int8_t *tile, int64_t rows, int64_t width, int64_t q, int64_t k) {
    return tile + (ROW_MAJOR ? q * width + k : (k / 4 * rows + q) * 4 + k % 4);
}

/* A block's weights as bytes: groups from..near-1 in one tile, each later one, which has strays in other groups of
 * slots, in a tile of its own. Group g's tile, scales and offsets start (g - from) groups in. */
typedef struct Weighing {
    int64_t from, near, to;
    int8_t bytes[MAX_QUERY_TILE * BLOCK];
    float scale[MAX_QUERY_TILE * BLOCK / GROUP];
    int32_t offset[MAX_QUERY_TILE * BLOCK / GROUP];
} Weighing;

/* Positions of a block that query q sees: from `from`, straight below `straight`, below `to`. */
typedef struct Seen {
    int64_t from, straight, to;
} Seen;

static Seen seen_by(const QueryTile *t, int q, int64_t base) {
    const int64_t from = less(more(t->first[q] - base, 0), BLOCK), to = less(more(t->last[q] - base, from), BLOCK);
    return (Seen){from, less(more(t->straight[q] - base, from), to), to};
}

static inline int64_t stray_slot(const QueryTile *t, int q, int64_t position) {
    return t->stray[q][position - t->straight[q]];
}

static void weighing_groups(const QueryTile *t, int64_t base, Weighing *w) {
    w->from = BLOCK, w->to = 0, w->near = BLOCK / GROUP;
    for (int q = 0; q < t->queries; q++) {
        const Seen seen = seen_by(t, q, base);
        if (seen.from < seen.to) w->from = less(w->from, seen.from), w->to = more(w->to, seen.to);
        for (int64_t i = seen.straight; i < seen.to; i++)
            if (stray_slot(t, q, base + i) / GROUP != (base + i) / GROUP) w->near = less(w->near, i / GROUP);
    }
    w->from /= GROUP, w->to = (w->to + GROUP - 1) / GROUP, w->near = less(w->near, w->to);
}

/* Weights times their values' scales, zero where nothing is seen. */
static void scale_weights(const QueryTile *t, int q, int64_t base, const Weighing *w, float *weights) {
    const float *scales = value_scale(t->values, t->dim, base);
    const Seen seen = seen_by(t, q, base);
    float strays[BLOCK];
    for (int64_t i = seen.straight; i < seen.to; i++)
        strays[i] = weights[i] * *value_scale(t->values, t->dim, stray_slot(t, q, base + i));
    for (int64_t i = w->from * GROUP; i < w->to * GROUP; i += 16) {
        vf x = v_mul(v_load(weights + i), v_load(scales + i));
        if (i < seen.from || i + 16 > seen.straight)
            x = v_keep(x, (int)less(more(seen.from - i, 0), 16), (int)less(more(seen.straight - i, 0), 16), 0.0f);
        v_store(weights + i, x);
    }
    for (int64_t i = seen.straight; i < seen.to; i++) weights[i] = strays[i];
}

static void weigh(const QueryTile *t, int64_t base, float *weights, Weighing *w) {
    const int64_t rows = t->queries;
    const float *x[MAX_QUERY_TILE];
    for (int q = 0; q < rows; q++) scale_weights(t, q, base, w, weights + q * BLOCK);
    for (int64_t g = w->from, groups; g < w->to; g += groups) {
        groups = g < w->near ? w->near - g : 1;
        const int64_t at = (g - w->from) * rows;
        for (int q = 0; q < rows; q++) x[q] = weights + q * BLOCK + g * GROUP;
        QUANTISE_ROWS(x, rows, NULL, NULL, groups * GROUP, w->bytes + at * GROUP, ROW_MAJOR ? groups * GROUP : 4,
                      ROW_MAJOR ? 4 : 4 * rows, w->scale + at, w->offset + at, rows);
    }
    for (int q = 0; q < rows; q++) { /* a stray's byte goes where its slot lies; the last first: slots lie higher */
        const Seen seen = seen_by(t, q, base);
        const int64_t width = (w->near - w->from) * GROUP, start = base + w->from * GROUP;
        for (int64_t i = less(seen.to, w->near * GROUP) - 1; i >= seen.straight; i--) {
            int8_t *byte = byte_at(w->bytes, rows, width, q, i - w->from * GROUP), moved = *byte;
            *byte = 0;
            *byte_at(w->bytes, rows, width, q, stray_slot(t, q, base + i) - start) = moved;
        }
    }
}

/* Moves the bytes of group g's strays in slots slot..slot+GROUP-1 to a tile of those; returns whether there are any. */
static int take_strays(const QueryTile *t, int64_t base, int64_t g, int64_t slot, Weighing *w, int8_t *tile, int32_t *offset) {
    const int64_t rows = t->queries, at = (g - w->from) * rows;
    int any = 0;
    memset(tile, 0, (size_t)(rows * GROUP));
    memset(offset, 0, (size_t)rows * sizeof *offset);
    for (int q = 0; q < rows; q++) {
        const Seen seen = seen_by(t, q, base);
        for (int64_t i = more(seen.straight, g * GROUP); i < less(seen.to, (g + 1) * GROUP); i++) {
            const int64_t from = stray_slot(t, q, base + i) - slot;
            if (from < 0 || from >= GROUP) continue;
            int8_t *byte = byte_at(w->bytes + at * GROUP, rows, GROUP, q, i - g * GROUP);
            *byte_at(tile, rows, GROUP, q, from) = *byte;
            offset[q] -= 128 * *byte;
            w->offset[at + q] += 128 * *byte;
            *byte = 0, any = 1;
        }
    }
    return any;
}

/* Group g, whose values lie in several groups of slots: sums of whole numbers below 2^24, exact in float32 too. */
static void add_group_apart(const QueryTile *t, int64_t base, int64_t g, Weighing *w, float *out, int64_t out_stride) {
    const int64_t rows = t->queries, dim = t->dim, at = (g - w->from) * rows, own = base + g * GROUP;
    float sum[MAX_QUERY_TILE * MAX_HEAD_DIM], part[MAX_QUERY_TILE * 16], ones[16];
    int8_t moved[MAX_QUERY_TILE * GROUP];
    int32_t offset[MAX_QUERY_TILE];
    v_store(ones, v_set(1.0f));
    memset(sum, 0, (size_t)(rows * dim) * sizeof *sum);
    for (int64_t slot = more((t->fresh_to - 1) / GROUP * GROUP, own); slot >= own; slot -= GROUP) { /* its own group last */
        const int near = slot == own, any = take_strays(t, base, g, slot, w, moved, offset);
        const uint8_t *values = (const uint8_t *)t->values + slot / BLOCK * VALUE_BLOCK(dim) + slot % BLOCK * 16;
        for (int pass = !any; pass < 1 + near; pass++) /* strays, then what lies straight */
            for (int64_t d = 0; d < dim; d += 16) {
                panel_int8(pass ? w->bytes + at * GROUP : moved, ones, pass ? w->offset + at : offset, rows, GROUP,
                           values + d * BLOCK, ones, part, 16, NULL);
                for (int64_t q = 0; q < rows; q++)
                    v_store(sum + q * dim + d, v_add(v_load(sum + q * dim + d), v_load(part + q * 16)));
            }
    }
    for (int64_t q = 0; q < rows; q++)
        for (int64_t d = 0; d < dim; d += 16) {
            float *o = out + q * out_stride + d;
            v_store(o, v_fma(v_load(sum + q * dim + d), v_set(w->scale[at + q]), v_load(o)));
        }
}

/* Weights [queries][BLOCK] times the block's values, added to zeroed o[query]; the weights are spent. */
static void add_block_int8(const QueryTile *t, int64_t base, float *weights, float *out, int64_t out_stride) {
    const uint8_t *block = (const uint8_t *)t->values + base / BLOCK * VALUE_BLOCK(t->dim);
    float ones[16];
    Weighing w;
    weighing_groups(t, base, &w);
    if (w.from >= w.to) return;
    weigh(t, base, weights, &w);
    v_store(ones, v_set(1.0f));
    for (int64_t d = 0; w.from < w.near && d < t->dim; d += 16)
        panel_int8(w.bytes, w.scale, w.offset, t->queries, (w.near - w.from) * GROUP, block + d * BLOCK + w.from * GROUP * 16,
                   ones, out + d, out_stride, NULL);
    for (int64_t g = more(w.near, w.from); g < w.to; g++) add_group_apart(t, base, g, &w, out, out_stride);
}
