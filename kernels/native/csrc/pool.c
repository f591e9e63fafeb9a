/* Threads, their sleep and their waking; see pool.h. */
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define RELAX() _mm_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

enum { SPIN_NANOSECONDS = 40000, MAX_THREADS = 1024 };

struct Pool {
    int threads;
    pid_t process; /* threads do not survive a fork: another process starts its own */
    pthread_mutex_t entry; /* one caller at a time */
    pthread_mutex_t lock;  /* guards all below but the atomics */
    pthread_cond_t work, rest;
    pthread_t *ids;
    int started, stopping, inside; /* inside: workers within the present job */
    atomic_ulong epoch;            /* counts jobs; odd while one is open */
    atomic_int sleepers;           /* threads waiting on `rest` for a phase's end */
    Job job;
    void *context;
    Share *shares;
    int64_t share_capacity;
};

static int64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Rounding to nearest and denormals kept, whatever the program around us set; returns what was. */
static uint64_t plain_arithmetic(void) {
#if defined(__x86_64__)
    uint64_t old = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return old;
#elif defined(__aarch64__)
    uint64_t old, plain = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"(plain));
    return old;
#else
    return 0;
#endif
}

static void former_arithmetic(uint64_t old) {
#if defined(__x86_64__)
    _mm_setcsr((unsigned)old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"(old));
#else
    (void)old;
#endif
}

static void *worker_main(void *argument) {
    Worker worker = *(Worker *)argument;
    Pool *pool = worker.pool;
    free(argument);
    plain_arithmetic();
    unsigned long seen = 0;
    for (;;) {
        for (int64_t until = nanoseconds() + SPIN_NANOSECONDS; nanoseconds() < until;) {
            for (int i = 0; i < 16; i++) RELAX();
            unsigned long epoch = atomic_load(&pool->epoch);
            if ((epoch & 1) && epoch != seen) break;
        }
        pthread_mutex_lock(&pool->lock);
        unsigned long epoch;
        while (epoch = atomic_load(&pool->epoch), !pool->stopping && (!(epoch & 1) || epoch == seen))
            pthread_cond_wait(&pool->work, &pool->lock);
        if (pool->stopping) break;
        seen = epoch;
        pool->inside++;
        worker.shares = pool->shares;
        pthread_mutex_unlock(&pool->lock);
        worker.phase = worker.next = worker.end = worker.done = worker.holding = 0;
        pool->job(pool->context, &worker);
        pthread_mutex_lock(&pool->lock);
        if (--pool->inside == 0) pthread_cond_broadcast(&pool->rest);
        pthread_mutex_unlock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Starts what is not yet started in this process. */
static int pool_start(Pool *pool) {
    while (pool->started < pool->threads - 1) {
        Worker *worker = calloc(1, sizeof *worker);
        if (!worker) return NATIVE_NO_MEMORY;
        worker->pool = pool;
        worker->index = pool->started + 1;
        worker->threads = pool->threads;
        if (pthread_create(&pool->ids[pool->started], NULL, worker_main, worker)) {
            free(worker);
            return NATIVE_NO_THREADS;
        }
        pool->started++;
    }
    return NATIVE_OK;
}

static void pool_fresh(Pool *pool) {
    pthread_mutex_init(&pool->entry, NULL);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->rest, NULL);
    pool->started = pool->inside = 0;
    atomic_store(&pool->epoch, 0);
    atomic_store(&pool->sleepers, 0);
    pool->process = getpid();
}

Pool *native_pool_new(int threads) {
    if (threads < 1 || threads > MAX_THREADS) return NULL;
    Pool *pool = calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->threads = threads;
    pool->ids = calloc((size_t)threads, sizeof *pool->ids);
    if (!pool->ids) {
        free(pool);
        return NULL;
    }
    pool_fresh(pool);
    if (pool_start(pool) != NATIVE_OK) {
        native_pool_free(pool);
        return NULL;
    }
    return pool;
}

int native_pool_threads(const Pool *pool) { return pool->threads; }

void native_pool_free(Pool *pool) {
    if (!pool) return;
    if (pool->process == getpid()) {
        pthread_mutex_lock(&pool->lock);
        pool->stopping = 1;
        pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
        for (int i = 0; i < pool->started; i++) pthread_join(pool->ids[i], NULL);
    }
    free(pool->shares);
    free(pool->ids);
    free(pool);
}

int pool_enter(Pool *pool) {
    if (pool->process != getpid()) pool_fresh(pool); /* a child has one thread, and nobody holds its locks */
    pthread_mutex_lock(&pool->entry);
    return pool_start(pool);
}

void pool_leave(Pool *pool) { pthread_mutex_unlock(&pool->entry); }

int pool_run(Pool *pool, Job job, void *context, int64_t phase_count) {
    const int64_t wanted = phase_count * pool->threads;
    if (wanted > pool->share_capacity) {
        free(pool->shares);
        pool->shares = aligned_alloc(64, (size_t)wanted * sizeof(Share));
        pool->share_capacity = pool->shares ? wanted : 0;
        if (!pool->shares) return NATIVE_NO_MEMORY;
    }
    memset((void *)pool->shares, 0, (size_t)wanted * sizeof(Share));
    pool->job = job;
    pool->context = context;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->epoch, 1);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    uint64_t arithmetic = plain_arithmetic();
    Worker self = {.pool = pool, .shares = pool->shares, .threads = pool->threads};
    job(context, &self);
    former_arithmetic(arithmetic);
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->epoch, 1); /* closed: who has not come yet need not */
    while (pool->inside) pthread_cond_wait(&pool->rest, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
    return NATIVE_OK;
}

static int phase_over(const Worker *worker, int64_t total) {
    Share *shares = worker->shares + worker->phase * worker->threads;
    long done = 0;
    for (int t = 0; t < worker->threads; t++) done += atomic_load(&shares[t].done);
    return done >= total;
}

static void phase_wait(const Worker *worker, int64_t total) {
    Pool *pool = worker->pool;
    for (int64_t until = nanoseconds() + SPIN_NANOSECONDS;;) {
        for (int i = 0; i < 16; i++) {
            if (phase_over(worker, total)) return;
            RELAX();
        }
        if (nanoseconds() > until) break;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!phase_over(worker, total)) pthread_cond_wait(&pool->rest, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* Items of this thread's share, else of another's, a quarter of what is left at once: each claim waits for the stores
 * before it, and so costs as much as some items. Returns 0 when all are taken. */
static int claim(Worker *worker, int64_t total) {
    Share *shares = worker->shares + worker->phase * worker->threads;
    for (int i = 0, t = worker->index; i < worker->threads; i++, t = t + 1 < worker->threads ? t + 1 : 0) {
        const int64_t from = share_start(worker, total, t), count = share_start(worker, total, t + 1) - from;
        const int64_t left = count - atomic_load(&shares[t].taken), wanted = left < 8 ? 1 : left / 4;
        if (left <= 0) continue;
        const int64_t place = atomic_fetch_add(&shares[t].taken, wanted);
        if (place >= count) continue;
        worker->next = from + place;
        worker->end = worker->next + (wanted < count - place ? wanted : count - place);
        return 1;
    }
    return 0;
}

/* Whoever ends last wakes those who sleep. The fence: either they see the last item done, or this sees them. */
static void wake_waiting(const Worker *worker, int64_t total) {
    Pool *pool = worker->pool;
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load(&pool->sleepers) || !phase_over(worker, total)) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->rest);
    pthread_mutex_unlock(&pool->lock);
}

int64_t worker_next(Worker *worker, int64_t total) {
    if (worker->holding) {
        Share *own = worker->shares + worker->phase * worker->threads + worker->index;
        atomic_store_explicit(&own->done, ++worker->done, memory_order_release);
    }
    worker->holding = worker->next < worker->end || claim(worker, total);
    if (worker->holding) return worker->next++;
    wake_waiting(worker, total);
    phase_wait(worker, total);
    worker->phase++;
    worker->done = 0;
    return -1;
}
