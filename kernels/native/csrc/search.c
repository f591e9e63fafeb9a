/* The choices of a search: pure functions of scores, of what was copied and of what steps cost. See search.h.
 *
 * Candidates are kept level by level, within a level beam by beam, within a beam best first; copied ones that nobody
 * drafted come last. So equal scores go to the lower index. */
#include "search.h"

#include <math.h>
#include <string.h>

enum { MOST_LISTED = MOST_NODES + MOST_OTHERS };
static const float least_valid = -1e29f;

static int valid(float score) { return score > least_valid && score < INFINITY; }

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

Lookback look_back(const int32_t *history, int64_t count, int32_t longest, int32_t wanted) {
    Lookback seen = {0};
    const int64_t here = count - 1;
    int64_t best = -1;
    for (int64_t at = here - 1; at >= 0 && seen.match < longest; at--) {
        int32_t same = 0;
        while (same < longest && same <= at && history[at - same] == history[here - same]) same++;
        if (same > seen.match) seen.match = same, best = at;
    }
    if (best < 0) return seen;
    seen.count = wanted;
    for (int32_t i = 0; i < wanted; i++) seen.token[i] = history[best + 1 + i % (here - best)]; /* loops stay whole */
    return seen;
}

int64_t children_of(const Search *search, int64_t level) {
    if (!search->nodes) return search->width;
    if (level == 1) return smaller(search->nodes - 1, 64);
    const int64_t wanted = smaller(search->nodes - 1, 16);
    return wanted > search->width ? wanted : search->width;
}

int64_t candidates_room(const Search *search, int64_t levels) {
    int64_t room = MOST_COPIED;
    for (int64_t level = 1; level <= levels; level++)
        room += (level == 1 ? 1 : search->width) * children_of(search, level);
    return room;
}

/* The best of candidates from..to-1 in their order, at most `wanted`; returns how many. */
static int64_t best_of(const Candidate *of, int64_t from, int64_t to, int64_t wanted, int32_t *list) {
    int64_t found = 0;
    for (int64_t i = from; i < to; i++) {
        if (!valid(of[i].score) || (found == wanted && !(of[i].score > of[list[found - 1]].score))) continue;
        int64_t at = found < wanted ? found++ : wanted - 1;
        for (; at && of[list[at - 1]].score < of[i].score; at--) list[at] = list[at - 1];
        list[at] = (int32_t)i;
    }
    return found;
}

static int is_end(int32_t token, const int32_t *eos, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (eos[i] == token) return 1;
    return 0;
}

void next_beams(const Search *search, Candidates *all, int64_t first, const int32_t *eos, int64_t eos_count) {
    int32_t list[MOST_WIDTH];
    all->beams = best_of(all->of, first, all->count, search->width, list);
    for (int64_t b = 0; b < all->beams; b++) {
        const Candidate *c = &all->of[list[b]];
        all->beam[b] = (Beam){list[b], c->token, c->place, c->token < 0 || is_end(c->token, eos, eos_count), c->score};
    }
}

void add_copies(const Kernels *kernels, const Search *search, const Lookback *seen, Candidates *all, int64_t deepest,
                const int32_t *eos, int64_t eos_count) {
    int32_t above = -1, at[MOST_COPIED + 1];
    float score = 0.0f, step;
    const int64_t drafted = all->count;
    if (!search->nodes || seen->match < search->least_match || !search->chances) return;
    memset(at, -1, sizeof at);
    for (int64_t i = 0; i < drafted; i++)
        if (all->of[i].place > 0 && all->of[i].place <= MOST_COPIED) at[all->of[i].place] = (int32_t)i;
    for (int32_t d = 1; d <= smaller(smaller(search->copied, seen->count), deepest); d++) {
        const int32_t agreeing = seen->match + d - 1;
        const float chance = search->chances[agreeing < MOST_MATCH ? agreeing : MOST_MATCH - 1];
        if (!(chance > 0.0f)) return;
        score += step = chance < 1.0f ? kernels->log(chance) : 0.0f;
        if (at[d] >= 0) {
            Candidate *same = &all->of[at[d]];
            if (score > same->score) same->score = score;
            above = at[d];
        } else {
            all->of[all->count] = (Candidate){.score = score, .log_probability = step, .token = seen->token[d - 1],
                                              .parent = above, .depth = d, .place = d, .origin = ORIGIN_COPY};
            above = (int32_t)all->count++;
        }
        if (is_end(seen->token[d - 1], eos, eos_count)) return;
    }
}

static float chance_of(const Search *search, const Kernels *kernels, const Candidate *c) {
    const int64_t depth = c->depth < MOST_LEVELS ? c->depth : MOST_LEVELS;
    const float chance = kernels->exp(c->score) * (search->calibration ? search->calibration[depth - 1] : 1.0f);
    return chance < 1.0f ? chance : 1.0f;
}

/* Of the first `count` candidates in a list, how many nodes pay best, the root included, and tokens per ms of those. */
static int64_t budget(const Search *search, const Kernels *kernels, const Candidate *of, const int32_t *list, int64_t count,
                      int64_t levels, float *rate) {
    const float drafting = search->draft_ms + search->fixed_ms + (float)levels * search->level_ms;
    float tokens = 1.0f;
    int64_t best = 1;
    *rate = 0.0f;
    for (int64_t nodes = 1; nodes <= count + 1; nodes++) {
        if (nodes > 1) tokens += chance_of(search, kernels, &of[list[nodes - 2]]);
        const float found = tokens / (drafting + search->verify_ms[nodes - 1]);
        if (found > *rate) *rate = found, best = nodes;
    }
    return best;
}

/* The likeliest newcomer could bring a token on each level left: is that less than what a level's time is worth? */
int enough(const Search *search, const Kernels *kernels, const Candidates *all, int64_t level, int64_t levels) {
    int32_t list[MOST_NODES];
    float rate, most = 0.0f;
    if (!search->nodes || !search->verify_ms) return 0;
    for (int64_t b = 0; b < all->beams; b++)
        if (!all->beam[b].ended) {
            const float chance = chance_of(search, kernels, &all->of[all->beam[b].candidate]);
            most = chance > most ? chance : most;
        }
    const int64_t count = best_of(all->of, 0, all->count, search->nodes - 1, list);
    budget(search, kernels, all->of, list, count, level, &rate);
    return most * (float)(levels - level) < rate * search->level_ms;
}

static void put_node(Draft *draft, Candidate *of, int32_t index) {
    const int64_t node = draft->nodes;
    Candidate *c = &of[index];
    c->node = draft->nodes++;
    draft->token[node] = c->token;
    draft->parent[node] = c->parent < 0 ? 0 : of[c->parent].node;
    draft->depth[node] = c->depth;
    draft->origin[node] = c->origin;
    draft->copy[node] = c->place;
    draft->score[node] = c->score;
    draft->log_probability[node] = c->log_probability;
}

/* Beams of the last level, from their ends up to the root. */
static void put_beams(const Search *search, const Candidates *all, int64_t levels, Draft *draft) {
    const int64_t width = search->width, length = search->length;
    for (int64_t i = 0; i < width * length; i++)
        draft->beam_token[i] = draft->beam_node[i] = -1, draft->beam_log_probability[i] = 0.0f;
    for (int64_t b = 0; b < width; b++) {
        draft->beam_score[b] = b < all->beams ? all->beam[b].score : -INFINITY;
        if (b >= all->beams) continue;
        int32_t index = all->beam[b].candidate;
        for (int64_t level = levels; level > 0 && index >= 0; index = all->of[index].parent, level--) {
            const Candidate *c = &all->of[index];
            draft->beam_token[b * length + level - 1] = c->token;
            draft->beam_log_probability[b * length + level - 1] = c->token < 0 ? 0.0f : c->log_probability;
        }
    }
}

static void put_beam_nodes(const Search *search, const Candidates *all, int64_t levels, Draft *draft) {
    for (int64_t b = 0; b < all->beams; b++) {
        int32_t index = all->beam[b].candidate;
        for (int64_t level = levels; level > 0 && index >= 0; index = all->of[index].parent, level--)
            draft->beam_node[b * search->length + level - 1] = all->of[index].token < 0 ? -1 : all->of[index].node;
    }
}

/* Nodes beam by beam, along each beam, as a prefix is first met. */
static void tree_of_beams(Candidates *all, int64_t levels, Draft *draft) {
    for (int64_t b = 0; b < all->beams; b++) {
        int32_t path[MOST_LEVELS], index = all->beam[b].candidate;
        for (int64_t level = levels; level > 0; level--, index = all->of[index].parent) path[level - 1] = index;
        for (int64_t level = 0; level < levels; level++)
            if (all->of[path[level]].token >= 0 && all->of[path[level]].node < 0) put_node(draft, all->of, path[level]);
    }
}

static void best_tree(const Search *search, const Kernels *kernels, Candidates *all, int64_t levels, Draft *draft) {
    int32_t list[MOST_LISTED];
    float rate;
    const int64_t count = best_of(all->of, 0, all->count, search->nodes - 1 + MOST_OTHERS, list);
    int64_t nodes = smaller(count + 1, search->nodes);
    draft->budget = search->nodes;
    if (search->verify_ms) draft->budget = (int32_t)(nodes = budget(search, kernels, all->of, list, nodes - 1, levels, &rate));
    for (int64_t i = 0; i < nodes - 1; i++) /* a parent comes first, as scores never rise on the way down */
        if (all->of[list[i]].parent < 0 || all->of[all->of[list[i]].parent].node >= 0) put_node(draft, all->of, list[i]);
    for (int64_t i = nodes - 1; i < count && draft->others < MOST_OTHERS; i++) {
        const Candidate *c = &all->of[list[i]];
        draft->other_token[draft->others] = c->token;
        draft->other_parent[draft->others] = c->parent < 0 ? 0 : all->of[c->parent].node;
        draft->other_depth[draft->others] = c->depth;
        draft->other_score[draft->others++] = c->score;
    }
}

void make_tree(const Search *search, const Kernels *kernels, Candidates *all, int32_t root, int64_t levels, Draft *draft) {
    draft->nodes = 1;
    draft->others = draft->scored = 0;
    for (int64_t i = 0; i < all->count; i++) draft->scored += all->of[i].token >= 0 && valid(all->of[i].score);
    draft->token[0] = root, draft->parent[0] = -1, draft->depth[0] = 0;
    draft->origin[0] = ORIGIN_ROOT, draft->copy[0] = 0, draft->score[0] = draft->log_probability[0] = 0.0f;
    for (int64_t i = 0; i < all->count; i++) all->of[i].node = -1;
    put_beams(search, all, levels, draft);
    if (search->nodes) best_tree(search, kernels, all, levels, draft);
    else tree_of_beams(all, levels, draft);
    put_beam_nodes(search, all, levels, draft);
}
