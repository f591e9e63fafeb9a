/* A packed model in memory: a header, then every tensor at an offset that follows from the header alone. */
#ifndef IMAGE_H
#define IMAGE_H

#include "native.h"

/* Outputs [panels * 16] of inner inputs each; w by the format, see kernels.h. */
typedef struct Linear {
    int64_t inner, panels;
    void *w;
    float *scale; /* int8 only */
    float *bias;  /* or NULL */
} Linear;

typedef struct Layer {
    Linear qkv, out, gate_up, down; /* gate and up panels alternate */
    float *attention_norm, *after_attention_norm, *mlp_norm, *after_mlp_norm, *query_norm, *key_norm;
} Layer;

typedef struct Image {
    const Spec *spec;
    const LayerSpec *layer_specs;
    void *embedding; /* [vocabulary][hidden], bfloat16 unless the format is float32 */
    float *final_norm, *frequencies[MAX_ROTARIES];
    Linear head;
    Layer *layers;
} Image;

void embed_token(const Image *image, int32_t token, float *x); /* [hidden], scaled */
/* Row `output` of a linear layer from its `inner` weights, and back as they are kept; pack.c. */
void linear_put(const Linear *linear, int32_t format, int64_t output, const float *line);
void linear_get(const Linear *linear, int32_t format, int64_t output, float *line);
int64_t linear_bytes(int32_t format, int64_t inner, int64_t panels); /* of w */
int spec_fits(const Spec *spec, const LayerSpec *layers);
int image_view(void *image, int64_t size, Image *view); /* view->layers is the caller's to free */

#endif
