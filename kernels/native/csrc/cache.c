/* Keys and values of one sequence. For each layer and key-value head: keys in panels [slot / 16][dim][16], then values
 * [slot][dim]; memory that was never written is never backed. */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static int64_t element(const Cache *cache) {
    return cache->model->image.spec->key_value_dtype == DTYPE_BFLOAT16 ? 2 : 4;
}

static int64_t head_bytes(const Cache *cache) { /* of keys, or of values */
    return cache->capacity * cache->model->image.spec->head_dim * element(cache);
}

void *cache_keys(const Cache *cache, int64_t layer, int64_t head) {
    return (char *)cache->memory + (layer * cache->model->image.spec->key_value_heads + head) * 2 * head_bytes(cache);
}

void *cache_values(const Cache *cache, int64_t layer, int64_t head) {
    return (char *)cache_keys(cache, layer, head) + head_bytes(cache);
}

int native_cache_new(Model *model, int64_t capacity, Cache **cache) {
    if (!model || !cache || capacity < 1 || capacity > (int64_t)1 << 24) return NATIVE_BAD_ARGUMENT;
    Cache *made = calloc(1, sizeof *made);
    if (!made) return NATIVE_NO_MEMORY;
    made->model = model;
    made->capacity = (capacity + 15) & ~(int64_t)15;
    const Spec *s = model->image.spec;
    made->size = head_bytes(made) * 2 * s->layers * s->key_value_heads;
    made->memory = native_memory_new(made->size);
    int code = made->memory ? pool_enter(model->pool) : NATIVE_NO_MEMORY;
    if (made->memory) {
        if (!code) code = model_positions(model, made->capacity);
        pool_leave(model->pool);
    }
    if (code) {
        native_cache_free(made);
        return code;
    }
    *cache = made;
    return NATIVE_OK;
}

void native_cache_free(Cache *cache) {
    if (!cache) return;
    native_memory_free(cache->memory, cache->size);
    free(cache);
}

/* Rows path[i] of the fresh ones go to slots committed + i: all are loaded before one is stored. */
static void commit_head(const Cache *cache, char *keys, char *values, int64_t committed, const int32_t *path,
                        int64_t count, char *kept) {
    const int64_t dim = cache->model->image.spec->head_dim, size = element(cache), row = dim * size;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < count; i++) {
            const int64_t slot = committed + (pass ? i : path[i]);
            char *key = keys + (slot / 16 * dim * 16 + slot % 16) * size, *value = values + slot * row;
            char *key_kept = kept + i * 2 * row, *value_kept = key_kept + row;
            for (int64_t d = 0; d < dim; d++)
                memcpy(pass ? key + d * 16 * size : key_kept + d * size, pass ? key_kept + d * size : key + d * 16 * size, (size_t)size);
            memcpy(pass ? value : value_kept, pass ? value_kept : value, (size_t)row);
        }
}

int native_cache_commit(Cache *cache, int64_t committed, const int32_t *path, int64_t count) {
    if (!cache || !path || committed < 0 || count < 0 || count > cache->capacity - committed) return NATIVE_BAD_ARGUMENT;
    for (int64_t i = 0; i < count; i++)
        if (path[i] < 0 || path[i] >= cache->capacity - committed) return NATIVE_BAD_ARGUMENT;
    int64_t still = 0;
    while (still < count && path[still] == still) still++; /* these are where they belong */
    if (still == count) return NATIVE_OK;
    const Spec *s = cache->model->image.spec;
    char *kept = malloc((size_t)((count - still) * 2 * s->head_dim * element(cache)));
    if (!kept) return NATIVE_NO_MEMORY;
    int32_t *moved = malloc((size_t)(count - still) * sizeof *moved);
    for (int64_t i = still; moved && i < count; i++) moved[i - still] = path[i] - (int32_t)still;
    if (!moved) {
        free(kept);
        return NATIVE_NO_MEMORY;
    }
    int code = pool_enter(cache->model->pool); /* no forward in between */
    for (int64_t layer = 0; !code && layer < s->layers; layer++)
        for (int64_t head = 0; head < s->key_value_heads; head++)
            commit_head(cache, cache_keys(cache, layer, head), cache_values(cache, layer, head), committed + still,
                        moved, count - still, kept);
    pool_leave(cache->model->pool);
    free(moved);
    free(kept);
    return code;
}
