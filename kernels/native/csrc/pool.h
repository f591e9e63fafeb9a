/* One pool of threads, and work handed out to them in small pieces.
 *
 * A job is a sequence of phases. Each phase is a number of items, of which every thread has a share: a range it takes
 * from the front, so that it reads memory in one long stream; who has done his takes from the shares of others. A phase
 * is over when its items are done, not when every thread has arrived: a thread that was put aside by the system between
 * two items keeps nobody waiting. Waiting spins briefly, then sleeps. */
#ifndef POOL_H
#define POOL_H

#include <stdatomic.h>
#include <stdint.h>

#include "native.h"

/* One thread's part of a phase, on a cache line of its own: how many items of its share are taken, by whomever, and how
 * many items, of whatever share, it has done (which only it writes). */
typedef struct Share {
    _Alignas(64) atomic_long taken;
    atomic_long done;
} Share;

typedef struct Worker {
    Pool *pool;
    Share *shares; /* [phase][thread], zeroed; a phase for each loop over items in the job */
    int64_t phase, next, end; /* items next..end-1 are claimed */
    long done;                /* items of this phase that this thread did */
    int index, threads, holding; /* this thread's number; of how many; whether it holds an item of the phase */
} Worker;

typedef void (*Job)(void *context, Worker *worker);

/* Runs job on every thread, the calling one as number 0, over phase_count phases. Calls are serialised by the lock,
 * which the caller holds: pool_enter before anything shared is touched, pool_leave after. */
int pool_enter(Pool *pool);
void pool_leave(Pool *pool);
int pool_run(Pool *pool, Job job, void *context, int64_t phase_count);

/* The next item below total, or -1 when the phase is over (all items done, by whomever). */
int64_t worker_next(Worker *worker, int64_t total);

/* The share of thread t of a phase of `total` items: from share_start(t) to share_start(t + 1). */
static inline int64_t share_start(const Worker *worker, int64_t total, int64_t t) { return total * t / worker->threads; }

#endif
