/* timeout_queue - many timeouts of one duration
 *
 * All timeouts of a queue last equally long, so they end in the order in which they began: adding,
 * moving and removing one costs a few pointer writes and no system call, whatever their number.
 * (After the duration was shortened, adding walks over the longer ones that still run.) One timer
 * of the loop stands behind each queue.
 */
#ifndef IO_TIMEOUT_QUEUE_H
#define IO_TIMEOUT_QUEUE_H

#include <stdint.h>

#include "base/list.h"
#include "io/loop.h"

struct timeout_queue; /* opaque */

/* One timeout, embedded in its owner and set up with timeout_queue_init_node(). */
struct timeout {
    struct list_node node;
    uint64_t         ends_us;
};

/* The timeout ended; it is in no queue any more and may be added again or freed. */
typedef void (*timeout_queue_fn)(struct timeout *timeout);

/* NULL when out of memory. `duration_us` 0 means never: starting is then stopping. */
struct timeout_queue *timeout_queue_new(struct loop *loop, uint64_t duration_us,
                                        timeout_queue_fn on_timeout);

/* The queue must be empty. NULL is a no-op. */
void timeout_queue_free(struct timeout_queue *queue);

/* Timeouts started from now on last `duration_us`. Those that run keep their end. */
void timeout_queue_set_duration(struct timeout_queue *queue, uint64_t duration_us);

void timeout_queue_init_node(struct timeout *timeout);

/* (Re)start `timeout`: it ends the queue's duration from now. */
void timeout_queue_start(struct timeout_queue *queue, struct timeout *timeout);

/* No-op when it is in no queue. */
void timeout_queue_stop(struct timeout *timeout);

/* Is it in a queue? */
bool timeout_queue_is_running(const struct timeout *timeout);

#endif
