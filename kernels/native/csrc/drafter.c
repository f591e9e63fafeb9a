/* A drafter's weights in the library: made from float32 rows, its tied head gathered from the base model's. */
#include "drafter.h"

#include <stdlib.h>
#include <string.h>

static int in(int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; }

static int64_t rounded(int64_t width) { return (width + GROUP - 1) / GROUP * GROUP; }

static int drafter_fits(const DrafterSpec *s, const Spec *base) {
    if (!in(s->format, 0, FORMAT_BFLOAT16) || s->hidden != base->hidden || !in(s->exit, 1, 1 << 20)) return 0;
    if (!in(s->blocks, 0, MOST_BLOCKS) || !in(s->drafted, 1, base->vocabulary) || !in(s->cut, 0, 1 << 20)) return 0;
    if (!in(s->taps, 0, 64) || !in(s->recent, 0, MOST_RECENT) || !in(s->context, 0, 1 << 20)) return 0;
    if (!in(s->lookup, 0, MOST_COPIED) || !in(s->match, 0, MOST_MATCH)) return 0;
    return s->context || (!s->taps && !s->recent);
}

static void *piece(char **at, int64_t bytes) {
    void *start = *at;
    *at += (bytes + 63) & ~(int64_t)63;
    return start;
}

static Linear layer(const Drafter *d, char **at, int64_t inner, int64_t outputs, int bias) {
    Linear l = {.inner = inner, .panels = (outputs + LANES - 1) / LANES};
    l.w = piece(at, linear_bytes(d->spec.format, inner, l.panels));
    if (d->spec.format == FORMAT_INT8) l.scale = piece(at, l.panels * LANES * 4);
    if (bias) l.bias = piece(at, l.panels * LANES * 4);
    return l;
}

/* Where each layer lies from `at` on; from 0 to measure. */
static int64_t lay(Drafter *d, char *start) {
    const DrafterSpec *s = &d->spec;
    const int64_t both = 2 * (int64_t)s->hidden;
    char *at = start;
    if (s->exit != both) d->input = layer(d, &at, both, d->exit, 1);
    if (s->recurrent) d->cell = layer(d, &at, both, s->hidden, 1);
    for (int i = 0; i < s->blocks; i++) d->blocks[i] = layer(d, &at, d->exit, d->exit, 1);
    d->output = layer(d, &at, d->exit, s->tied ? s->hidden : s->drafted, 0);
    if (s->tied) d->head = layer(d, &at, s->hidden, s->drafted, 0);
    if (s->context) d->in = layer(d, &at, d->context_in, d->context, 1), d->out = layer(d, &at, d->context, s->hidden, 1);
    if (s->lookup) d->lookup = layer(d, &at, s->hidden, s->hidden, 0), d->bonus = layer(d, &at, d->exit, 1, 1);
    d->ones = piece(&at, (int64_t)s->hidden * 4);
    if (d->spec.drafted < d->base->image.spec->vocabulary) d->ids = piece(&at, (int64_t)s->drafted * 4);
    return at - start;
}

/* The tied head: the base's own rows, requantised where it keeps others. */
static int gather_head(Drafter *d) {
    const Spec *base = d->base->image.spec;
    float *line = malloc((size_t)base->hidden * 4);
    if (!line) return NATIVE_NO_MEMORY;
    for (int64_t i = 0; i < d->spec.drafted; i++) {
        linear_get(&d->base->image.head, base->format, d->ids ? d->ids[i] : i, line);
        linear_put(&d->head, d->spec.format, i, line);
    }
    free(line);
    return NATIVE_OK;
}

static int take_ids(Drafter *d, const int32_t *ids) {
    if (!d->ids) return NATIVE_OK;
    for (int64_t i = 0; i < d->spec.drafted; i++) {
        if (!in(ids[i], 0, d->base->image.spec->vocabulary - 1) || (i && ids[i] <= ids[i - 1])) return NATIVE_BAD_TOKEN;
        d->ids[i] = ids[i];
    }
    return NATIVE_OK;
}

int native_drafter_new(Model *base, const DrafterSpec *spec, const int32_t *ids, Drafter **drafter) {
    if (!base || !spec || !drafter) return NATIVE_BAD_ARGUMENT;
    if (!drafter_fits(spec, base->image.spec)) return NATIVE_BAD_SPEC;
    if (spec->drafted < base->image.spec->vocabulary && !ids) return NATIVE_BAD_ARGUMENT;
    Drafter *d = calloc(1, sizeof *d);
    if (!d) return NATIVE_NO_MEMORY;
    d->spec = *spec;
    d->base = base;
    d->format = (Spec){.format = spec->format};
    d->lane = (Model){.image = {.spec = &d->format}, .kernels = base->kernels, .pool = base->pool};
    d->exit = rounded(spec->exit);
    d->context = rounded(spec->context);
    d->context_in = rounded((int64_t)spec->hidden * (1 + spec->taps + spec->recent) + spec->match + 1);
    d->size = lay(d, NULL);
    d->memory = native_memory_new(d->size); /* zeros: what is not packed adds nothing */
    int code = d->memory ? NATIVE_OK : NATIVE_NO_MEMORY;
    if (!code) {
        lay(d, d->memory);
        code = take_ids(d, ids);
        for (int64_t i = 0; i < spec->hidden; i++) d->ones[i] = 1.0f;
    }
    if (!code && spec->tied) code = gather_head(d);
    if (code) {
        native_drafter_free(d);
        return code;
    }
    *drafter = d;
    return NATIVE_OK;
}

void native_drafter_free(Drafter *d) {
    if (!d) return;
    native_memory_free(d->memory, d->size);
    native_memory_free(d->rows.memory, d->rows.size);
    native_memory_free(d->scratch.memory, d->scratch.size);
    native_memory_free(d->search.memory, d->search.size);
    free(d);
}

static Linear *layer_of(Drafter *d, int tensor, int index) {
    Linear *named[] = {&d->input, &d->cell, NULL, &d->output, &d->in, &d->out, &d->lookup, &d->bonus};
    if (!in(tensor, 0, DRAFT_BONUS)) return NULL;
    if (tensor == DRAFT_BLOCK) return in(index, 0, d->spec.blocks - 1) ? &d->blocks[index] : NULL;
    return named[tensor]->w ? named[tensor] : NULL;
}

int native_drafter_pack(Drafter *d, int tensor, int index, const float *weight, const float *bias, int64_t rows,
                        int64_t columns) {
    Linear *l = d && weight ? layer_of(d, tensor, index) : NULL;
    if (!l || !in(rows, 1, l->panels * LANES) || !in(columns, 1, l->inner) || !l->bias != !bias) return NATIVE_BAD_ARGUMENT;
    float *line = calloc((size_t)l->inner, 4);
    if (!line) return NATIVE_NO_MEMORY;
    for (int64_t i = 0; i < rows; i++) {
        memcpy(line, weight + i * columns, (size_t)columns * 4);
        linear_put(l, d->spec.format, i, line);
    }
    if (bias) memcpy(l->bias, bias, (size_t)rows * 4);
    free(line);
    return NATIVE_OK;
}

int32_t draft_id(const Drafter *d, int32_t full) {
    if (full < 0 || full >= d->base->image.spec->vocabulary) return -1;
    if (!d->ids) return full;
    int32_t low = 0, high = d->spec.drafted - 1;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (d->ids[middle] < full) low = middle + 1;
        else high = middle;
    }
    return d->ids[low] == full ? low : -1;
}
