/* worker_pool - threads for what is long or blocks
 *
 * A job owns its data while it runs; its result comes back to the loop through an eventfd. Workers
 * share nothing but the queue of jobs.
 */
#ifndef IO_WORKER_POOL_H
#define IO_WORKER_POOL_H

#include "base/compiler.h"
#include "base/list.h"
#include "io/loop.h"

struct worker_pool; /* opaque */

/* One piece of work, embedded in its owner and zero-initialised. The owner must not touch what the
 * job uses, nor free it, between worker_pool_submit() and `done`. */
struct worker_job {
    struct list_node node;
    void (*run)(struct worker_job *job);  /* on a worker thread */
    void (*done)(struct worker_job *job); /* on the loop, once, after run() has returned */
};

/* Start `threads` >= 1 threads. NULL when the system refuses. */
struct worker_pool *worker_pool_new(struct loop *loop, unsigned threads);

/* Wait for running jobs; the done() of every submitted job has run when this returns. */
void worker_pool_free(struct worker_pool *pool);

/* Queue `job`. Loop thread only. */
void worker_pool_submit(struct worker_pool *pool, struct worker_job *job);

#endif
