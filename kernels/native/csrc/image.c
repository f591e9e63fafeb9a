/* Where each tensor of a packed model lies, and whether memory or a mapped file holds one. */
#define _GNU_SOURCE
#include "image.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MAGIC 0x31656c6974616e72ull
#define HUGE_PAGE (2 << 20)

typedef struct Header {
    uint64_t magic;
    int32_t version, header_bytes;
    int64_t size;
    Spec spec; /* LayerSpec[layers] follow */
} Header;

static int in(int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; }

int spec_fits(const Spec *s, const LayerSpec *layers) {
    if (!s || !layers || !in(s->format, 0, FORMAT_BFLOAT16) || !in(s->key_value_dtype, 0, KV_INT8)) return 0;
    if (!in(s->layers, 1, 4096) || !in(s->hidden, 32, 1 << 20) || !in(s->inner, 32, 1 << 22)) return 0;
    if (!in(s->heads, 1, 4096) || !in(s->key_value_heads, 1, s->heads) || s->heads % s->key_value_heads) return 0;
    if (!in(s->head_dim, 16, MAX_HEAD_DIM) || s->head_dim % 16 || !in(s->vocabulary, 1, 1 << 28)) return 0;
    if (s->hidden % GROUP || s->inner % GROUP || s->heads * s->head_dim % GROUP) return 0;
    if (s->key_value_dtype == KV_INT8 && s->head_dim % GROUP) return 0;
    if (!in(s->rotary_dims, 0, s->head_dim) || s->rotary_dims % 2 || !in(s->rotaries, 0, MAX_ROTARIES)) return 0;
    if (!in(s->activation, 0, ACT_GELU_TANH) || !in(s->qk_norm, 0, QK_NORM_ROW)) return 0;
    for (int i = 0; i < s->layers; i++)
        if (layers[i].window < 0 || !in(layers[i].rotary, -1, s->rotaries - 1)) return 0;
    return 1;
}

int64_t linear_bytes(int32_t format, int64_t inner, int64_t panels) {
    return inner * panels * 16 * (format == FORMAT_INT8 ? 1 : format == FORMAT_BFLOAT16 ? 2 : 4);
}

/* Gives out pieces of 64-byte alignment; base may be NULL, then only the offset counts. */
typedef struct Cursor {
    char *base;
    int64_t offset;
} Cursor;

static void *piece(Cursor *at, int64_t bytes) {
    void *start = at->base ? at->base + at->offset : NULL;
    at->offset += (bytes + 63) & ~(int64_t)63;
    return start;
}

static float *vector(Cursor *at, int64_t count, int wanted) {
    return wanted ? piece(at, ((count + 15) & ~(int64_t)15) * 4) : NULL;
}

static Linear linear(Cursor *at, const Spec *s, int64_t inner, int64_t outputs, int bias) {
    Linear l = {.inner = inner, .panels = (outputs + 15) / 16};
    at->offset = (at->offset + 4095) & ~(int64_t)4095;
    l.w = piece(at, linear_bytes(s->format, inner, l.panels));
    l.scale = vector(at, l.panels * 16, s->format == FORMAT_INT8);
    l.bias = vector(at, l.panels * 16, bias);
    return l;
}

static Layer layer_view(Cursor *at, const Spec *s) {
    const int64_t query = (int64_t)s->heads * s->head_dim, key = (int64_t)s->key_value_heads * s->head_dim;
    Layer l = {0};
    l.attention_norm = vector(at, s->hidden, s->flags & NORM_BEFORE_ATTENTION);
    l.qkv = linear(at, s, s->hidden, query + 2 * key, s->flags & BIAS_QKV);
    l.query_norm = vector(at, s->qk_norm == QK_NORM_ROW ? query : s->head_dim, s->qk_norm);
    l.key_norm = vector(at, s->qk_norm == QK_NORM_ROW ? key : s->head_dim, s->qk_norm);
    l.out = linear(at, s, query, s->hidden, s->flags & BIAS_OUT);
    l.after_attention_norm = vector(at, s->hidden, s->flags & NORM_AFTER_ATTENTION);
    l.mlp_norm = vector(at, s->hidden, s->flags & NORM_BEFORE_MLP);
    l.gate_up = linear(at, s, s->hidden, 2 * (int64_t)s->inner, s->flags & BIAS_GATE_UP);
    l.down = linear(at, s, s->inner, s->hidden, s->flags & BIAS_DOWN);
    l.after_mlp_norm = vector(at, s->hidden, s->flags & NORM_AFTER_MLP);
    return l;
}

static int64_t header_bytes(const Spec *s) {
    return ((int64_t)sizeof(Header) + s->layers * (int64_t)sizeof(LayerSpec) + 63) & ~(int64_t)63;
}

/* Fills view (layers allocated) when it is not NULL; returns the image's size. */
static int64_t walk(const Spec *s, char *base, Image *view) {
    Cursor at = {base, header_bytes(s)};
    Image scratch, *v = view ? view : &scratch;
    v->final_norm = vector(&at, s->hidden, 1);
    for (int i = 0; i < s->rotaries; i++) v->frequencies[i] = vector(&at, s->rotary_dims / 2, 1);
    for (int i = 0; i < s->layers; i++) {
        Layer l = layer_view(&at, s);
        if (view) view->layers[i] = l;
    }
    v->head = linear(&at, s, s->hidden, s->vocabulary, 0);
    v->embedding = piece(&at, (int64_t)s->vocabulary * s->hidden * (s->format == FORMAT_FLOAT32 ? 4 : 2));
    return (at.offset + 4095) & ~(int64_t)4095;
}

int64_t native_image_size(const Spec *spec, const LayerSpec *layers) {
    return spec_fits(spec, layers) ? walk(spec, NULL, NULL) : 0;
}

int native_image_start(void *image, int64_t size, const Spec *spec, const LayerSpec *layers) {
    if (!spec_fits(spec, layers)) return NATIVE_BAD_SPEC;
    if (!image || (uintptr_t)image % 64 || size != walk(spec, NULL, NULL)) return NATIVE_BAD_ARGUMENT;
    Header header = {MAGIC, NATIVE_VERSION, (int32_t)header_bytes(spec), size, *spec};
    memcpy(image, &header, sizeof header);
    memcpy((char *)image + sizeof header, layers, (size_t)spec->layers * sizeof *layers);
    return NATIVE_OK;
}

int native_image_check(const void *image, int64_t size) {
    const Header *header = image;
    if (!image || (uintptr_t)image % 64 || size < (int64_t)sizeof *header) return NATIVE_BAD_IMAGE;
    const Spec *spec = &header->spec;
    if (header->magic != MAGIC || header->version != NATIVE_VERSION || header->size != size) return NATIVE_BAD_IMAGE;
    if (!in(spec->layers, 1, 4096) || header->header_bytes != header_bytes(spec) || size < header->header_bytes)
        return NATIVE_BAD_IMAGE;
    if (!spec_fits(spec, (const LayerSpec *)(header + 1)) || size != walk(spec, NULL, NULL)) return NATIVE_BAD_IMAGE;
    return NATIVE_OK;
}

int native_image_matches(const void *image, const Spec *spec, const LayerSpec *layers) {
    const Header *header = image;
    return !memcmp(&header->spec, spec, sizeof *spec) &&
           !memcmp(header + 1, layers, (size_t)spec->layers * sizeof *layers);
}

int image_view(void *image, int64_t size, Image *view) {
    int code = native_image_check(image, size);
    if (code) return code;
    const Header *header = image;
    view->spec = &header->spec;
    view->layer_specs = (const LayerSpec *)(header + 1);
    view->layers = calloc((size_t)header->spec.layers, sizeof *view->layers);
    if (!view->layers) return NATIVE_NO_MEMORY;
    walk(&header->spec, image, view);
    return NATIVE_OK;
}

void embed_token(const Image *image, int32_t token, float *x) {
    const Spec *s = image->spec;
    const int64_t start = (int64_t)token * s->hidden;
    for (int64_t i = 0; i < s->hidden; i++) {
        if (s->format == FORMAT_FLOAT32) {
            x[i] = ((const float *)image->embedding)[start + i];
        } else {
            uint32_t bits = (uint32_t)((const uint16_t *)image->embedding)[start + i] << 16;
            memcpy(&x[i], &bits, 4);
        }
        x[i] *= s->embedding_scale;
    }
}

#if defined(__SANITIZE_ADDRESS__)
/* From the heap, so that the sanitizer sees the ends. */
void *native_memory_new(int64_t size) {
    void *memory = size > 0 ? aligned_alloc(64, ((size_t)size + 63) & ~(size_t)63) : NULL;
    return memory ? memset(memory, 0, (size_t)size) : NULL;
}

void native_memory_free(void *memory, int64_t size) {
    (void)size;
    free(memory);
}
#else
void *native_memory_new(int64_t size) {
    if (size <= 0) return NULL;
    void *memory = mmap(NULL, (size_t)size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    uintptr_t start = (uintptr_t)memory, aligned = (start + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
    uintptr_t end = (aligned + (uintptr_t)size + 4095) & ~(uintptr_t)4095; /* trimmed to the page */
    if (aligned > start) munmap(memory, aligned - start);
    if (start + (uintptr_t)size + HUGE_PAGE > end) munmap((void *)end, start + (uintptr_t)size + HUGE_PAGE - end);
#ifdef MADV_HUGEPAGE
    madvise((void *)aligned, (size_t)size, MADV_HUGEPAGE); /* only a wish */
#endif
    return (void *)aligned;
}

void native_memory_free(void *memory, int64_t size) {
    if (memory) munmap(memory, (size_t)((size + 4095) & ~(int64_t)4095));
}
#endif
