/* The drafter's layers over the beams of a level: every thread prepares the few rows itself, panels are dealt out. */
#include <string.h>

#include "draft.h"

static int64_t span_of(const DraftRun *run, int64_t panels) {
    const int64_t fair = panels / (6 * native_pool_threads(run->drafter->base->pool));
    return fair < 1 ? 1 : fair > 16 ? 16 : fair;
}

static int64_t items_of(const DraftRun *run, const LayerJob *job) {
    const int64_t span = span_of(run, job->linear->panels);
    return (job->linear->panels + span - 1) / span;
}

static Act prepared(const DraftRun *run, const DraftScratch *own, const LayerJob *job) {
    const Drafter *d = run->drafter;
    Act act = act_at(d->spec.format, job->rows, job->linear->inner, own->act);
    const int64_t inner = job->linear->inner;
    for (int64_t t = 0; t < job->tile_count; t++) {
        const Tile tile = job->tiles[t];
        const float *lines[MOST_WIDTH];
        for (int64_t i = 0; i < tile.rows; i++) lines[i] = job->in + (tile.row + i) * inner;
        act_put_rows(&d->lane, &act, tile, 0, tile.rows, lines, NULL, NULL, 0, inner);
    }
    return act;
}

static void panel_of(const DraftRun *run, const DraftScratch *own, const LayerJob *job, const Act *act, int64_t panel) {
    for (int64_t t = 0; t < job->tile_count; t++) {
        const Tile tile = job->tiles[t];
        linear_tile(&run->drafter->lane, job->linear, panel, act, tile, own->out, LANES);
        add_bias(job->linear->bias ? job->linear->bias + panel * LANES : NULL, own->out, LANES, tile.rows);
        for (int64_t i = 0; i < tile.rows; i++)
            job->finish(run, job, tile.row + i, panel * LANES, own->out + i * LANES);
    }
}

/* Several layers that do not wait for each other, in one phase. */
void layers_phase(DraftRun *run, Worker *worker, const LayerJob *jobs, int64_t count) {
    const DraftScratch *own = &run->scratch[worker->index];
    int64_t total = 0, ready = -1;
    Act act;
    for (int64_t j = 0; j < count; j++) total += items_of(run, &jobs[j]);
    for (int64_t item; (item = worker_next(worker, total)) >= 0;) {
        int64_t j = 0;
        for (; item >= items_of(run, &jobs[j]); j++) item -= items_of(run, &jobs[j]);
        if (ready != j) act = prepared(run, own, &jobs[j]);
        ready = j;
        const int64_t span = span_of(run, jobs[j].linear->panels);
        for (int64_t p = item * span; p < (item + 1) * span && p < jobs[j].linear->panels; p++)
            panel_of(run, own, &jobs[j], &act, p);
    }
}

static void silu(const DraftRun *run, float *y) {
    static const float ones[LANES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    run->drafter->base->kernels->gated(ACT_SILU, y, ones, LANES, y);
}

static void keep(const DraftRun *run, const LayerJob *job, int64_t row, int64_t column, float *y) {
    (void)run;
    memcpy(job->out + row * job->stride + column, y, LANES * 4);
}

static void keep_silu(const DraftRun *run, const LayerJob *job, int64_t row, int64_t column, float *y) {
    silu(run, y);
    keep(run, job, row, column, y);
}

static void add_silu(const DraftRun *run, const LayerJob *job, int64_t row, int64_t column, float *y) {
    const float *x = job->in + row * job->linear->inner + column;
    silu(run, y);
    for (int i = 0; i < LANES; i++) y[i] += x[i];
    keep(run, job, row, column, y);
}

static void add_hidden(const DraftRun *run, const LayerJob *job, int64_t row, int64_t column, float *y) {
    for (int i = 0; i < LANES; i++) y[i] += run->state[column + i];
    keep(run, job, row, column, y);
}

static void keep_first(const DraftRun *run, const LayerJob *job, int64_t row, int64_t column, float *y) {
    (void)run;
    if (column == 0) job->out[row] = y[0];
}

/* s = silu(W e + U s + b + pull): the pull only on beams that followed the continuation so far. */
static void cell(const DraftRun *run, const LayerJob *job, int64_t row, int64_t column, float *y) {
    const int64_t place = job->level - 1, hidden = run->drafter->spec.hidden;
    if (place < run->drafter->spec.lookup && run->seen.match && run->beams[job->level][row].place == place)
        for (int i = 0; i < LANES; i++) y[i] += run->pull[place * hidden + column + i];
    silu(run, y);
    memcpy(run->heads + row * 2 * hidden + hidden + column, y, LANES * 4);
}

static LayerJob job_of(const DraftRun *run, int64_t level, const Linear *linear, const float *in, float *out, int64_t stride,
                       Finish finish) {
    return (LayerJob){.linear = linear, .in = in, .rows = run->rows[level], .tile_count = run->tile_count[level],
                      .tiles = run->tiles[level], .out = out, .stride = stride, .level = level, .finish = finish};
}

void start_phases(DraftRun *run, Worker *worker) {
    const Drafter *d = run->drafter;
    const int64_t hidden = d->spec.hidden;
    static const Tile one = {0, 1};
    Tile copies[MOST_COPIED];
    LayerJob jobs[2];
    int64_t count = 0;
    const int64_t read = run->seen.count < d->spec.lookup ? run->seen.count : d->spec.lookup;
    if (d->spec.context)
        jobs[count++] = (LayerJob){.linear = &d->in, .in = run->context, .rows = 1, .tile_count = 1, .tiles = &one,
                                   .out = run->joined, .stride = 0, .finish = keep_silu};
    if (read)
        jobs[count++] = (LayerJob){.linear = &d->lookup, .in = run->embedded, .rows = read, .tiles = copies,
                                   .tile_count = deal_tiles(read, d->base->kernels->row_tile, copies),
                                   .out = run->pull, .stride = hidden, .finish = keep};
    if (count) layers_phase(run, worker, jobs, count);
    if (!d->spec.context) return;
    const LayerJob out = {.linear = &d->out, .in = run->joined, .rows = 1, .tile_count = 1, .tiles = &one,
                          .out = run->hidden, .stride = 0, .finish = add_hidden};
    layers_phase(run, worker, &out, 1);
}

/* The head's input: hidden and state side by side, straight or through the input layer. */
static void heads_phase(DraftRun *run, Worker *worker, int64_t level) {
    const int64_t hidden = run->drafter->spec.hidden;
    for (int64_t r; (r = worker_next(worker, run->rows[level])) >= 0;) {
        float *heads = run->heads + r * 2 * hidden;
        memcpy(heads, run->hidden, (size_t)hidden * 4);
        if (run->drafter->spec.recurrent) continue;
        for (int64_t i = 0; i < hidden; i++) {
            const float *in = run->input + r * 2 * hidden + i;
            heads[hidden + i] = in[hidden] + in[0];
        }
    }
}

void level_phases(DraftRun *run, Worker *worker, int64_t level) {
    Drafter *d = run->drafter;
    const int64_t both = 2 * (int64_t)d->spec.hidden, stride = logit_stride(d);
    heads_phase(run, worker, level);
    LayerJob jobs[2];
    if (d->spec.recurrent) {
        jobs[0] = job_of(run, level, &d->cell, run->input, NULL, 0, cell);
        layers_phase(run, worker, jobs, 1);
    }
    const float *x = run->heads;
    if (d->spec.exit != both) {
        jobs[0] = job_of(run, level, &d->input, x, run->x[0], d->exit, keep);
        layers_phase(run, worker, jobs, 1);
        x = run->x[0];
    }
    for (int b = 0; b < d->spec.blocks; b++) {
        float *to = x == run->x[0] ? run->x[1] : run->x[0];
        jobs[0] = job_of(run, level, &d->blocks[b], x, to, d->exit, add_silu);
        layers_phase(run, worker, jobs, 1);
        x = to;
    }
    float *projected = d->spec.tied ? run->projected : run->logits;
    jobs[0] = job_of(run, level, &d->output, x, projected, d->spec.tied ? d->spec.hidden : stride, keep);
    if (d->spec.lookup) jobs[1] = job_of(run, level, &d->bonus, x, run->bonus, 0, keep_first);
    layers_phase(run, worker, jobs, 1 + (d->spec.lookup > 0));
    if (!d->spec.tied) return;
    jobs[0] = job_of(run, level, &d->head, run->projected, run->logits, stride, keep);
    layers_phase(run, worker, jobs, 1);
}
