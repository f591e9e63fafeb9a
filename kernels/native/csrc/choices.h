/* Work along one row of logits: its largest entries, sums of exponentials, ranks, seeded noise and picks by it.
 *
 * Entry i belongs to lane i % 16 and entries are taken in rising order, so results do not depend on the set. Equal
 * entries are in the order of their ids; what is not a number counts as no larger than anything. */

#define NOISE_AT_MOST 23.0f /* the largest noise is -log(2^-33) = 22.9 */

/* Entries i.. of a row of count, `other` behind its end. */
static inline vf row_at(const float *x, int64_t i, int64_t count, float other) {
    float rest[16];
    if (i + 16 <= count) return v_load(x + i);
    for (int k = 0; k < 16; k++) rest[k] = i + k < count ? x[i + k] : other;
    return v_load(rest);
}

/* Up to `wanted` (at least 1) largest entries above -inf, best first; returns how many. */
static int64_t choices_top(const float *x, int64_t count, int64_t wanted, int32_t *ids, float *values) {
    int64_t found = 0;
    float least = -__builtin_inff(); /* what a new one must exceed */
    for (int64_t i = 0; i < count; i += 16)
        for (uint32_t new = v_below(v_set(least), row_at(x, i, count, least)); new; new &= new - 1) {
            const int64_t id = i + __builtin_ctz(new);
            const float value = x[id];
            if (!(value > least)) continue;
            int64_t at = found < wanted ? found++ : wanted - 1;
            for (; at && values[at - 1] < value; at--) values[at] = values[at - 1], ids[at] = ids[at - 1];
            values[at] = value, ids[at] = (int32_t)id;
            if (found == wanted) least = values[wanted - 1];
        }
    return found;
}

/* Ids of the entries above `bound`; returns how many. */
static int64_t choices_above(const float *x, int64_t count, float bound, int32_t *ids) {
    int64_t found = 0;
    for (int64_t i = 0; i < count; i += 16)
        for (uint32_t above = v_below(v_set(bound), row_at(x, i, count, bound)); above; above &= above - 1)
            ids[found++] = (int32_t)i + __builtin_ctz(above);
    return found;
}

/* Of exp(x * scale - shift); into e too where that is not NULL. */
static float choices_exp_sum(const float *x, int64_t count, float scale, float shift, float *e) {
    const vf s = v_set(scale), minus = v_set(-shift);
    vf sum = v_set(0.0f);
    for (int64_t i = 0; i < count; i += 16) {
        vf y = v_exp(v_fma(row_at(x, i, count, 0.0f), s, minus));
        if (i + 16 > count) y = v_keep(y, 0, (int)(count - i), 0.0f);
        sum = v_add(sum, y);
        if (e) v_store(e + i, y); /* room to a multiple of 16 */
    }
    return v_sum(sum);
}

static float choices_log(float x) {
    float y[16];
    v_store(y, v_log(v_set(x)));
    return y[0];
}

static float choices_exp(float x) {
    float y[16];
    v_store(y, v_exp(v_set(x)));
    return y[0];
}

/* 1 + entries that come before entry `id`: larger, or equal with a lower id. */
static int64_t choices_rank(const float *x, int64_t count, int64_t id) {
    const vf own = v_set(x[id]);
    int64_t before = 1;
    for (int64_t i = 0; i < count; i += 16) {
        const vf y = row_at(x, i, count, -__builtin_inff());
        if (i + 16 <= id) before += 16 - __builtin_popcount(v_below(y, own));
        else if (i > id) before += __builtin_popcount(v_below(own, y));
        else
            for (int64_t k = i; k < i + 16 && k < count; k++) before += x[k] > x[id] || (x[k] == x[id] && k < id);
    }
    return before;
}

/* Noise of the entries ids[0..count-1], or of first, first + 1, ... where ids is NULL; room to a multiple of 16. */
static void choices_noise(const int32_t *ids, int64_t first, int64_t count, uint32_t stream, uint32_t step, float *noise) {
    for (int64_t i = 0; i < count; i += 16) {
        int32_t rest[16] = {0};
        for (int64_t k = 0; ids && i + 16 > count && i + k < count; k++) rest[k] = ids[i + k];
        vi entry = !ids ? i_count((uint32_t)(first + i)) : i_load(i + 16 > count ? rest : ids + i);
        v_store(noise + i, v_gumbel(i_mix(i_xor(i_mix(i_add(entry, i_set(stream))), i_set(step)))));
    }
}

/* The entry of the largest x / temperature + noise among those of at least `threshold`, and how far it is ahead of the
 * next (infinite if it is alone). Vectors that cannot hold either are left out by a bound on the noise: the entries of
 * the two largest logits tell what best and second are at least. */
static int64_t choices_pick(const float *x, int64_t count, float threshold, float temperature, uint32_t stream,
                            uint32_t step, float *gap) {
    const vf t = v_set(temperature), least = v_set(threshold);
    float bound = -__builtin_inff(), most = bound, second = bound, values[2], noise[16];
    int32_t ids[2] = {0};
    int64_t best = 0;
    if (choices_top(x, count, 2, ids, values) == 2 && values[1] >= threshold) {
        choices_noise(ids, 0, 2, stream, step, noise);
        const float a = values[0] / temperature + noise[0], b = values[1] / temperature + noise[1];
        bound = (a < b ? a : b) - NOISE_AT_MOST;
    } else best = ids[0];
    for (int64_t i = 0; i < count; i += 16) {
        const vf y = row_at(x, i, count, -__builtin_inff()), scaled = v_div(y, t);
        uint32_t open = ~(v_below(y, least) | v_below(scaled, v_set(bound))) & 0xffff;
        if (!open) continue;
        choices_noise(NULL, i, 16, stream, step, noise);
        float score[16];
        v_store(score, v_add(scaled, v_load(noise)));
        for (; open; open &= open - 1) {
            const int k = __builtin_ctz(open);
            if (i + k >= count) break;
            if (score[k] > most) second = most, most = score[k], best = i + k;
            else if (score[k] > second) second = score[k];
        }
    }
    *gap = second == -__builtin_inff() ? __builtin_inff() : most - second;
    return best;
}
