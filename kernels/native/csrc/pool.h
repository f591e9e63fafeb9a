/* One pool of threads, and work handed out to them in small pieces.
 *
 * A job is a sequence of phases. Each phase is a number of items; threads take items by an atomic counter, and a
 * phase is over when its items are done, not when every thread has arrived: a thread that was put aside by the
 * system between two items keeps nobody waiting. Waiting spins briefly, then sleeps. */
#ifndef POOL_H
#define POOL_H

#include <stdatomic.h>
#include <stdint.h>

#include "native.h"

typedef struct Phase {
    _Alignas(64) atomic_long next;
    _Alignas(64) atomic_long done;
} Phase;

typedef struct Worker {
    Pool *pool;
    Phase *phases; /* zeroed, one for each loop over items in the job */
    int64_t phase;
    int index, holding; /* this thread's number; whether it holds an item of the phase */
} Worker;

typedef void (*Job)(void *context, Worker *worker);

/* Runs job on every thread, the calling one as number 0, over phase_count phases. Calls are serialised by the lock,
 * which the caller holds: pool_enter before anything shared is touched, pool_leave after. */
int pool_enter(Pool *pool);
void pool_leave(Pool *pool);
int pool_run(Pool *pool, Job job, void *context, int64_t phase_count);

/* The next item below total, or -1 when the phase is over (all items done, by whomever). */
int64_t worker_next(Worker *worker, int64_t total);

#endif
