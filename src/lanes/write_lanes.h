/* write_lanes - the one way of every write to Chroma
 *
 * A write to records, and what must keep its place among such writes, goes through the coalescer:
 *
 *   write_lanes_submit -> scan (large bodies on a worker) -> coalescer -> write_call -> its waiter
 *
 * Others that change something (what is created, unknown routes without a collection) go by
 * themselves at once, and so does every write if nothing is coalesced. While Chroma is down they
 * are tried again until their deadline, as those in lanes are.
 *
 * Thread: event loop only.
 */
#ifndef LANES_WRITE_LANES_H
#define LANES_WRITE_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "lanes/write.h"

struct write_lanes; /* opaque; one for each proxy */

/* As proxy->write_options say. NULL when out of memory. */
struct write_lanes *write_lanes_new(struct proxy *proxy);

/* Forget all writes at once: at the end of the program. NULL is a no-op. */
void write_lanes_free(struct write_lanes *lanes);

/* `write` (taken) is complete. Its waiter is told later, from the loop.
 * STATUS_OVERLOADED  too many writes or collections at once; nothing was taken.
 * STATUS_NO_MEMORY   nothing was taken. */
MUST_CHECK enum status write_lanes_submit(struct write_lanes *lanes, struct write *write);

/* The deadline of a write has passed. False: the coalescer minds it, and tells. True: nobody waits
 * for it any more; *ret_executed says what its client is to be told. It is not sent after NO. */
bool write_lanes_give_up(struct write *write, enum front_executed *ret_executed);

/* The proxy's family has changed, or what Chroma said of its limits. */
void write_lanes_set_backend(struct write_lanes *lanes, uint64_t batch_records_max);

/* As proxy_backend_ended(). */
void write_lanes_backend_ended(struct write_lanes *lanes);

/* The weights of services have changed. */
void write_lanes_set_weights(struct write_lanes *lanes);

/* See coalescer_set_role(). */
void write_lanes_set_gateway(struct write_lanes *lanes, bool is_gateway);

/* Calls with writes at a time, as far as lanes make them. */
uint32_t write_lanes_in_flight_max(const struct write_lanes *lanes);

/* Are requests with more records than Chroma takes at once sent in parts? */
bool write_lanes_splits(const struct write_lanes *lanes);

/* Append the metrics of batches and lanes.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status write_lanes_print_metrics(struct write_lanes *lanes,
                                                 struct byte_buffer *out);

#endif
