/* Weights into panels: from float32, bfloat16 or float16 rows, in parallel over panels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

typedef struct Packing {
    Linear *linear; /* or NULL: a vector, or the embedding */
    void *target;
    int32_t format, dtype, target_dtype;
    int64_t first, step, rows, columns;
    const void *source;
    float *line; /* [threads][columns] */
} Packing;

static float from_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023, bits;
    if (exponent == 0) {
        float small = (float)fraction * 0x1p-24f;
        return sign ? -small : small;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static float from_bfloat16(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint16_t to_bfloat16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64); /* NaN stays one */
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static void read_row(const Packing *p, int64_t row, float *line) {
    const int64_t start = row * p->columns;
    for (int64_t k = 0; k < p->columns; k++) {
        if (p->dtype == DTYPE_FLOAT32) line[k] = ((const float *)p->source)[start + k];
        else if (p->dtype == DTYPE_BFLOAT16) line[k] = from_bfloat16(((const uint16_t *)p->source)[start + k]);
        else line[k] = from_half(((const uint16_t *)p->source)[start + k]);
    }
}

static void put_int8(const Linear *linear, int64_t output, const float *line) {
    const int64_t inner = linear->inner, lane = output % 16;
    uint8_t *w = (uint8_t *)linear->w + output / 16 * 16 * inner;
    float most = 0.0f;
    for (int64_t k = 0; k < inner; k++) most = fmaxf(most, fabsf(line[k]));
    const float scale = most / 127.0f, inverse = scale > 1e-30f ? 1.0f / scale : 0.0f;
    linear->scale[output] = scale > 1e-30f ? scale : 0.0f;
    for (int64_t k = 0; k < inner; k++) {
        float q = fmaxf(-127.0f, fminf(127.0f, rintf(line[k] * inverse)));
        w[k / 4 * 64 + lane * 4 + k % 4] = (uint8_t)((int)q + 128);
    }
}

void linear_put(const Linear *linear, int32_t format, int64_t output, const float *line) {
    if (format == FORMAT_INT8) {
        put_int8(linear, output, line);
        return;
    }
    const int64_t inner = linear->inner, start = output / 16 * 16 * inner + output % 16;
    for (int64_t k = 0; k < inner; k++) {
        if (format == FORMAT_FLOAT32) ((float *)linear->w)[start + k * 16] = line[k];
        else ((uint16_t *)linear->w)[start + k * 16] = to_bfloat16(line[k]);
    }
}

void linear_get(const Linear *linear, int32_t format, int64_t output, float *line) {
    const int64_t inner = linear->inner, panel = output / 16 * 16 * inner, lane = output % 16;
    for (int64_t k = 0; k < inner; k++) {
        if (format == FORMAT_INT8)
            line[k] = (float)(((uint8_t *)linear->w)[panel + k / 4 * 64 + lane * 4 + k % 4] - 128) * linear->scale[output];
        else if (format == FORMAT_FLOAT32) line[k] = ((float *)linear->w)[panel + k * 16 + lane];
        else line[k] = from_bfloat16(((uint16_t *)linear->w)[panel + k * 16 + lane]);
    }
}

static void pack_job(void *context, Worker *worker) {
    const Packing *p = context;
    float *line = p->line + worker->index * p->columns;
    for (int64_t item; (item = worker_next(worker, (p->rows + 15) / 16)) >= 0;)
        for (int64_t row = item * 16; row < item * 16 + 16 && row < p->rows; row++) {
            read_row(p, row, line);
            if (p->linear) {
                linear_put(p->linear, p->format, (p->first + item * p->step) * 16 + row % 16, line);
                continue;
            }
            for (int64_t k = 0; k < p->columns; k++) {
                int64_t at = ((p->first + item * p->step) * 16 + row % 16) * p->columns + k;
                if (p->target_dtype == DTYPE_FLOAT32) ((float *)p->target)[at] = line[k];
                else ((uint16_t *)p->target)[at] = to_bfloat16(line[k]);
            }
        }
}

/* The matrix or vector that `tensor` names, its capacity in rows, and its columns. */
static int find(Image *v, int tensor, int layer, Packing *p, int64_t *capacity, int64_t *columns) {
    const Spec *s = v->spec;
    Layer *l = &v->layers[layer];
    Linear *linears[] = {&v->head, NULL, &l->qkv, &l->out, &l->gate_up, &l->down};
    *columns = 1;
    p->target_dtype = DTYPE_FLOAT32;
    if (tensor == TENSOR_EMBEDDING) {
        p->target = v->embedding, *capacity = s->vocabulary, *columns = s->hidden;
        p->target_dtype = s->format == FORMAT_FLOAT32 ? DTYPE_FLOAT32 : DTYPE_BFLOAT16;
    } else if (tensor == TENSOR_FREQUENCIES) {
        if (layer >= s->rotaries) return NATIVE_BAD_ARGUMENT;
        p->target = v->frequencies[layer], *capacity = s->rotary_dims / 2;
    } else if (tensor == TENSOR_HEAD || (tensor >= TENSOR_QKV && tensor <= TENSOR_DOWN)) {
        p->linear = linears[tensor - TENSOR_HEAD];
        *capacity = p->linear->panels * 16, *columns = p->linear->inner;
    } else if (tensor >= TENSOR_QKV_BIAS && tensor <= TENSOR_DOWN_BIAS) {
        Linear *of = linears[tensor - TENSOR_QKV_BIAS + 2];
        p->target = of->bias, *capacity = of->panels * 16;
    } else {
        int64_t query = s->qk_norm == QK_NORM_ROW ? (int64_t)s->heads * s->head_dim : s->head_dim;
        int64_t key = s->qk_norm == QK_NORM_ROW ? (int64_t)s->key_value_heads * s->head_dim : s->head_dim;
        float *vectors[] = {l->attention_norm, l->after_attention_norm, l->mlp_norm, l->after_mlp_norm, l->query_norm, l->key_norm};
        p->target = tensor == TENSOR_FINAL_NORM ? v->final_norm : vectors[tensor - TENSOR_ATTENTION_NORM];
        *capacity = tensor == TENSOR_QUERY_NORM ? query : tensor == TENSOR_KEY_NORM ? key : s->hidden;
    }
    return p->linear || p->target ? NATIVE_OK : NATIVE_BAD_ARGUMENT;
}

int native_pack(void *image, Pool *pool, int tensor, int layer, int64_t first, int64_t step, const void *source,
                int dtype, int64_t rows, int64_t columns) {
    Image view;
    int64_t capacity, wanted;
    if (!image || !pool || !source || tensor < 0 || tensor > TENSOR_KEY_NORM) return NATIVE_BAD_ARGUMENT;
    int code = image_view(image, ((const int64_t *)image)[2], &view);
    if (code) return code;
    Packing p = {.format = view.spec->format, .dtype = dtype, .first = first, .step = step, .rows = rows,
                 .columns = columns, .source = source};
    if (layer < 0 || layer >= view.spec->layers || dtype < 0 || dtype > DTYPE_FLOAT16 || first < 0 || step < 1 || rows < 1)
        code = NATIVE_BAD_ARGUMENT;
    else code = find(&view, tensor, layer, &p, &capacity, &wanted);
    if (!code && (columns != wanted || (first + (rows - 1) / 16 * step) * 16 + (rows - 1) % 16 >= capacity))
        code = NATIVE_BAD_ARGUMENT;
    if (!code && !(p.line = malloc((size_t)native_pool_threads(pool) * (size_t)columns * 4))) code = NATIVE_NO_MEMORY;
    if (!code) {
        code = pool_enter(pool);
        if (!code) code = pool_run(pool, pack_job, &p, 1);
        pool_leave(pool);
    }
    free(p.line);
    free(view.layers);
    return code;
}

int native_rows(Model *model, int head, const int32_t *ids, int64_t count, float *rows) {
    if (!model || !ids || count < 0 || !rows) return NATIVE_BAD_ARGUMENT;
    const Image *image = &model->image;
    for (int64_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= image->spec->vocabulary) return NATIVE_BAD_TOKEN;
    for (int64_t i = 0; i < count; i++) {
        float *row = rows + i * image->spec->hidden;
        if (head) linear_get(&image->head, image->spec->format, ids[i], row);
        else embed_token(image, ids[i], row);
    }
    return NATIVE_OK;
}
