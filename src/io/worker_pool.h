/* worker_pool - threads for what is long or blocks, in classes that do not delay one another
 *
 * A job owns its data while it runs; its result comes back to the loop through an eventfd. Workers
 * share nothing but the queues of jobs.
 *
 * Each class has a bound: so many of its jobs run at a time, in the order in which they were
 * submitted. There are as many threads as the bounds together, so a job whose class is below its
 * bound begins at once, whatever those of other classes do: a name server that hangs or an index
 * that is built keeps no body from being read. What they share are the CPUs.
 */
#ifndef IO_WORKER_POOL_H
#define IO_WORKER_POOL_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/list.h"
#include "io/loop.h"

struct worker_pool; /* opaque */

enum worker_pool_class {
    WORKER_POOL_SCAN,   /* short work that a request waits for: reading a large body */
    WORKER_POOL_NAME,   /* look-ups of names, which may hang */
    WORKER_POOL_SEARCH, /* searches in an index */
    WORKER_POOL_INDEX,  /* what takes seconds and nobody waits for: building, storing */
    WORKER_POOL_WATCH,  /* looks at other processes, by the second */
    WORKER_POOL_CLASSES
};

/* How many jobs of each class run at a time; 0: there are none. */
struct worker_pool_options {
    unsigned threads[WORKER_POOL_CLASSES];
};

/* One piece of work, embedded in its owner and zero-initialised. The owner must not touch what the
 * job uses, nor free it, between worker_pool_submit() and `done`. */
struct worker_job {
    struct list_node       node;
    enum worker_pool_class kind;          /* of `threads` > 0 */
    void (*run)(struct worker_job *job);  /* on a worker thread */
    void (*done)(struct worker_job *job); /* on the loop, once, after run() has returned */
};

/* Start the threads, at least one. NULL when the system refuses. */
struct worker_pool *worker_pool_new(struct loop *loop, const struct worker_pool_options *options);

/* Let `threads` jobs of the class run at a time from now on, if it were fewer: starts the threads.
 * Loop thread only. False when the system refuses; then it is as it was. */
MUST_CHECK bool worker_pool_grow(struct worker_pool *pool, enum worker_pool_class kind,
                                 unsigned threads);

/* Wait for running jobs; the done() of every submitted job has run when this returns. */
void worker_pool_free(struct worker_pool *pool);

/* Queue `job`. Loop thread only. */
void worker_pool_submit(struct worker_pool *pool, struct worker_job *job);

#endif
