/* write_lanes - brings writes to the coalescer and does what it says
 *
 * The coalescer decides which waiting writes go to Chroma next and together; here are the bytes:
 * calls are made, answers and errors handed to the exchanges.
 *
 * Thread: event loop only. Private to proxy/.
 */
#ifndef PROXY_WRITE_LANES_H
#define PROXY_WRITE_LANES_H

#include <stdbool.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "proxy/exchange.h"
#include "proxy/proxy.h"

struct write_lanes; /* opaque */

/* NULL when out of memory. */
struct write_lanes *write_lanes_new(struct proxy *proxy, struct worker_pool *workers,
                                    const struct proxy_write_options *options);

/* The pool must be gone: no call is under way. NULL is a no-op. */
void write_lanes_free(struct write_lanes *lanes);

/* Does this request take a place in a lane? Others that change something go by themselves. */
bool write_lanes_takes(const struct chroma_route *route);

/* A request that write_lanes_takes() is complete: scan it, queue it. It is answered or refused
 * later; until then, and until Chroma's call for it is over, the exchange is held.
 * STATUS_OVERLOADED  too many writes or collections at once; nothing was taken.
 * STATUS_NO_MEMORY   nothing was taken. */
MUST_CHECK enum status write_lanes_add(struct write_lanes *lanes, struct exchange *exchange);

/* The deadline of an exchange ended that the coalescer has not taken yet. False: it has. */
bool write_lanes_give_up(struct exchange *exchange);

/* What is known of the backend; as proxy_set_backend(). What waits already is not looked at again.
 */
void write_lanes_set_backend(struct write_lanes *lanes, bool may_merge, uint64_t batch_records_max);

/* A collection's dimension, from Chroma's description of it. */
void write_lanes_learn_dimension(struct write_lanes *lanes, const uint8_t uuid[16],
                                 uint32_t dimension);

/* Are requests with more records than Chroma takes at once sent in parts? */
bool write_lanes_splits(const struct write_lanes *lanes);

/* Append the metrics of batches and lanes.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status write_lanes_print_metrics(struct write_lanes *lanes,
                                                 struct byte_buffer *out);

#endif
