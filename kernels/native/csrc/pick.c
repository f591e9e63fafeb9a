/* The base model's choice of a token, and the path its choices take down a tree: the rule of kernels/pick, in C.
 *
 * Greedy: the largest logit, the lowest id of equal ones. Else the largest of logit / temperature plus seeded noise
 * among what top-k and then top-p keep. Their bounds are found without sorting the vocabulary: by the ordered bits
 * of the floats, from the top down, eleven, eleven and ten bits at a time. */
#include <math.h>
#include <string.h>

#include "model.h"

enum { PICK_BUFFER = 19, BINS = 2048, PASSES = 3, FEW = 64 };

static const int shifts[PASSES] = {21, 10, 0}, sizes[PASSES] = {2048, 2048, 1024};

/* Floats as whole numbers of the same order. */
static uint32_t ordered(float x) {
    uint32_t bits;
    x += 0.0f; /* -0 is 0 */
    memcpy(&bits, &x, 4);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float of_ordered(uint32_t key) {
    const uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

/* The largest value v such that the weight of all entries of at least v reaches `wanted`; every entry weighs
 * weight[i], or 1 where that is NULL. Entries below `least` do not count. */
static float reach(const float *x, const float *weight, int64_t count, float least, double wanted) {
    uint32_t prefix = 0;
    double above = 0.0;
    for (int pass = 0; pass < PASSES; pass++) {
        double bin[BINS] = {0.0};
        const int shift = shifts[pass], known = pass ? shifts[pass - 1] : 32;
        for (int64_t i = 0; i < count; i++) {
            const uint32_t key = ordered(x[i]);
            if (x[i] < least || (known < 32 && (key ^ prefix) >> known)) continue;
            bin[key >> shift & (uint32_t)(sizes[pass] - 1)] += weight ? (double)weight[i] : 1.0;
        }
        int lowest = -1, at = sizes[pass] - 1;
        for (; at >= 0; at--) {
            if (bin[at] > 0.0) lowest = at;
            if (above + bin[at] >= wanted) break;
            above += bin[at];
        }
        if (at < 0) { /* rounding left the sum short: the least there is */
            if (lowest < 0) return least;
            at = lowest, above -= bin[at];
        }
        prefix |= (uint32_t)at << shift;
    }
    return of_ordered(prefix);
}

/* The least that top-k keeps: from a sorted few where k is small. */
static float least_of_k(const Kernels *k, const float *x, int64_t count, int32_t wanted) {
    int32_t ids[FEW];
    float values[FEW];
    if (wanted <= 0 || wanted >= count) return -INFINITY;
    if (wanted > FEW) return reach(x, NULL, count, -INFINITY, wanted);
    return k->top(x, count, wanted, ids, values) == wanted ? values[wanted - 1] : -INFINITY;
}

/* Candidates for top-p come first: entries that weigh no more than (1 - p) / V of the whole weigh at most 1 - p
 * together, so p is reached without them. */
static float threshold_of(Model *model, const Rule *rule, const float *x, int64_t count) {
    const Kernels *k = model->kernels;
    const float least = least_of_k(k, x, count, rule->top_k);
    float largest;
    int32_t id;
    if (rule->top_p >= 1.0f) return least;
    float *e = buffer_room(&model->buffers[PICK_BUFFER], (4 * count + 64) * 4), *value = e + count + 16;
    float *weight = value + count + 16;
    int32_t *ids = (int32_t *)(weight + count + 16);
    if (!e || !k->top(x, count, 1, &id, &largest)) return least;
    double total = (double)k->exp_sum(x, count, 1.0f / rule->temperature, largest / rule->temperature, e);
    if (least > -INFINITY) {
        total = 0.0;
        for (int64_t i = 0; i < count; i++) total += x[i] < least ? 0.0 : (double)e[i];
    }
    const double light = 0.999 * (1.0 - (double)rule->top_p) * total / (double)count;
    const int64_t found = k->above(e, count, (float)light, ids);
    for (int64_t i = 0; i < found; i++) value[i] = x[ids[i]], weight[i] = e[ids[i]];
    return reach(value, weight, found, least, (double)rule->top_p * total);
}

static uint32_t mix(uint32_t x) {
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

void noise_streams(uint32_t seed, int64_t position, uint32_t *stream, uint32_t *step) {
    const uint32_t spread = 0x9e3779b9u;
    *stream = mix(seed ^ spread);
    *step = mix((uint32_t)position * spread + *stream);
}

static int32_t pick_row(Model *model, const Rule *rule, const float *x, int64_t position, float *gap) {
    const Kernels *k = model->kernels;
    const int64_t count = model->image.spec->vocabulary;
    if (rule->temperature == 0.0f) {
        int32_t ids[2] = {0};
        float values[2] = {0};
        *gap = k->top(x, count, 2, ids, values) == 2 ? values[0] - values[1] : INFINITY;
        return ids[0];
    }
    uint32_t stream, step;
    noise_streams(rule->seed, position, &stream, &step);
    return (int32_t)k->pick(x, count, threshold_of(model, rule, x, count), rule->temperature, stream, step, gap);
}

int rule_fits(const Rule *rule) {
    return rule && rule->temperature >= 0.0f && rule->temperature < 1e6f && rule->top_p > 0.0f && rule->top_k >= 0;
}

int native_pick(Model *model, const Rule *rule, const float *logits, int64_t rows, const int64_t *positions,
                int32_t *picks, float *gaps) {
    if (!model || !rule_fits(rule) || !logits || rows < 1 || !positions || !picks) return NATIVE_BAD_ARGUMENT;
    const int64_t count = model->image.spec->vocabulary;
    int code = pool_enter(model->pool);
    for (int64_t r = 0; !code && r < rows; r++) {
        float gap;
        picks[r] = pick_row(model, rule, logits + r * count, positions[r], &gap);
        if (gaps) gaps[r] = gap;
    }
    pool_leave(model->pool);
    return code;
}

static int is_end(int32_t token, const int32_t *eos, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (eos[i] == token) return 1;
    return 0;
}

/* Logits of the rows up to and including `node`: of the first *have at once, later of all that are left. */
static int logits_for(Model *model, const Tree *tree, const float *hidden, float *logits, int64_t node, int64_t first,
                      int64_t *made) {
    if (node < *made) return NATIVE_OK;
    const Spec *s = model->image.spec;
    const int64_t to = node < first ? first : tree->nodes, from = *made;
    *made = to;
    return native_logits(model, hidden + from * s->hidden, to - from, logits + from * s->vocabulary);
}

static int tree_fits(const Tree *tree) {
    if (!tree || tree->nodes < 1 || !tree->token || !tree->parent || !tree->depth) return 0;
    for (int64_t i = 1; i < tree->nodes; i++)
        if (tree->parent[i] < 0 || tree->parent[i] >= i || tree->depth[i] != tree->depth[tree->parent[i]] + 1) return 0;
    return tree->depth[0] == 0;
}

int native_accept(Model *model, const Rule *rule, const Tree *tree, int64_t committed, const int32_t *eos,
                  int64_t eos_count, const float *hidden, float *logits, int64_t *have, int32_t *path, int32_t *picks,
                  int64_t *length, float *gap) {
    if (!model || !rule_fits(rule) || !tree_fits(tree) || eos_count < 0 || (eos_count && !eos)) return NATIVE_BAD_ARGUMENT;
    if (!hidden || !logits || !have || !path || !picks || !length || !gap || *have < 1) return NATIVE_BAD_ARGUMENT;
    const int64_t first = *have < tree->nodes ? *have : tree->nodes;
    int64_t made = 0;
    *length = 0;
    for (int64_t node = 0; node >= 0;) {
        path[*length] = (int32_t)node;
        picks[(*length)++] = -1;
        if (is_end(tree->token[node], eos, eos_count)) break;
        int code = logits_for(model, tree, hidden, logits, node, first, &made);
        const int64_t position = committed + tree->depth[node] + 1;
        int32_t pick = 0;
        if (!code) code = native_pick(model, rule, logits + node * model->image.spec->vocabulary, 1, &position, &pick, gap);
        if (code) return code;
        picks[*length - 1] = pick;
        int64_t child = -1;
        for (int64_t i = node + 1; child < 0 && i < tree->nodes; i++)
            if (tree->parent[i] == node && tree->token[i] == pick) child = i;
        node = child;
    }
    *have = made;
    return NATIVE_OK;
}
