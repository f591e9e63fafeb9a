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

/* The block as one row sees it: a copy, its strays at the positions they stand for. */
static const uint8_t *own_block(const QueryTile *t, int q, int64_t base, uint8_t *copy) {
    const int64_t dim = t->dim, last = less(t->last[q], base + BLOCK);
    memcpy(copy, (const char *)t->values + base / BLOCK * VALUE_BLOCK(dim), (size_t)VALUE_BLOCK(dim));
    for (int64_t p = more(t->straight[q], base); p < last; p++) {
        const int64_t slot = t->stray[q][p - t->straight[q]];
        for (int64_t d = 0; d < dim; d++) *value_at(copy, dim, p - base, d) = *value_at((void *)t->values, dim, slot, d);
        *value_scale(copy, dim, p - base) = *value_scale(t->values, dim, slot);
    }
    return copy;
}

/* Weights [rows][BLOCK], zero where nothing is seen, times the block's values: o[r] gets all dims. */
static void weigh_block(const QueryTile *t, int q, int rows, int64_t base, float *weights, const uint8_t *block, float *o,
                        int64_t stride) {
    int8_t bytes[ROW_TILE * BLOCK];
    float scale[ROW_TILE * BLOCK / GROUP], ones[16];
    int32_t offset[ROW_TILE * BLOCK / GROUP];
    const float *scales = (const float *)(block + t->dim * BLOCK);
    v_store(ones, v_set(1.0f));
    for (int r = 0; r < rows; r++) {
        float *w = weights + r * BLOCK;
        const int64_t from = more(t->first[q + r] - base, 0), to = less(t->last[q + r] - base, BLOCK);
        for (int64_t i = 0; i < BLOCK; i += 16) {
            const int lo = (int)less(more(from - i, 0), 16), hi = (int)less(more(to - i, 0), 16);
            v_store(w + i, v_keep(v_mul(v_load(w + i), v_load(scales + i)), lo, more(hi, lo), 0.0f));
        }
        rows_quantise(w, BLOCK, bytes + (ROW_MAJOR ? r * BLOCK : 4 * r), ROW_MAJOR ? 4 : 4 * rows, scale + r, offset + r, rows);
    }
    for (int64_t d = 0; d < t->dim; d += 16)
        panel_int8(bytes, scale, offset, rows, BLOCK, block + d * BLOCK, ones, o + d, stride, NULL);
}

/* Queries of one row share its strays; rows without any in this block share the cache's block as it is. */
static void add_block_int8(const QueryTile *t, int64_t base, float *weights, uint8_t *copy, float *out, int64_t out_stride) {
    for (int q = 0, rows; q < t->queries; q += rows) {
        const int own = less(t->last[q], base + BLOCK) > more(t->straight[q], base);
        for (rows = 1; q + rows < t->queries; rows++) {
            const int next = less(t->last[q + rows], base + BLOCK) > more(t->straight[q + rows], base);
            if (next != own || (own && t->stray[q + rows] != t->stray[q])) break;
        }
        const uint8_t *block = own ? own_block(t, q, base, copy) : (const uint8_t *)t->values + base / BLOCK * VALUE_BLOCK(t->dim);
        weigh_block(t, q, rows, base, weights + q * BLOCK, block, out + q * out_stride, out_stride);
    }
}
