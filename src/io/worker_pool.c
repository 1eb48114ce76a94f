#include "io/worker_pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* All under the mutex but `threads`. */
struct job_class {
    unsigned    threads; /* bound of `running` */
    unsigned    running;
    struct list waiting;
    size_t      waiting_count;
};

struct worker_pool {
    struct loop_watch *watch;
    int                event_fd; /* written when the first job of a round is finished */
    pthread_mutex_t    mutex;
    pthread_cond_t     work;
    struct job_class   classes[WORKER_POOL_CLASSES];
    struct list        finished; /* under mutex */
    bool               stopping; /* under mutex */
    unsigned           thread_count;
    pthread_t         *threads; /* the loop's, as is their number */
};

static bool               start_threads(struct worker_pool *pool, unsigned threads);
static void              *run_worker(void *ctx);
static struct worker_job *take_job(struct worker_pool *pool);
static void               on_finished(unsigned ready, void *ctx);
static void               collect_finished(struct worker_pool *pool);

struct worker_pool *worker_pool_new(struct loop *loop, const struct worker_pool_options *options)
{
    struct worker_pool *pool;
    unsigned            threads = 0;

    for (size_t i = 0; i < WORKER_POOL_CLASSES; i++)
        threads += options->threads[i];
    assert(threads > 0);
    pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    for (size_t i = 0; i < WORKER_POOL_CLASSES; i++) {
        pool->classes[i].threads = options->threads[i];
        list_init(&pool->classes[i].waiting);
    }
    list_init(&pool->finished);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (pool->event_fd >= 0)
        pool->watch = loop_watch_new(loop, pool->event_fd, on_finished, pool);
    if (pool->watch == NULL || !start_threads(pool, threads)) {
        worker_pool_free(pool);
        return NULL;
    }
    loop_watch_set(pool->watch, LOOP_READ);
    return pool;
}

/* So many in all. Signals belong to the loop's thread: workers block all that are
 * sent to the process. */
static bool start_threads(struct worker_pool *pool, unsigned threads)
{
    pthread_t *room = realloc(pool->threads, threads * sizeof *room);
    sigset_t   all, before;
    bool       ok = room != NULL;

    if (ok)
        pool->threads = room;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* is of who reads: io/mapping_guard.h */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (ok && pool->thread_count < threads) {
        ok = pthread_create(&pool->threads[pool->thread_count], NULL, run_worker, pool) == 0;
        if (ok)
            pool->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

/* Threads that were started although not all could be stay: they are bound by the classes. */
bool worker_pool_grow(struct worker_pool *pool, enum worker_pool_class kind, unsigned threads)
{
    struct job_class *job_class = &pool->classes[kind];
    unsigned          more = threads > job_class->threads ? threads - job_class->threads : 0;

    if (more == 0)
        return true;
    if (!start_threads(pool, pool->thread_count + more))
        return false;
    pthread_mutex_lock(&pool->mutex);
    job_class->threads = threads;
    pthread_cond_broadcast(&pool->work); /* the new threads may have looked before */
    pthread_mutex_unlock(&pool->mutex);
    return true;
}

void worker_pool_free(struct worker_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    collect_finished(pool);
    loop_watch_free(pool->watch);
    if (pool->event_fd >= 0)
        close(pool->event_fd);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->threads);
    free(pool);
}

/* Nobody is woken for a job that has no room: who makes it takes the job. */
void worker_pool_submit(struct worker_pool *pool, struct worker_job *job)
{
    struct job_class *kind = &pool->classes[job->kind];

    assert(kind->threads > 0);
    pthread_mutex_lock(&pool->mutex);
    if (kind->running + kind->waiting_count < kind->threads)
        pthread_cond_signal(&pool->work);
    list_push_back(&kind->waiting, &job->node);
    kind->waiting_count++;
    pthread_mutex_unlock(&pool->mutex);
}

static void *run_worker(void *ctx)
{
    struct worker_pool   *pool = ctx;
    static const uint64_t one = 1;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        struct worker_job *job = take_job(pool);

        if (job == NULL && pool->stopping)
            break;
        if (job == NULL) {
            pthread_cond_wait(&pool->work, &pool->mutex);
            continue;
        }
        pthread_mutex_unlock(&pool->mutex);
        job->run(job);
        pthread_mutex_lock(&pool->mutex);
        pool->classes[job->kind].running--;
        if (list_is_empty(&pool->finished) && write(pool->event_fd, &one, sizeof one) < 0) {
            /* Only a counter at its maximum refuses, and then the loop is awake anyway. */
        }
        list_push_back(&pool->finished, &job->node);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* The first job of a class below its bound, under the mutex; NULL: none may run. Whoever finishes a
 * job asks again, so one that waits for its class is taken by the thread that makes room. */
static struct worker_job *take_job(struct worker_pool *pool)
{
    for (size_t i = 0; i < WORKER_POOL_CLASSES; i++) {
        struct job_class *kind = &pool->classes[i];
        struct list_node *node = list_first(&kind->waiting);

        if (node == NULL || kind->running == kind->threads)
            continue;
        list_remove(node);
        kind->waiting_count--;
        kind->running++;
        return LIST_ITEM(node, struct worker_job, node);
    }
    return NULL;
}

static void on_finished(unsigned ready, void *ctx)
{
    struct worker_pool *pool = ctx;
    uint64_t            count;

    (void)ready;
    if (read(pool->event_fd, &count, sizeof count) == (ssize_t)sizeof count)
        collect_finished(pool);
}

static void collect_finished(struct worker_pool *pool)
{
    struct list_node *node;

    for (;;) {
        struct worker_job *job;

        pthread_mutex_lock(&pool->mutex);
        node = list_first(&pool->finished);
        if (node != NULL)
            list_remove(node);
        pthread_mutex_unlock(&pool->mutex);
        if (node == NULL)
            return;
        job = LIST_ITEM(node, struct worker_job, node);
        job->done(job);
    }
}
