/* A draft: what was seen before is looked up, levels are searched until no more is wanted or pays, a tree is made. */
#include "draft.h"

#include <string.h>
#include <time.h>

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void *take(char **at, int64_t bytes) {
    void *start = *at;
    *at += (bytes + 63) & ~(int64_t)63;
    return start;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static void rows_at(DraftRun *run, char **at) {
    const Drafter *d = run->drafter;
    const int64_t hidden = d->spec.hidden, width = run->search->width;
    run->embedded = take(at, MOST_COPIED * hidden * 4);
    run->pull = take(at, MOST_COPIED * hidden * 4);
    run->context = take(at, d->context_in * 4);
    run->joined = take(at, d->context * 4);
    run->hidden = take(at, hidden * 4);
    run->input = take(at, width * 2 * hidden * 4);
    run->heads = take(at, width * 2 * hidden * 4);
    run->x[0] = take(at, width * d->exit * 4);
    run->x[1] = take(at, width * d->exit * 4);
    run->projected = take(at, width * hidden * 4);
    run->logits = take(at, width * logit_stride(d) * 4);
    run->bonus = take(at, width * 4);
}

static void scratch_at(DraftRun *run, DraftScratch *own, char **at) {
    const Drafter *d = run->drafter;
    const int64_t widest = larger(larger(2 * (int64_t)d->spec.hidden, d->exit), larger(d->context_in, d->context));
    const int64_t rows = larger(run->search->width, MOST_COPIED);
    const int64_t most = larger(larger(children_of(run->search, 1), d->spec.cut), MOST_WIDTH);
    own->act = take(at, act_bytes(FORMAT_FLOAT32, rows, widest));
    own->out = take(at, rows * LANES * 4);
    own->line = take(at, logit_stride(d) * 4);
    own->noise = take(at, logit_stride(d) * 4);
    own->ids = take(at, most * 4);
    own->values = take(at, most * 4);
}

int draft_buffers(DraftRun *run) {
    Drafter *d = run->drafter;
    const int threads = native_pool_threads(d->base->pool);
    char *at = NULL;
    DraftScratch none;
    rows_at(run, &at);
    char *rows = buffer_room(&d->rows, (int64_t)(intptr_t)at);
    at = NULL;
    scratch_at(run, &none, &at);
    const int64_t each = (int64_t)(intptr_t)at, table = (threads * (int64_t)sizeof(DraftScratch) + 63) & ~(int64_t)63;
    char *scratch = buffer_room(&d->scratch, table + each * threads);
    run->all.of = buffer_room(&d->search, candidates_room(run->search, run->levels) * (int64_t)sizeof(Candidate));
    if (!rows || !scratch || !run->all.of) return NATIVE_NO_MEMORY;
    rows_at(run, &rows);
    run->scratch = (DraftScratch *)scratch;
    for (int t = 0; t < threads; t++) {
        char *own = scratch + table + t * each;
        scratch_at(run, &run->scratch[t], &own);
    }
    return NATIVE_OK;
}

static void put_normed(const Drafter *d, const float *x, float *to) {
    d->base->kernels->norm(x, d->ones, 1.1920929e-7f, d->spec.hidden, to);
}

/* Hidden and taps, then the latest tokens' embeddings, each normed; then which match there was, one-hot. */
static void put_context(DraftRun *run) {
    const Drafter *d = run->drafter;
    const int64_t hidden = d->spec.hidden;
    float *to = run->context;
    memset(to, 0, (size_t)d->context_in * 4);
    for (int64_t part = 0; part <= d->spec.taps; part++, to += hidden) 
        put_normed(d, run->state + part * hidden, to);
    for (int64_t back = d->spec.recent - 1; back >= 0; back--, to += hidden) {
        if (run->count - 1 - back < 0) continue;
        embed_token(&d->base->image, run->history[run->count - 1 - back], to);
        put_normed(d, to, to);
    }
    to[run->seen.match < d->spec.match ? run->seen.match : d->spec.match] = 1.0f;
}

static void prepare_start(DraftRun *run) {
    const Drafter *d = run->drafter;
    const int64_t hidden = d->spec.hidden;
    if (d->spec.context) put_context(run);
    else memcpy(run->hidden, run->state, (size_t)hidden * 4);
    for (int64_t i = 0; i < run->seen.count; i++) {
        run->copied[i] = draft_id(d, run->seen.token[i]);
        if (i < d->spec.lookup) embed_token(&d->base->image, run->seen.token[i], run->embedded + i * hidden);
    }
    memset(run->input, 0, (size_t)hidden * 2 * 4); /* the state starts from nothing */
    embed_token(&d->base->image, run->history[run->count - 1], run->input);
    run->beams[1][0] = (Beam){.candidate = -1};
    run->rows[1] = 1;
    run->tile_count[1] = deal_tiles(1, d->base->kernels->row_tile, run->tiles[1]);
}

/* The beams of the next level take the states of those they continue. */
static void prepare_level(DraftRun *run, int64_t level) {
    const Drafter *d = run->drafter;
    const int64_t hidden = d->spec.hidden, keep = children_of(run->search, level - 1);
    run->rows[level] = run->all.beams;
    run->tile_count[level] = deal_tiles(run->all.beams, d->base->kernels->row_tile, run->tiles[level]);
    for (int64_t b = 0; b < run->all.beams; b++) {
        const Beam *beam = &run->all.beam[b];
        const int64_t from = (beam->candidate - run->first[level - 1]) / keep;
        float *in = run->input + b * 2 * hidden;
        run->beams[level][b] = *beam;
        memcpy(in + hidden, run->heads + from * 2 * hidden + hidden, (size_t)hidden * 4);
        embed_token(&d->base->image, beam->token < 0 ? 0 : beam->token, in);
    }
}

/* What one thread does between two levels; says by over[level] whether it was the last. */
static void end_level(DraftRun *run, int64_t level) {
    const Search *search = run->search;
    const int64_t keep = children_of(search, level);
    run->first[level + 1] = run->all.count = run->first[level] + run->rows[level] * keep;
    next_beams(search, &run->all, run->first[level], run->eos, run->eos_count);
    int going = 0;
    for (int64_t b = 0; b < run->all.beams; b++) going |= !run->all.beam[b].ended || !search->nodes;
    run->draft->levels = (int32_t)level;
    run->over[level] = level == run->levels || !going ||
                       enough(search, run->drafter->base->kernels, &run->all, level, run->levels);
    if (!run->over[level]) prepare_level(run, level + 1);
}

static void draft_job(void *context, Worker *worker) {
    DraftRun *run = context;
    start_phases(run, worker);
    for (int64_t level = 1; level <= run->levels; level++) {
        level_phases(run, worker, level);
        choose_phase(run, worker, level);
        while (worker_next(worker, 1) >= 0) end_level(run, level);
        if (run->over[level]) return;
    }
}

static int draft_locked(DraftRun *run) {
    Drafter *d = run->drafter;
    const Search *search = run->search;
    const double began = now_ms();
    int code = draft_buffers(run);
    if (code) return code;
    run->seen = look_back(run->history, run->count, search->match, MOST_COPIED);
    prepare_start(run);
    if (run->levels) code = pool_run(d->base->pool, draft_job, run, 3 + run->levels * (8 + MOST_BLOCKS));
    if (code) return code;
    const double drafted = now_ms();
    run->draft->match = run->seen.match;
    const int64_t deepest = run->wanted < search->nodes - 1 ? run->wanted : search->nodes - 1;
    add_copies(d->base->kernels, search, &run->seen, &run->all, deepest, run->eos, run->eos_count);
    make_tree(search, d->base->kernels, &run->all, run->history[run->count - 1], run->draft->levels, run->draft);
    run->draft->draft_ms = (float)(drafted - began);
    run->draft->tree_ms = (float)(now_ms() - drafted);
    return NATIVE_OK;
}

static int search_fits(const Search *s) {
    return s && s->width >= 1 && s->width <= MOST_WIDTH && s->length >= 1 && s->length <= MOST_LEVELS && s->nodes >= 0 && s->nodes != 1 &&
           s->nodes <= MOST_NODES && s->match >= 0 && s->match <= MOST_MATCH && s->copied >= 0 &&
           s->copied <= MOST_COPIED && rule_fits(&s->rule);
}

int native_draft(Drafter *drafter, const Search *search, const float *state, const int32_t *history, int64_t count,
                 const int32_t *eos, int64_t eos_count, int64_t wanted, Draft *draft) {
    if (!drafter || !search_fits(search) || !state || !history || count < 1 || !draft) return NATIVE_BAD_ARGUMENT;
    if (eos_count < 0 || (eos_count && !eos)) return NATIVE_BAD_ARGUMENT;
    for (int64_t i = 0; i < count; i++)
        if (history[i] < 0 || history[i] >= drafter->base->image.spec->vocabulary) return NATIVE_BAD_TOKEN;
    DraftRun run;
    memset(&run, 0, sizeof run);
    run.drafter = drafter, run.search = search, run.state = state, run.history = history, run.count = count;
    run.eos = eos, run.eos_count = eos_count, run.draft = draft;
    run.wanted = wanted;
    run.levels = wanted < search->length ? (wanted > 0 ? wanted : 0) : search->length;
    draft->nodes = draft->levels = draft->others = 0;
    int code = pool_enter(drafter->base->pool);
    if (!code) code = draft_locked(&run);
    pool_leave(drafter->base->pool);
    return code;
}
