/* Logits of rows: the last linear layer, its scale and its soft-cap. */
#include <string.h>

#include "model.h"

enum { HEAD_BUFFER = 16, HEAD_TILE_BUFFER, HEAD_SCRATCH_BUFFER, SPAN = 4 }; /* after the forward's */

typedef struct HeadRun {
    Model *model;
    const float *hidden;
    float *logits, *scratch; /* scratch [threads][row_tile][16] */
    int64_t rows, tile_count;
    Tile *tiles;
    Act act;
} HeadRun;

static void put_rows(HeadRun *run, Worker *worker) {
    const int64_t width = run->model->image.spec->hidden;
    const float *x[MAX_ROW_TILE];
    for (int64_t t; (t = worker_next(worker, run->tile_count)) >= 0;) {
        for (int64_t i = 0; i < run->tiles[t].rows; i++) x[i] = run->hidden + (run->tiles[t].row + i) * width;
        act_put_rows(run->model, &run->act, run->tiles[t], 0, run->tiles[t].rows, x, NULL, NULL, 0, width);
    }
}

static void head_panel(const HeadRun *run, int64_t panel, Tile tile, const void *ahead, float *out) {
    const Spec *s = run->model->image.spec;
    const int64_t left = s->vocabulary - panel * LANES, count = left < LANES ? left : LANES;
    linear_tile_ahead(run->model, &run->model->image.head, panel, &run->act, tile, out, LANES, ahead);
    if (s->logit_scale != 1.0f || s->logit_softcap > 0)
        run->model->kernels->scale_cap(out, s->logit_scale, s->logit_softcap, tile.rows * LANES);
    for (int64_t i = 0; i < tile.rows; i++)
        memcpy(run->logits + (tile.row + i) * s->vocabulary + panel * LANES, out + i * LANES, (size_t)count * 4);
}

static void head_job(void *context, Worker *worker) {
    HeadRun *run = context;
    float *out = run->scratch + worker->index * run->model->kernels->row_tile * LANES;
    const int64_t panels = run->model->image.head.panels;
    put_rows(run, worker);
    for (int64_t item; (item = worker_next(worker, (panels + SPAN - 1) / SPAN)) >= 0;)
        for (int64_t p = item * SPAN; p < (item + 1) * SPAN && p < panels; p++) {
            const void *ahead = p + 1 < panels ? linear_panel(run->model, &run->model->image.head, p + 1) : NULL;
            for (int64_t t = 0; t < run->tile_count; t++, ahead = NULL) head_panel(run, p, run->tiles[t], ahead, out);
        }
}

static int head_locked(HeadRun *run) {
    Model *m = run->model;
    const Spec *s = m->image.spec;
    const int64_t threads = native_pool_threads(m->pool);
    void *act = buffer_room(&m->buffers[HEAD_BUFFER], act_bytes(s->format, run->rows, s->hidden));
    run->tiles = buffer_room(&m->buffers[HEAD_TILE_BUFFER], run->rows * (int64_t)sizeof(Tile));
    run->scratch = buffer_room(&m->buffers[HEAD_SCRATCH_BUFFER], threads * m->kernels->row_tile * LANES * 4);
    if (!act || !run->tiles || !run->scratch) return NATIVE_NO_MEMORY;
    run->act = act_at(s->format, run->rows, s->hidden, act);
    run->tile_count = deal_tiles(run->rows, m->kernels->row_tile, run->tiles);
    return pool_run(m->pool, head_job, run, 2);
}

int native_logits(Model *model, const float *hidden, int64_t rows, float *logits) {
    if (!model || !hidden || !logits || rows < 1) return NATIVE_BAD_ARGUMENT;
    HeadRun run = {.model = model, .hidden = hidden, .logits = logits, .rows = rows};
    int code = pool_enter(model->pool);
    if (!code) code = head_locked(&run);
    pool_leave(model->pool);
    return code;
}
