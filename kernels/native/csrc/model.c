/* Models and caches: their memory, the activations' layout, and commit. */
#include "model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void *buffer_room(Buffer *buffer, int64_t size) {
    if (size > buffer->size) {
        native_memory_free(buffer->memory, buffer->size);
        buffer->memory = native_memory_new(size);
        buffer->size = buffer->memory ? size : 0;
    }
    return buffer->memory;
}

int native_model_new(void *image, int64_t size, const Kernels *kernels, Pool *pool, Model **model) {
    if (!kernels || !pool || !model) return NATIVE_BAD_ARGUMENT;
    Model *made = calloc(1, sizeof *made);
    if (!made) return NATIVE_NO_MEMORY;
    made->kernels = kernels;
    made->pool = pool;
    int code = image_view(image, size, &made->image);
    if (code) {
        free(made);
        return code;
    }
    *model = made;
    return NATIVE_OK;
}

void native_model_free(Model *model) {
    if (!model) return;
    for (int i = 0; i < MAX_ROTARIES; i++) free(model->cosine[i]), free(model->sine[i]);
    for (int i = 0; i < BUFFERS; i++) native_memory_free(model->buffers[i].memory, model->buffers[i].size);
    free(model->image.layers);
    free(model);
}

/* Angles are float32 products, as transformers has them; cosine and sine are rounded once from double. */
int model_positions(Model *model, int64_t positions) {
    const Spec *s = model->image.spec;
    const int64_t half = s->rotary_dims / 2;
    if (positions <= model->positions) return NATIVE_OK;
    for (int t = 0; t < s->rotaries; t++) {
        float *cosine = realloc(model->cosine[t], (size_t)(positions * half + 1) * 4);
        if (cosine) model->cosine[t] = cosine;
        float *sine = realloc(model->sine[t], (size_t)(positions * half + 1) * 4);
        if (sine) model->sine[t] = sine;
        if (!cosine || !sine) return NATIVE_NO_MEMORY;
        for (int64_t p = model->positions; p < positions; p++)
            for (int64_t i = 0; i < half; i++) {
                float angle = (float)p * model->image.frequencies[t][i];
                cosine[p * half + i] = (float)cos((double)angle) * s->rotary_scale[t];
                sine[p * half + i] = (float)sin((double)angle) * s->rotary_scale[t];
            }
    }
    model->positions = positions;
    return NATIVE_OK;
}

int64_t act_bytes(int32_t format, int64_t rows, int64_t inner) {
    return (format == FORMAT_INT8 ? rows * inner + 2 * rows * (inner / GROUP) * 4 : rows * inner * 4) + 256;
}

Act act_at(int32_t format, int64_t rows, int64_t inner, void *memory) {
    Act act = {.inner = inner};
    if (format != FORMAT_INT8) {
        act.x = memory;
        return act;
    }
    char *at = memory;
    const int64_t groups = (rows * (inner / GROUP) * 4 + 63) & ~(int64_t)63;
    act.scale = (float *)at;
    act.offset = (int32_t *)(at + groups);
    act.q = (int8_t *)(at + 2 * groups);
    return act;
}

void act_put_rows(const Model *model, const Act *act, Tile tile, int64_t i, int64_t rows, const float *const *x,
                  const float *norm, const float *weight, int64_t from, int64_t count) {
    const Kernels *k = model->kernels;
    if (act->x) {
        float *to = act->x + tile.row * act->inner + from * tile.rows + i;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < count; c++) to[c * tile.rows + r] = norm ? x[r][c] * norm[r] * weight[c] : x[r][c];
        return;
    }
    const int64_t group = tile.row * (act->inner / GROUP) + from / GROUP * tile.rows + i, row = k->row_major ? act->inner : 4;
    int8_t *q = act->q + tile.row * act->inner + (k->row_major ? from : from * tile.rows) + i * row;
    k->quantise(x, rows, norm, weight, count, q, row, k->row_major ? 4 : 4 * tile.rows, act->scale + group,
                     act->offset + group, tile.rows);
}

const void *linear_panel(const Model *model, const Linear *linear, int64_t panel) {
    return (const char *)linear->w + linear_bytes(model->image.spec->format, linear->inner, panel);
}

void linear_tile_ahead(const Model *model, const Linear *linear, int64_t panel, const Act *act, Tile tile, float *out,
                       int64_t stride, const void *ahead) {
    const Kernels *k = model->kernels;
    const int64_t inner = linear->inner, at = tile.row * inner;
    const void *w = linear_panel(model, linear, panel);
    if (model->image.spec->format == FORMAT_INT8)
        k->panel_int8(act->q + at, act->scale + at / GROUP, act->offset + at / GROUP, tile.rows, inner, w,
                      linear->scale + panel * 16, out, stride, ahead);
    else if (model->image.spec->format == FORMAT_FLOAT32)
        k->panel_float32(act->x + at, tile.rows, inner, w, out, stride);
    else
        k->panel_bfloat16(act->x + at, tile.rows, inner, w, out, stride);
}

void linear_tile(const Model *model, const Linear *linear, int64_t panel, const Act *act, Tile tile, float *out,
                 int64_t stride) {
    linear_tile_ahead(model, linear, panel, act, tile, out, stride, NULL);
}

void add_bias(const float *bias, float *out, int64_t stride, int64_t rows) {
    if (!bias) return;
    for (int64_t r = 0; r < rows; r++)
        for (int c = 0; c < 16; c++) out[r * stride + c] += bias[c];
}

int64_t deal_tiles(int64_t rows, int64_t row_tile, Tile *tiles) {
    const int64_t count = (rows + row_tile - 1) / row_tile;
    int64_t row = 0;
    for (int64_t t = 0; t < count; t++) {
        tiles[t] = (Tile){row, rows / count + (t < rows % count)};
        row += tiles[t].rows;
    }
    return count;
}
