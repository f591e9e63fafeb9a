/* Keys and values of one sequence. For each layer and key-value head: keys in panels [slot / 16][dim][16], then values
 * [slot][dim]; memory that was never written is never backed. */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static int64_t element(const Cache *cache) {
    const int32_t dtype = cache->model->image.spec->key_value_dtype;
    return dtype == KV_INT8 ? 1 : dtype == KV_BFLOAT16 ? 2 : 4;
}

static int64_t head_bytes(const Cache *cache) { /* of keys, or of values; each int8 slot has a scale */
    const int64_t size = element(cache);
    return cache->slots * (cache->model->image.spec->head_dim * size + (size == 1 ? 4 : 0));
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
    made->capacity = capacity;
    made->slots = (capacity + BLOCK - 1) / BLOCK * BLOCK;
    const Spec *s = model->image.spec;
    made->size = head_bytes(made) * 2 * s->layers * s->key_value_heads;
    made->memory = native_memory_new(made->size);
    int code = made->memory ? pool_enter(model->pool) : NATIVE_NO_MEMORY;
    if (made->memory) {
        if (!code) code = model_positions(model, made->slots);
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

/* Where dim d of a slot's key and value lie, and its scales (int8 only): layouts as in kernels.h, attention_int8.h. */
typedef struct Places {
    char *key, *value, *key_scale, *value_scale;
    int64_t dim, size;
} Places;

static Places places_of(const Cache *cache, char *keys, char *values, int64_t slot) {
    const int64_t dim = cache->model->image.spec->head_dim, size = element(cache);
    if (size > 1)
        return (Places){keys + (slot / 16 * dim * 16 + slot % 16) * size, values + slot * dim * size, NULL, NULL, dim, size};
    char *panel = keys + slot / 16 * (dim * 16 + 64), *block = values + slot / BLOCK * (dim + 4) * BLOCK;
    return (Places){panel + slot % 16 * 4, block + slot % BLOCK / 4 * 64 + slot % 4, panel + dim * 16 + slot % 16 * 4,
                    block + dim * BLOCK + slot % BLOCK * 4, dim, size};
}

static void move(char *there, char *kept, int64_t size, int store) {
    memcpy(store ? there : kept, store ? kept : there, (size_t)size);
}

static int64_t kept_bytes(const Cache *cache) { return cache->model->image.spec->head_dim * 2 * element(cache) + 8; }

/* One slot's key and value to `kept`, or back. */
static void move_slot(Places p, char *kept, int store) {
    for (int64_t d = 0; d < p.dim; d++, kept += 2 * p.size) {
        const int64_t key = p.size > 1 ? d * 16 * p.size : d / 4 * 64 + d % 4;
        move(p.key + key, kept, p.size, store);
        move(p.value + (p.size > 1 ? d * p.size : d / 16 * 16 * BLOCK + d % 16 * 4), kept + p.size, p.size, store);
    }
    if (p.size > 1) return;
    move(p.key_scale, kept, 4, store);
    move(p.value_scale, kept + 4, 4, store);
}

/* Rows path[i] of the fresh ones go to slots committed + i: all are loaded before one is stored. */
static void commit_head(const Cache *cache, char *keys, char *values, int64_t committed, const int32_t *path,
                        int64_t count, char *kept) {
    for (int store = 0; store < 2; store++)
        for (int64_t i = 0; i < count; i++)
            move_slot(places_of(cache, keys, values, committed + (store ? i : path[i])), kept + i * kept_bytes(cache), store);
}

int native_cache_commit(Cache *cache, int64_t committed, const int32_t *path, int64_t count) {
    if (!cache || !path || committed < 0 || count < 0 || count > cache->capacity - committed) return NATIVE_BAD_ARGUMENT;
    for (int64_t i = 0; i < count; i++)
        if (path[i] < 0 || path[i] >= cache->capacity - committed) return NATIVE_BAD_ARGUMENT;
    int64_t still = 0;
    while (still < count && path[still] == still) still++; /* these are where they belong */
    if (still == count) return NATIVE_OK;
    const Spec *s = cache->model->image.spec;
    char *kept = malloc((size_t)((count - still) * kept_bytes(cache)));
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
