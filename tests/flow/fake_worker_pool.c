/* io/worker_pool.h without threads: a job runs when it is submitted, and is done after a while. */
#include <assert.h>
#include <stdlib.h>

#include "flow/fake_loop.h"
#include "io/clock.h"
#include "io/worker_pool.h"

struct worker_pool {
    struct worker_pool_options options;
    struct loop_timer         *timer;
    struct list                finished;
};

static void on_time(void *ctx);
static void set_timer(struct worker_pool *pool);

struct worker_pool *worker_pool_new(struct loop *loop, const struct worker_pool_options *options)
{
    struct worker_pool *pool = calloc(1, sizeof *pool);

    assert(pool != NULL);
    pool->options = *options;
    list_init(&pool->finished);
    pool->timer = loop_timer_new(loop, on_time, pool);
    return pool;
}

void worker_pool_submit(struct worker_pool *pool, struct worker_job *job)
{
    assert(pool->options.threads[job->kind] > 0);
    job->run(job);
    list_node_init(&job->node);
    list_push_back(&pool->finished, &job->node);
    set_timer(pool);
}

static void set_timer(struct worker_pool *pool)
{
    if (!list_is_empty(&pool->finished))
        loop_timer_set(pool->timer, clock_now_us() + 1 + fake_loop_random(5000));
}

static void on_time(void *ctx)
{
    struct worker_pool *pool = ctx;
    struct list_node   *node = list_first(&pool->finished);
    struct worker_job  *job = LIST_ITEM(node, struct worker_job, node);

    list_remove(node);
    set_timer(pool);
    job->done(job);
}

void worker_pool_free(struct worker_pool *pool)
{
    if (pool == NULL)
        return;
    while (!list_is_empty(&pool->finished))
        on_time(pool);
    loop_timer_free(pool->timer);
    free(pool);
}
