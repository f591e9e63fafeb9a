/* One draft while it is made: what its phases share. */
#ifndef DRAFT_H
#define DRAFT_H

#include "drafter.h"

typedef struct DraftScratch { /* one thread's */
    void *act;                /* a prepared input, of the widest kind */
    float *out;               /* [rows][16] */
    float *line, *noise;      /* one row of logits each */
    int32_t *ids;             /* of children */
    float *values;
} DraftScratch;

typedef struct DraftRun {
    Drafter *drafter;
    const Search *search;
    const float *state;
    const int32_t *history, *eos;
    int64_t count, eos_count, wanted, levels; /* levels: as many as are wanted and allowed */
    Draft *draft;
    Lookback seen;
    Candidates all;
    int32_t copied[MOST_COPIED]; /* draft ids of the continuation, -1 for none */
    float *embedded, *pull;      /* [MOST_COPIED][H] */
    float *context, *joined;     /* inputs of the context's two layers */
    float *hidden;               /* [H] with its context */
    float *input;                /* [rows][2 H]: embedding, state */
    float *heads;                /* [rows][2 H]: hidden, state; where an input layer follows */
    float *x[2];                 /* [rows][exit] */
    float *projected;            /* [rows][H] */
    float *logits, *bonus;       /* [rows][stride], [rows] */
    Beam beams[MOST_LEVELS + 2][MOST_WIDTH]; /* of each level, once known; they and the next three are written once */
    int64_t rows[MOST_LEVELS + 2];
    int64_t first[MOST_LEVELS + 2]; /* where a level's candidates begin */
    int over[MOST_LEVELS + 2];
    DraftScratch *scratch;
    Tile tiles[MOST_LEVELS + 2][MOST_WIDTH];
    int64_t tile_count[MOST_LEVELS + 2];
} DraftRun;

/* One layer over some rows; `finish` gets each row's 16 columns with their bias. */
typedef struct LayerJob LayerJob;
typedef void (*Finish)(const DraftRun *run, const LayerJob *job, int64_t row, int64_t column, float *y);
struct LayerJob {
    const Linear *linear;
    const float *in; /* [rows][linear->inner] */
    int64_t rows, tile_count;
    const Tile *tiles;
    float *out;
    int64_t stride, level;
    Finish finish;
};

void layers_phase(DraftRun *run, Worker *worker, const LayerJob *jobs, int64_t count);
void start_phases(DraftRun *run, Worker *worker);                 /* up to `hidden` and `pull` */
void level_phases(DraftRun *run, Worker *worker, int64_t level);  /* up to `logits` and `bonus` */
void choose_phase(DraftRun *run, Worker *worker, int64_t level);  /* the level's candidates */
int draft_buffers(DraftRun *run);

#endif
