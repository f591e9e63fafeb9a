/* Attention of a tile of queries over one block of positions, and the merging of blocks.
 *
 * A score is one lane walking the head's dims; a block's sum has sixteen lanes, position p in lane p % 16; its values
 * are added in the order of positions. Blocks are merged from the left. None of this depends on which other queries
 * stand in the tile, nor on where a position's keys lie (straight or stray). */

#define NOTHING (-3.402823466e38f)

/* o[r][0 .. 16 C - 1] += s[r][j] v[j][...] over count positions, j rising; R and C are constants once inlined. */
#define VALUE_TILE(NAME, VALUE, LOAD)                                                                        \
    static ALWAYS_INLINE void NAME##_tile(const int R, const int C, const float *s, const VALUE *v,          \
                                          int64_t count, int64_t dim, float *o, int64_t stride) {            \
        vf sum[VALUE_ROWS][VALUE_COLUMNS];                                                                   \
        UNROLL for (int r = 0; r < R; r++)                                                                   \
            UNROLL for (int c = 0; c < C; c++) sum[r][c] = v_load(o + r * stride + 16 * c);                  \
        for (int64_t j = 0; j < count; j++, v += dim, s++) {                                                 \
            vf row[VALUE_COLUMNS];                                                                           \
            UNROLL for (int c = 0; c < C; c++) row[c] = LOAD(v + 16 * c);                                    \
            UNROLL for (int r = 0; r < R; r++) {                                                             \
                vf weight = v_set(s[r * BLOCK]);                                                             \
                UNROLL for (int c = 0; c < C; c++) sum[r][c] = v_fma(weight, row[c], sum[r][c]);             \
            }                                                                                                \
        }                                                                                                    \
        UNROLL for (int r = 0; r < R; r++)                                                                   \
            UNROLL for (int c = 0; c < C; c++) v_store(o + r * stride + 16 * c, sum[r][c]);                  \
    }                                                                                                        \
    static void NAME(int rows, const float *s, const VALUE *v, int64_t count, int64_t dim, float *o,         \
                     int64_t stride) { /* rows: 1 or VALUE_ROWS */                                           \
        int64_t d = 0;                                                                                       \
        for (; d + 16 * VALUE_COLUMNS <= dim; d += 16 * VALUE_COLUMNS)                                       \
            if (rows == 1) NAME##_tile(1, VALUE_COLUMNS, s, v + d, count, dim, o + d, stride);               \
            else NAME##_tile(VALUE_ROWS, VALUE_COLUMNS, s, v + d, count, dim, o + d, stride);                \
        for (; d < dim; d += 16)                                                                             \
            if (rows == 1) NAME##_tile(1, 1, s, v + d, count, dim, o + d, stride);                           \
            else NAME##_tile(VALUE_ROWS, 1, s, v + d, count, dim, o + d, stride);                            \
    }

VALUE_TILE(add_float32, float, v_load)
VALUE_TILE(add_bfloat16, uint16_t, v_load_bf16)

/* Scores [queries, to - from] of the slots from..to-1, both multiples of 16. */
static void score_slots(const QueryTile *t, int64_t from, int64_t to, float *scores, int64_t stride) {
    if (t->key_value_dtype == KV_INT8) {
        score_slots_int8(t, from, to, scores, stride);
        return;
    }
    for (int64_t slot = from; slot < to; slot += 16, scores += 16)
        if (t->key_value_dtype == KV_BFLOAT16)
            panel_bfloat16(t->query, t->queries, t->dim, (const uint16_t *)t->keys + slot * t->dim, scores, stride);
        else
            panel_float32(t->query, t->queries, t->dim, (const float *)t->keys + slot * t->dim, scores, stride);
}

/* Adds s [rows, BLOCK] times the values of `count` slots from `slot` on to o. */
static void add_values(const QueryTile *t, int rows, const float *s, int64_t slot, int64_t count, float *o,
                       int64_t stride) {
    if (t->key_value_dtype == KV_BFLOAT16)
        add_bfloat16(rows, s, (const uint16_t *)t->values + slot * t->dim, count, t->dim, o, stride);
    else
        add_float32(rows, s, (const float *)t->values + slot * t->dim, count, t->dim, o, stride);
}

/* Scores of the block's straight slots where they are, strays' fetched from among the fresh slots. */
static void block_scores(const QueryTile *t, int64_t base, float *scores, float *fresh) {
    int64_t from = base + BLOCK, to = base, strays = 0;
    for (int q = 0; q < t->queries; q++) {
        int64_t lo = more(t->first[q], base), hi = less(t->straight[q], base + BLOCK);
        if (lo < hi) from = less(from, lo), to = more(to, hi);
        strays |= less(t->last[q], base + BLOCK) > more(t->straight[q], base);
    }
    if (from < to) {
        from &= ~(int64_t)15;
        score_slots(t, from, (to + 15) & ~(int64_t)15, scores + (from - base), BLOCK);
    }
    if (!strays) return;
    int64_t start = t->fresh_from & ~(int64_t)15, width = ((t->fresh_to + 15) & ~(int64_t)15) - start;
    score_slots(t, start, start + width, fresh, width);
    for (int q = 0; q < t->queries; q++) {
        int64_t hi = less(t->last[q], base + BLOCK);
        for (int64_t p = more(more(t->straight[q], base), t->first[q]); p < hi; p++)
            scores[q * BLOCK + p - base] = fresh[q * width + t->stray[q][p - t->straight[q]] - start];
    }
}

/* Scores from..to-1 of one block become weights; returns their sum and the largest score. */
static float softmax_block(float *s, int from, int to, float cap, float *largest) {
    vf most = v_set(NOTHING), sum = v_set(0.0f), c = v_set(cap), inverse = v_set(cap > 0 ? 1.0f / cap : 0.0f);
    for (int i = from & ~15; i < to; i += 16) {
        vf x = v_load(s + i);
        const int edge = i < from || i + 16 > to;
        if (cap > 0) x = v_mul(v_tanh(v_mul(x, inverse)), c);
        if (edge) x = v_keep(x, (int)more(from - i, 0), (int)less(to - i, 16), NOTHING);
        if (cap > 0 || edge) v_store(s + i, x);
        most = v_max(x, most);
    }
    *largest = v_largest(most);
    most = v_set(*largest);
    for (int i = from & ~15; i < to; i += 16) {
        vf e = v_exp(v_sub(v_load(s + i), most));
        if (i < from || i + 16 > to) e = v_keep(e, (int)more(from - i, 0), (int)less(to - i, 16), 0.0f);
        v_store(s + i, e);
        sum = v_add(sum, e);
    }
    return v_sum(sum);
}

/* Values of positions from..to-1 for one query: straight slots, then strays. */
static void add_positions(const QueryTile *t, int q, int64_t base, int64_t from, int64_t to, const float *s, float *o) {
    int64_t straight = less(to, t->straight[q]);
    if (from < straight) add_values(t, 1, s + from - base, from, straight - from, o, 0);
    for (int64_t p = more(from, t->straight[q]); p < to; p++)
        add_values(t, 1, s + p - base, t->stray[q][p - t->straight[q]], 1, o, 0);
}

/* The rest of a block in floats: what several queries see straight is read once for VALUE_ROWS of them. */
static void add_block(const QueryTile *t, int64_t base, const float *weights, float *out, int64_t out_stride) {
    for (int q = 0, rows; q < t->queries; q += rows) {
        rows = t->queries - q >= VALUE_ROWS ? VALUE_ROWS : 1;
        int64_t from = base, to = base + BLOCK;
        for (int r = q; r < q + rows; r++) from = more(from, t->first[r]), to = less(to, t->straight[r]);
        if (rows == 1 || from >= to) from = to = base;
        for (int r = q; from > base && r < q + rows; r++)
            add_positions(t, r, base, more(t->first[r], base), from, weights + r * BLOCK, out + r * out_stride);
        if (from < to)
            add_values(t, rows, weights + q * BLOCK + from - base, from, to - from, out + q * out_stride, out_stride);
        for (int r = q; r < q + rows; r++)
            add_positions(t, r, base, more(t->first[r], to), less(t->last[r], base + BLOCK), weights + r * BLOCK,
                          out + r * out_stride);
    }
}

static void attend(const QueryTile *t, int64_t block, float *work, float *out, int64_t out_stride) {
    const int64_t base = block * BLOCK;
    block_scores(t, base, work, work + t->queries * BLOCK);
    for (int q = 0; q < t->queries; q++) {
        float *o = out + q * out_stride;
        int64_t lo = more(t->first[q], base), hi = less(t->last[q], base + BLOCK);
        for (int64_t d = 0; d < t->dim; d += 16) v_store(o + d, v_set(0.0f));
        o[t->dim] = NOTHING, o[t->dim + 1] = 0.0f;
        if (lo < hi)
            o[t->dim + 1] = softmax_block(work + q * BLOCK, (int)(lo - base), (int)(hi - base), t->softcap, o + t->dim);
    }
    if (t->key_value_dtype == KV_INT8)
        add_block_int8(t, base, work, out, out_stride);
    else
        add_block(t, base, work, out, out_stride);
}

static void attend_store(const float *x, int64_t dim, void *keys, void *values, int64_t slot, int32_t dtype) {
    if (dtype == KV_INT8) store_int8(x, dim, keys, values, slot);
    else rows_store(x, dim, keys, values, slot, dtype);
}

/* state (+) part; an empty part (sum 0) changes nothing. */
static void attend_fold(float *state, const float *part, int64_t dim) {
    if (part[dim + 1] == 0.0f) return;
    if (state[dim + 1] == 0.0f) {
        memcpy(state, part, (size_t)(dim + 2) * sizeof(float));
        return;
    }
    float most = state[dim] > part[dim] ? state[dim] : part[dim], factor[16];
    vf old = v_exp(v_set(state[dim] - most)), new = v_exp(v_set(part[dim] - most));
    for (int64_t d = 0; d < dim; d += 16) v_store(state + d, v_fma(v_load(part + d), new, v_mul(v_load(state + d), old)));
    v_store(factor, v_fma(v_set(part[dim + 1]), new, v_mul(v_set(state[dim + 1]), old)));
    state[dim] = most, state[dim + 1] = factor[0];
}

static void attend_finish(const float *state, int64_t dim, float *out) {
    vf inverse = v_set(1.0f / state[dim + 1]);
    for (int64_t d = 0; d < dim; d += 16) v_store(out + d, v_mul(v_load(state + d), inverse));
}
