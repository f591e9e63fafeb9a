/* The search for a tree, without the drafter: candidates, which of them go on, and which become nodes. */
#ifndef SEARCH_H
#define SEARCH_H

#include "kernels.h"
#include "native.h"

/* Where the present place was seen before: the longest, then latest, earlier match, and what followed it. */
typedef struct Lookback {
    int32_t match, count; /* tokens that agree; of the continuation */
    int32_t token[MOST_COPIED];
} Lookback;

/* A scored continuation. `place` is its number in the continuation where it and all above it follow that, else 0. */
typedef struct Candidate {
    float score, log_probability;
    int32_t token, parent, depth, place, origin, node; /* token -1: an ended beam that only waits */
} Candidate;

/* One beam: a candidate that may go on. */
typedef struct Beam {
    int32_t candidate, token, place, ended; /* candidate -1: the root, place 0 */
    float score;
} Beam;

typedef struct Candidates {
    Candidate *of;
    int64_t count;
    Beam beam[MOST_WIDTH];
    int64_t beams;
} Candidates;

Lookback look_back(const int32_t *history, int64_t count, int32_t longest, int32_t wanted);
int64_t children_of(const Search *search, int64_t level); /* K, how many a beam keeps */
int64_t candidates_room(const Search *search, int64_t levels);
/* The beams of the next level: the best of the last level's candidates, from `first` on. */
void next_beams(const Search *search, Candidates *all, int64_t first, const int32_t *eos, int64_t eos_count);
void add_copies(const Kernels *kernels, const Search *search, const Lookback *seen, Candidates *all, int64_t deepest,
                const int32_t *eos, int64_t eos_count);
void make_tree(const Search *search, const Kernels *kernels, Candidates *all, int32_t root, int64_t levels, Draft *draft);
/* Whether level + 1 of `levels` cannot pay for itself: see search.c. */
int enough(const Search *search, const Kernels *kernels, const Candidates *all, int64_t level, int64_t levels);

#endif
