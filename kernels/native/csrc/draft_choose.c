/* From a level's logits to its candidates: each beam's best children, greedy or by what a seeded pick will compare. */
#include <math.h>
#include <string.h>

#include "draft.h"

enum { LIKELY = 64 }; /* draft entries that a filter lets through: a beam takes the best few of them */

/* The copied token's own logit, made with the base model's row for it, after the draft vocabulary's. */
static float logit_beyond(const DraftRun *run, const DraftScratch *own, int64_t row, int32_t token) {
    const Model *base = run->drafter->base;
    const Spec *s = base->image.spec;
    const Tile one = {0, 1};
    Act act = act_at(s->format, 1, s->hidden, own->act);
    const float *line = run->projected + row * s->hidden;
    act_put_rows(base, &act, one, 0, 1, &line, NULL, NULL, 0, s->hidden);
    linear_tile(base, &base->image.head, token / LANES, &act, one, own->out, LANES);
    if (s->logit_scale != 1.0f || s->logit_softcap > 0)
        base->kernels->scale_cap(own->out, s->logit_scale, s->logit_softcap, LANES);
    return own->out[token % LANES];
}

/* The row's logits as the drafter means them: scaled, the copied token's raised, one more where it lies outside the
 * draft vocabulary. Returns how many there are. */
static int64_t finish_logits(const DraftRun *run, const DraftScratch *own, int64_t row, int64_t level, float *z) {
    const Drafter *d = run->drafter;
    const Spec *s = d->base->image.spec;
    int64_t count = d->spec.drafted;
    if (d->spec.tied && (s->logit_scale != 1.0f || s->logit_softcap > 0))
        d->base->kernels->scale_cap(z, s->logit_scale, s->logit_softcap, logit_stride(d));
    const Beam *beam = &run->beams[level][row];
    if (!run->seen.match || level > d->spec.lookup || beam->place != level - 1) return count;
    const int32_t copied = run->copied[level - 1];
    if (copied >= 0) z[copied] += run->bonus[row];
    else if (run->search->past_vocabulary && d->spec.tied && d->ids)
        z[count++] = logit_beyond(run, own, row, run->seen.token[level - 1]) + run->bonus[row];
    return count;
}

/* log of the sum of exponentials: of all, or of the `cut` largest. */
static float log_total(const DraftRun *run, const DraftScratch *own, const float *z, int64_t count) {
    const Kernels *k = run->drafter->base->kernels;
    const int32_t cut = run->drafter->spec.cut;
    if (!cut || cut >= count) {
        if (!k->top(z, count, 1, own->ids, own->values)) return 0.0f;
        return own->values[0] + k->log(k->exp_sum(z, count, 1.0f, own->values[0], NULL));
    }
    const int64_t found = k->top(z, count, cut, own->ids, own->values);
    if (!found) return 0.0f;
    return own->values[0] + k->log(k->exp_sum(own->values, found, 1.0f, own->values[0], NULL));
}

/* Below it an entry gets no noise: the filters would drop it, were the drafter right. */
static float noise_from(const DraftRun *run, const DraftScratch *own, const float *z, int64_t count) {
    const Kernels *k = run->drafter->base->kernels;
    const Rule *rule = &run->search->rule;
    float values[LIKELY];
    int32_t ids[LIKELY];
    if (rule->top_k <= 0 && rule->top_p >= 1.0f) return -INFINITY;
    const int64_t wanted = rule->top_k > 0 && rule->top_k < LIKELY ? rule->top_k : LIKELY;
    int64_t found = k->top(z, count, wanted, ids, values);
    if (!found) return INFINITY;
    if (rule->top_p >= 1.0f) return values[found - 1];
    const float scale = 1.0f / rule->temperature;
    float before = 0.0f, total = k->exp_sum(z, count, scale, values[0] * scale, NULL);
    int64_t kept = 0;
    for (; kept < found && before < rule->top_p * total; kept++) before += k->exp((values[kept] - values[0]) * scale);
    (void)own;
    return values[kept - 1];
}

/* What the pick will compare, times the temperature: logits with the noise of the token they stand for. */
static void add_noise(const DraftRun *run, const DraftScratch *own, int64_t level, const float *z, int64_t count, float *y) {
    const Drafter *d = run->drafter;
    const Rule *rule = &run->search->rule;
    const float from = noise_from(run, own, z, count);
    uint32_t stream, step;
    noise_streams(rule->seed, run->count - 1 + level, &stream, &step);
    d->base->kernels->noise(d->ids, 0, d->spec.drafted, stream, step, own->noise);
    if (count > d->spec.drafted) {
        float beyond[LANES];
        d->base->kernels->noise(&run->seen.token[level - 1], 0, 1, stream, step, beyond);
        own->noise[d->spec.drafted] = beyond[0];
    }
    for (int64_t i = 0; i < count; i++) y[i] = z[i] < from ? z[i] : z[i] + own->noise[i] * rule->temperature;
}

static Candidate child_of(const DraftRun *run, int64_t level, const Beam *beam, int32_t id) {
    const Drafter *d = run->drafter;
    const int32_t full = id >= d->spec.drafted ? run->seen.token[level - 1] : d->ids ? d->ids[id] : id;
    const int on = run->seen.match && beam->place == level - 1 && level <= run->seen.count && full == run->seen.token[level - 1];
    return (Candidate){.token = full, .parent = beam->candidate, .depth = (int32_t)level, .place = on ? (int32_t)level : 0,
                       .origin = ORIGIN_BEAM};
}

/* The beam's best children go to its places among the candidates; places left over stand for nothing. */
static void choose_row(DraftRun *run, const DraftScratch *own, int64_t row, int64_t level) {
    const Drafter *d = run->drafter;
    const Kernels *k = d->base->kernels;
    const int64_t keep = children_of(run->search, level);
    const Beam *beam = &run->beams[level][row];
    Candidate *to = run->all.of + run->first[level] + row * keep;
    for (int64_t i = 0; i < keep; i++) to[i] = (Candidate){.score = -INFINITY, .token = -1, .parent = beam->candidate};
    if (beam->ended) {
        if (!run->search->nodes) to[0].score = beam->score, to[0].depth = (int32_t)level;
        return;
    }
    float *z = run->logits + row * logit_stride(d), *compared = z;
    const int64_t count = finish_logits(run, own, row, level, z);
    const int noisy = run->search->rule.temperature > 0.0f;
    if (noisy) add_noise(run, own, level, z, count, compared = own->line);
    const float own_total = noisy ? log_total(run, own, z, count) : 0.0f, total = log_total(run, own, compared, count);
    const int64_t wanted = d->spec.cut && d->spec.cut < keep ? d->spec.cut : keep;
    const int64_t found = k->top(compared, count, wanted, own->ids, own->values);
    for (int64_t i = 0; i < found; i++) {
        const float chance = own->values[i] - total, raw = z[own->ids[i]] - own_total;
        to[i] = child_of(run, level, beam, own->ids[i]);
        to[i].score = beam->score + chance;
        to[i].log_probability = noisy ? (raw < 0.0f ? raw : 0.0f) : chance;
    }
}

void choose_phase(DraftRun *run, Worker *worker, int64_t level) {
    for (int64_t r; (r = worker_next(worker, run->rows[level])) >= 0;)
        choose_row(run, &run->scratch[worker->index], r, level);
}
