/* io/worker_pool.h without threads: nothing in these tests needs a worker, since the backend's
 * address is a literal. */
#include <stdlib.h>

#include "io/worker_pool.h"

struct worker_pool *worker_pool_new(struct loop *loop, unsigned threads)
{
    (void)loop;
    (void)threads;
    return NULL;
}

void worker_pool_free(struct worker_pool *pool)
{
    (void)pool;
}

void worker_pool_submit(struct worker_pool *pool, struct worker_job *job)
{
    (void)pool;
    (void)job;
    abort();
}
