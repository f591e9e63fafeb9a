/* The library's outside: what a caller hands in and gets back. Plain structs, plain pointers, error codes.
 *
 * Nothing here knows a model family: a Spec says what a layer does. Every function that returns int returns 0 or one
 * of the codes below, and never crashes on a bad size. See README.md in the folder above for the arithmetic. */
#ifndef NATIVE_H
#define NATIVE_H

#include <stdint.h>

#define NATIVE_API __attribute__((visibility("default")))
#define NATIVE_VERSION 1

enum { LANES = 16, GROUP = 32, BLOCK = 128, MAX_HEAD_DIM = 256, MAX_ROTARIES = 4 };
enum Format { FORMAT_INT8 = 0, FORMAT_FLOAT32 = 1, FORMAT_BFLOAT16 = 2 };
enum Dtype { DTYPE_FLOAT32 = 0, DTYPE_BFLOAT16 = 1, DTYPE_FLOAT16 = 2 };
enum KeyValue { KV_FLOAT32 = 0, KV_BFLOAT16 = 1, KV_INT8 = 2 };
enum Activation { ACT_SILU = 0, ACT_GELU_TANH = 1 };
enum QkNorm { QK_NORM_NONE = 0, QK_NORM_HEAD = 1, QK_NORM_ROW = 2 };
enum Flags {
    NORM_BEFORE_ATTENTION = 1,
    NORM_AFTER_ATTENTION = 2,
    NORM_BEFORE_MLP = 4,
    NORM_AFTER_MLP = 8,
    BIAS_QKV = 16,
    BIAS_OUT = 32,
    BIAS_GATE_UP = 64,
    BIAS_DOWN = 128,
};
enum Code {
    NATIVE_OK = 0,
    NATIVE_NO_MEMORY = 1,
    NATIVE_BAD_SPEC = 2,     /* a size that the kernels' granularity does not allow */
    NATIVE_BAD_IMAGE = 3,    /* not a packed model, or one of another version */
    NATIVE_BAD_ARGUMENT = 4, /* a pointer, count or index out of range */
    NATIVE_BAD_ROWS = 5,     /* a parent not before its row, or a depth that is not its parent's plus one */
    NATIVE_CACHE_FULL = 6,   /* committed + rows exceed a cache's capacity */
    NATIVE_CACHE_TWICE = 7,  /* two segments of one call share a cache */
    NATIVE_BAD_TOKEN = 8,    /* a token id outside the vocabulary */
    NATIVE_NO_THREADS = 9,   /* the threads could not be started */
};

typedef struct Spec {
    int32_t format, key_value_dtype, flags, activation, qk_norm;
    int32_t layers, hidden, inner, heads, key_value_heads, head_dim, vocabulary;
    int32_t rotary_dims, rotaries; /* dims turned in each head; number of frequency tables */
    float norm_eps, attention_scale, attention_softcap, logit_scale, logit_softcap, embedding_scale, residual_scale;
    float rotary_scale[MAX_ROTARIES];
} Spec;

/* What differs between layers: a window in positions (0: none), and the frequency table (-1: no rotary). */
typedef struct LayerSpec {
    int32_t window, rotary;
} LayerSpec;

enum Tensor {
    TENSOR_EMBEDDING = 0,
    TENSOR_FINAL_NORM,
    TENSOR_HEAD,
    TENSOR_FREQUENCIES, /* inverse frequencies [rotary_dims / 2]; "layer" is the table */
    TENSOR_QKV,
    TENSOR_OUT,
    TENSOR_GATE_UP,
    TENSOR_DOWN,
    TENSOR_QKV_BIAS,
    TENSOR_OUT_BIAS,
    TENSOR_GATE_UP_BIAS,
    TENSOR_DOWN_BIAS,
    TENSOR_ATTENTION_NORM,
    TENSOR_AFTER_ATTENTION_NORM,
    TENSOR_MLP_NORM,
    TENSOR_AFTER_MLP_NORM,
    TENSOR_QUERY_NORM,
    TENSOR_KEY_NORM,
};

typedef struct Segment {
    void *cache;
    int64_t committed; /* tokens whose keys and values are in slots 0..committed-1 */
    int64_t rows;      /* this segment's rows follow those of the segment before it */
} Segment;

/* How a token is picked: temperature 0 is greedy; top_k 0 and top_p 1 keep every token. */
typedef struct Rule {
    float temperature, top_p;
    int32_t top_k;
    uint32_t seed;
} Rule;

/* Nodes of a tree under a root, which is node 0; parents come before their children. */
typedef struct Tree {
    int64_t nodes;
    const int32_t *token, *parent, *depth;
} Tree;

/* A recurrent drafter's shape; the arithmetic stands in playground/drafter. */
typedef struct DrafterSpec {
    int32_t format, hidden, exit, blocks, recurrent;
    int32_t drafted; /* tokens it can draft */
    int32_t tied;    /* its head ends in the base model's own rows */
    int32_t taps, recent, context; /* layers read besides the last, latest tokens read, width of what joins them */
    int32_t lookup, match;         /* tokens of the continuation it reads, longest match it tells apart */
    int32_t cut;                   /* logits kept before the log-softmax; 0 keeps all */
} DrafterSpec;

enum DraftTensor { DRAFT_INPUT = 0, DRAFT_CELL, DRAFT_BLOCK, DRAFT_OUTPUT, DRAFT_CONTEXT_IN, DRAFT_CONTEXT_OUT, DRAFT_LOOKUP, DRAFT_BONUS };
enum { MOST_WIDTH = 64, MOST_LEVELS = 16, MOST_NODES = 256, MOST_COPIED = 16, MOST_MATCH = 32, MOST_RECENT = 64, MOST_OTHERS = 32 };
enum NodeOrigin { ORIGIN_ROOT = 0, ORIGIN_BEAM = 1, ORIGIN_COPY = 2 };

/* How a tree is searched for. nodes 0: the surviving beams, all of them. Else the best candidates, at most nodes - 1 of
 * them under the root; with verify_ms as many of those as pay, and no level that cannot. */
typedef struct Search {
    int32_t width, length, nodes;
    int32_t match, copied;   /* longest match counted, tokens of the continuation that are candidates of their own */
    int32_t least_match;     /* from which they are */
    int32_t past_vocabulary; /* copied tokens outside the draft vocabulary may be drafted */
    const float *chances;    /* [MOST_MATCH] that the next copied token is right when so many tokens agree */
    const float *calibration; /* [MOST_LEVELS] actual acceptance over predicted, by depth from 1; NULL: 1 */
    const float *verify_ms;  /* [nodes] of trees of 1, 2, .. nodes; NULL: the budget is what it is */
    float fixed_ms, draft_ms, level_ms; /* of a step, of a draft's start, of each level */
    Rule rule;
} Search;

/* What a search found. Arrays are the caller's: of nodes room for `nodes` or for width * length + 1, at least for
 * MOST_COPIED + 1; of beams [width][length]; of others [MOST_OTHERS]. */
typedef struct Draft {
    int32_t nodes, levels, others, match;
    int32_t scored, budget; /* candidates, sent or not; nodes there might have been */
    int32_t *token, *parent, *depth, *origin, *copy; /* of nodes; copy: its place in the continuation, 0 for none */
    float *score, *log_probability;
    int32_t *beam_token, *beam_node; /* -1 for none */
    float *beam_log_probability, *beam_score;
    int32_t *other_token, *other_parent, *other_depth; /* the best that were scored but not sent */
    float *other_score;
    float draft_ms, tree_ms;
} Draft;

typedef struct Drafter Drafter;
typedef struct Pool Pool;
typedef struct Model Model;
typedef struct Cache Cache;
struct Kernels;

/* isa.c */
NATIVE_API int native_version(void);
NATIVE_API const char *native_isa_name(int index);   /* best last; NULL past the end */
NATIVE_API const char *native_isa_missing(int index); /* NULL if this processor runs it, else what it lacks */
NATIVE_API int native_isa_differs(int index);         /* self-test against scalar: 0 same bits, else the number that differs */
NATIVE_API const struct Kernels *native_isa_kernels(int index); /* NULL if not built in or not runnable */

/* pool.c */
NATIVE_API Pool *native_pool_new(int threads);
NATIVE_API int native_pool_threads(const Pool *pool);
NATIVE_API void native_pool_free(Pool *pool);

/* image.c: a packed model is one position-independent piece of memory, which may lie in a file. */
NATIVE_API int64_t native_image_size(const Spec *spec, const LayerSpec *layers); /* 0 if the spec does not fit */
NATIVE_API int native_image_start(void *image, int64_t size, const Spec *spec, const LayerSpec *layers);
NATIVE_API int native_image_check(const void *image, int64_t size);
NATIVE_API int native_image_matches(const void *image, const Spec *spec, const LayerSpec *layers); /* a checked one */
NATIVE_API void *native_memory_new(int64_t size);
NATIVE_API void native_memory_free(void *memory, int64_t size);

/* pack.c: rows of a matrix [rows, columns], or a vector (columns 1), into 16-row panels first, first + step, ... */
NATIVE_API int native_pack(void *image, Pool *pool, int tensor, int layer, int64_t first, int64_t step,
                           const void *source, int dtype, int64_t rows, int64_t columns);

/* Rows [count, H] of the embedding, scaled as the forward has them, or of the head, as they are kept. */
NATIVE_API int native_rows(Model *model, int head, const int32_t *ids, int64_t count, float *rows);

/* model.c */
NATIVE_API int native_model_new(void *image, int64_t size, const struct Kernels *kernels, Pool *pool, Model **model);
NATIVE_API void native_model_free(Model *model);

/* cache.c */
NATIVE_API int native_cache_new(Model *model, int64_t capacity, Cache **cache);
NATIVE_API void native_cache_free(Cache *cache);
NATIVE_API int native_cache_commit(Cache *cache, int64_t committed, const int32_t *path, int64_t count);

/* forward.c: hidden [rows, H]; taps [tap_count, rows, H], the residual stream after each layer named (rising). */
NATIVE_API int native_forward(Model *model, const Segment *segments, int64_t segment_count, const int32_t *tokens,
                              const int32_t *parents, const int32_t *depths, const int32_t *tap_layers,
                              int64_t tap_count, float *taps, float *hidden);
/* head.c: logits [rows, V] of hidden rows [rows, H] as native_forward wrote them. */
NATIVE_API int native_logits(Model *model, const float *hidden, int64_t rows, float *logits);

/* pick.c: the token picked at each row of logits [rows, V] for an absolute position; how far it was ahead, or NULL. */
NATIVE_API int native_pick(Model *model, const Rule *rule, const float *logits, int64_t rows, const int64_t *positions,
                           int32_t *picks, float *gaps);
/* Follows picks down a tree whose root stands at `committed`. Logits [nodes, V] are made of hidden [nodes, H] here: of
 * the first *have rows at once, of the rest when the path comes to one of them (*have tells). An end-of-sequence token
 * ends the path and has no pick: path [*length], picks [*length] with -1 there; room for as many as the tree is deep. */
NATIVE_API int native_accept(Model *model, const Rule *rule, const Tree *tree, int64_t committed, const int32_t *eos,
                             int64_t eos_count, const float *hidden, float *logits, int64_t *have, int32_t *path,
                             int32_t *picks, int64_t *length, float *gap);
/* drafter.c: ids [drafted] rising, NULL where all of the vocabulary is drafted. The base outlives its drafter. */
NATIVE_API int native_drafter_new(Model *base, const DrafterSpec *spec, const int32_t *ids, Drafter **drafter);
NATIVE_API void native_drafter_free(Drafter *drafter);
NATIVE_API int native_drafter_pack(Drafter *drafter, int tensor, int index, const float *weight, const float *bias,
                                   int64_t rows, int64_t columns);
/* draft.c: a tree after history [count], whose last token is the root; state [H (1 + taps)], the base model's before
 * it. No deeper than `wanted`. */
NATIVE_API int native_draft(Drafter *drafter, const Search *search, const float *state, const int32_t *history,
                            int64_t count, const int32_t *eos, int64_t eos_count, int64_t wanted, Draft *draft);

/* judge.c: log-probability (temperature 1, no filter) and rank of tokens, each in one row of logits. */
NATIVE_API int native_judge(Model *model, const float *logits, int64_t rows, const int32_t *row, const int32_t *token,
                            int64_t count, float *log_probability, int32_t *rank);

#endif
