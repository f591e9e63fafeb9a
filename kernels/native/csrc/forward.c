/* The forward's phases in their order; what they do stands in projections.c and attend.c. */
#include "forward.h"

#include <string.h>

enum { PHASES_A_LAYER = 10 };

static void forward_job(void *context, Worker *worker) {
    Run *run = context;
    const Spec *s = run->model->image.spec;
    for (int64_t r; (r = worker_next(worker, run->plan.rows)) >= 0;) 
        embed_token(&run->model->image, run->tokens[r], run->x + r * s->hidden);
    for (int64_t layer = 0; layer < s->layers; layer++) {
        query_key_value_phase(run, worker, layer);
        attention_phase(run, worker, layer);
        out_phase(run, worker, layer);
        gate_up_phase(run, worker, layer);
        down_phase(run, worker, layer);
    }
    for (int64_t r; (r = worker_next(worker, run->plan.rows)) >= 0;)
        run->model->kernels->norm(run->x + r * s->hidden, run->model->image.final_norm, s->norm_eps, s->hidden,
                                  run->hidden + r * s->hidden);
}

static int forward_locked(Run *run, const Segment *segments, int64_t segment_count, const int32_t *parents,
                          const int32_t *depths) {
    int code = plan_make(run->model, segments, segment_count, run->tokens, parents, depths, &run->plan);
    if (!code) code = run_buffers(run);
    if (!code) code = pool_run(run->model->pool, forward_job, run, run->model->image.spec->layers * PHASES_A_LAYER + 2);
    return code;
}

int native_forward(Model *model, const Segment *segments, int64_t segment_count, const int32_t *tokens,
                   const int32_t *parents, const int32_t *depths, const int32_t *tap_layers, int64_t tap_count,
                   float *taps, float *hidden) {
    if (!model || !segments || segment_count < 1 || !tokens || !parents || !depths || !hidden) return NATIVE_BAD_ARGUMENT;
    if (tap_count < 0 || (tap_count && (!tap_layers || !taps))) return NATIVE_BAD_ARGUMENT;
    for (int64_t i = 0; i < tap_count; i++)
        if (tap_layers[i] < 0 || tap_layers[i] >= model->image.spec->layers) return NATIVE_BAD_ARGUMENT;
    Run run = {.model = model, .tokens = tokens, .tap_layers = tap_layers, .tap_count = tap_count, .taps = taps,
               .hidden = hidden};
    int code = pool_enter(model->pool);
    if (!code) code = forward_locked(&run, segments, segment_count, parents, depths);
    pool_leave(model->pool);
    return code;
}
