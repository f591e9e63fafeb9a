/* A recurrent drafter beside its base model: its layers, and one draft while it is made. */
#ifndef DRAFTER_H
#define DRAFTER_H

#include "model.h"
#include "search.h"

enum { MOST_BLOCKS = 16 };

struct Drafter {
    DrafterSpec spec;
    Model *base;
    Spec format; /* only its format is set: what the activations' and tiles' functions ask a model for */
    Model lane;  /* with that spec, and the base's kernels and pool */
    int64_t exit, context, context_in; /* widths rounded up to what an input must be */
    Linear input, cell, blocks[MOST_BLOCKS], output, head, in, out, lookup, bonus;
    float *ones;  /* [hidden], a norm's weights */
    int32_t *ids; /* [drafted] full ids, rising; NULL where the head covers the vocabulary */
    void *memory;
    int64_t size;
    Buffer rows, scratch, search;
};

/* How many logits a row has room for: the vocabulary drafted from, and the copied token after it. */
static inline int64_t logit_stride(const Drafter *d) { return ((int64_t)d->spec.drafted + 1 + 15) / 16 * 16; }

int32_t draft_id(const Drafter *drafter, int32_t full); /* -1 for a token that cannot be drafted */

#endif
