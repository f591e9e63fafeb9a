/* A whole small model in C, for machines and builds where no Python runs: every instruction set at hand against plain
 * C, trees against chains, batches against single sequences, commit, and wrong arguments. Prints one line a set and
 * format, "SET FORMAT HASH", the hash of all logits' bits: the same on every machine. Exits 1 at the first difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

enum { HIDDEN = 64, INNER = 96, HEADS = 4, KV_HEADS = 2, DIM = 32, VOCAB = 83, LAYERS = 2, CONTEXT = 150, NODES = 14 };

static uint32_t state = 1;

static float noise(void) { /* -1..1 */
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) * 0x1p-23f - 1.0f;
}

static void fail(const char *what) {
    fprintf(stderr, "check failed: %s\n", what);
    exit(1);
}

static void expect(int got, int wanted, const char *what) {
    if (got != wanted) {
        fprintf(stderr, "%s: code %d instead of %d\n", what, got, wanted);
        exit(1);
    }
}

static void put(void *image, Pool *pool, int tensor, int layer, int64_t first, int64_t step, int64_t rows, int64_t columns) {
    float *values = malloc((size_t)(rows * columns) * 4);
    for (int64_t i = 0; i < rows * columns; i++) values[i] = columns == 1 ? 1.0f + 0.1f * noise() : 0.3f * noise();
    if (tensor == TENSOR_FREQUENCIES)
        for (int64_t i = 0; i < rows; i++) values[i] = 1.0f / (float)(1 + 5 * i * i);
    expect(native_pack(image, pool, tensor, layer, first, step, values, DTYPE_FLOAT32, rows, columns), 0, "pack");
    free(values);
}

static void put_layer(void *image, Pool *pool, int layer) {
    const int64_t query = HEADS * DIM, key = KV_HEADS * DIM;
    put(image, pool, TENSOR_QKV, layer, 0, 1, query + 2 * key, HIDDEN);
    put(image, pool, TENSOR_OUT, layer, 0, 1, HIDDEN, query);
    put(image, pool, TENSOR_GATE_UP, layer, 0, 2, INNER, HIDDEN);
    put(image, pool, TENSOR_GATE_UP, layer, 1, 2, INNER, HIDDEN);
    put(image, pool, TENSOR_DOWN, layer, 0, 1, HIDDEN, INNER);
    put(image, pool, TENSOR_QKV_BIAS, layer, 0, 1, query + 2 * key, 1);
    put(image, pool, TENSOR_ATTENTION_NORM, layer, 0, 1, HIDDEN, 1);
    put(image, pool, TENSOR_MLP_NORM, layer, 0, 1, HIDDEN, 1);
    put(image, pool, TENSOR_AFTER_MLP_NORM, layer, 0, 1, HIDDEN, 1);
    put(image, pool, TENSOR_QUERY_NORM, layer, 0, 1, DIM, 1);
    put(image, pool, TENSOR_KEY_NORM, layer, 0, 1, DIM, 1);
}

static Spec spec_of(int format, int dtype) {
    return (Spec){.format = format, .key_value_dtype = dtype, .layers = LAYERS, .hidden = HIDDEN, .inner = INNER,
                  .flags = NORM_BEFORE_ATTENTION | NORM_BEFORE_MLP | NORM_AFTER_MLP | BIAS_QKV, .qk_norm = QK_NORM_HEAD,
                  .heads = HEADS, .key_value_heads = KV_HEADS, .head_dim = DIM, .vocabulary = VOCAB, .rotary_dims = DIM,
                  .rotaries = 1, .norm_eps = 1e-5f, .attention_scale = 0.25f, .attention_softcap = 30.0f,
                  .logit_scale = 1.0f, .logit_softcap = 20.0f, .embedding_scale = 1.0f, .residual_scale = 0.8f,
                  .rotary_scale = {1.0f}};
}

static void *image_of(const Spec *spec, Pool *pool, int64_t *size) {
    const LayerSpec layers[LAYERS] = {{0, 0}, {40, -1}};
    *size = native_image_size(spec, layers);
    void *image = native_memory_new(*size);
    if (!image) fail("memory");
    expect(native_image_start(image, *size, spec, layers), 0, "start");
    state = 1;
    put(image, pool, TENSOR_EMBEDDING, 0, 0, 1, VOCAB, HIDDEN);
    put(image, pool, TENSOR_HEAD, 0, 0, 1, VOCAB, HIDDEN);
    put(image, pool, TENSOR_FINAL_NORM, 0, 0, 1, HIDDEN, 1);
    put(image, pool, TENSOR_FREQUENCIES, 0, 0, 1, DIM / 2, 1);
    for (int layer = 0; layer < LAYERS; layer++) put_layer(image, pool, layer);
    return image;
}

typedef struct Text {
    int32_t tokens[CONTEXT + NODES], parents[CONTEXT + NODES], depths[CONTEXT + NODES];
    float hidden[(CONTEXT + NODES) * HIDDEN], logits[(CONTEXT + NODES) * VOCAB];
} Text;

/* Rows `from`.. of a chain, `count` of them, in one forward. */
static void chain(Model *model, Cache *cache, Text *t, int64_t from, int64_t count) {
    for (int64_t i = 0; i < count; i++) t->parents[i] = (int32_t)i - 1, t->depths[i] = (int32_t)i;
    Segment segment = {cache, from, count};
    expect(native_forward(model, &segment, 1, t->tokens + from, t->parents, t->depths, NULL, 0, NULL, t->hidden + from * HIDDEN), 0, "forward");
}

static void same(const void *a, const void *b, size_t bytes, const char *what) {
    if (memcmp(a, b, bytes)) fail(what);
}

/* A tree of NODES rows after `committed`; some paths are then run alone, and the last of them is committed. */
static void tree(Model *model, Cache *cache, Text *t, int64_t committed) {
    static const int32_t parents[NODES] = {-1, 0, 1, 2, 0, 4, 5, 1, 7, 8, 4, 10, 9, 12};
    int32_t tokens[NODES], depths[NODES], path[NODES], chain_parents[NODES], chain_depths[NODES], chain_tokens[NODES];
    float hidden[NODES * HIDDEN], alone[NODES * HIDDEN];
    for (int i = 0; i < NODES; i++) {
        tokens[i] = (int32_t)(7 * i + 3) % VOCAB;
        depths[i] = parents[i] < 0 ? 0 : depths[parents[i]] + 1;
    }
    Segment segment = {cache, committed, NODES};
    expect(native_forward(model, &segment, 1, tokens, parents, depths, NULL, 0, NULL, hidden), 0, "tree");
    int count = 0;
    for (int node = 8; node < NODES; node += 5) {
        Cache *other;
        expect(native_cache_new(model, CONTEXT + NODES, &other), 0, "cache");
        chain(model, other, t, 0, committed);
        count = depths[node] + 1;
        for (int at = node, i = depths[node]; at >= 0; at = parents[at], i--) path[i] = at;
        for (int i = 0; i < count; i++) chain_tokens[i] = tokens[path[i]], chain_parents[i] = i - 1, chain_depths[i] = i;
        Segment single = {other, committed, count};
        expect(native_forward(model, &single, 1, chain_tokens, chain_parents, chain_depths, NULL, 0, NULL, alone), 0, "path");
        same(hidden + node * HIDDEN, alone + (count - 1) * HIDDEN, HIDDEN * 4, "a tree's row differs from its path alone");
        native_cache_free(other);
    }
    expect(native_cache_commit(cache, committed, path, count), 0, "commit");
    Segment next = {cache, committed + count, 1};
    float after[HIDDEN];
    expect(native_forward(model, &next, 1, tokens, parents, depths, NULL, 0, NULL, after), 0, "after commit");
    Cache *other;
    expect(native_cache_new(model, CONTEXT + NODES, &other), 0, "cache");
    chain(model, other, t, 0, committed);
    chain_tokens[count] = tokens[0], chain_parents[count] = count - 1, chain_depths[count] = count;
    Segment single = {other, committed, count + 1};
    expect(native_forward(model, &single, 1, chain_tokens, chain_parents, chain_depths, NULL, 0, NULL, alone), 0, "path");
    same(after, alone + count * HIDDEN, HIDDEN * 4, "what follows a commit differs");
    native_cache_free(other);
}

static void wrong_arguments(Model *model, Cache *cache, Text *t) {
    Segment segment = {cache, 0, 2}, full = {cache, CONTEXT + NODES, 20}, twice[2] = {{cache, 0, 1}, {cache, 0, 1}};
    int32_t tokens[2] = {1, VOCAB}, parents[2] = {-1, 0}, depths[2] = {0, 1}, late[2] = {-1, 1}, deep[2] = {0, 2};
    float *h = t->hidden;
    expect(native_forward(model, &segment, 1, tokens, parents, depths, NULL, 0, NULL, h), NATIVE_BAD_TOKEN, "token");
    tokens[1] = 2;
    expect(native_forward(model, &segment, 1, tokens, late, depths, NULL, 0, NULL, h), NATIVE_BAD_ROWS, "parent");
    expect(native_forward(model, &segment, 1, tokens, parents, deep, NULL, 0, NULL, h), NATIVE_BAD_ROWS, "depth");
    expect(native_forward(model, &full, 1, t->tokens, t->parents, t->depths, NULL, 0, NULL, h), NATIVE_CACHE_FULL, "full");
    expect(native_forward(model, twice, 2, tokens, parents, depths, NULL, 0, NULL, h), NATIVE_CACHE_TWICE, "twice");
    expect(native_forward(model, NULL, 1, tokens, parents, depths, NULL, 0, NULL, h), NATIVE_BAD_ARGUMENT, "no segments");
    expect(native_cache_commit(cache, CONTEXT, parents, 1), NATIVE_BAD_ARGUMENT, "commit of row -1");
    expect(native_logits(model, h, 0, t->logits), NATIVE_BAD_ARGUMENT, "no rows");
}

static uint64_t hash_of(const void *bytes, size_t count) {
    uint64_t hash = 1469598103934665603ull;
    for (size_t i = 0; i < count; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211ull;
    return hash;
}

static void run(int set, int format, int dtype, const char *name) {
    Pool *pool = native_pool_new(2);
    Spec spec = spec_of(format, dtype);
    int64_t size;
    void *image = image_of(&spec, pool, &size);
    Model *model;
    Cache *one, *pieces, *batch[2];
    Text *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
    expect(native_model_new(image, size, native_isa_kernels(set), pool, &model), 0, "model");
    for (int i = 0; i < CONTEXT + NODES; i++) a->tokens[i] = b->tokens[i] = (i * i + 3) % VOCAB;
    expect(native_cache_new(model, CONTEXT + NODES, &one) | native_cache_new(model, CONTEXT + NODES, &pieces), 0, "caches");
    expect(native_cache_new(model, 200, &batch[0]) | native_cache_new(model, 64, &batch[1]), 0, "caches");
    chain(model, one, a, 0, CONTEXT);
    for (int64_t from = 0, step = 1; from < CONTEXT; from += step, step = step % 23 + 5)
        chain(model, pieces, b, from, CONTEXT - from < step ? CONTEXT - from : step);
    same(a->hidden, b->hidden, CONTEXT * HIDDEN * 4, "a chain in pieces differs");
    Segment both[2] = {{batch[0], 0, 40}, {batch[1], 0, 40}};
    for (int i = 0; i < 40; i++) a->parents[i + 40] = a->parents[i], a->depths[i + 40] = a->depths[i], b->tokens[i + 40] = b->tokens[i];
    expect(native_forward(model, both, 2, b->tokens, a->parents, a->depths, NULL, 0, NULL, b->hidden), 0, "batch");
    same(a->hidden, b->hidden, 40 * HIDDEN * 4, "the first of a batch differs");
    same(a->hidden, b->hidden + 40 * HIDDEN, 40 * HIDDEN * 4, "the second of a batch differs");
    expect(native_logits(model, a->hidden, CONTEXT, a->logits), 0, "logits");
    tree(model, one, a, 120);
    wrong_arguments(model, one, b);
    printf("%s %s %016llx\n", native_isa_name(set), name, (unsigned long long)hash_of(a->logits, CONTEXT * VOCAB * 4));
    native_cache_free(one), native_cache_free(pieces), native_cache_free(batch[0]), native_cache_free(batch[1]);
    native_model_free(model);
    native_memory_free(image, size);
    native_pool_free(pool);
    free(a), free(b);
}

int main(void) {
    for (int set = 0; native_isa_name(set); set++) {
        if (native_isa_missing(set)) continue;
        expect(native_isa_differs(set), 0, native_isa_name(set));
        run(set, FORMAT_INT8, KV_BFLOAT16, "int8");
        run(set, FORMAT_FLOAT32, KV_FLOAT32, "float32");
        run(set, FORMAT_BFLOAT16, KV_INT8, "bfloat16");
    }
    return 0;
}
