/* proxy - what all requests share: options, the backend's pool, deadlines, budgets, numbers
 *
 * proxy_handler() is what a front calls: each request becomes an exchange (exchange.h).
 *
 * Thread: event loop only.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/memory_budget.h"
#include "front/front_connection.h"
#include "io/loop.h"
#include "io/worker_pool.h"
#include "upstream/upstream_pool.h"

struct proxy; /* opaque; proxy_state.h for the folder itself */

enum proxy_access_log { PROXY_LOG_ALL, PROXY_LOG_ERRORS, PROXY_LOG_OFF };

struct proxy_options {
    uint64_t              body_bytes_max;    /* larger requests get Chroma's 413 */
    uint64_t              queue_bytes_max;   /* of request bodies held; more waits unread */
    uint64_t              queue_wait_max_us; /* of a read, for its turn */
    uint64_t              deadline_read_us;  /* last byte of the request to first of the answer */
    uint64_t              deadline_write_us;
    bool                  adds_headers;
    enum proxy_access_log access_log;
};

/* How writes are merged; see coalescer.h. */
struct proxy_write_options {
    bool     is_coalescing;     /* false: each write goes by itself, as it came */
    bool     is_gateway;        /* every write to this Chroma comes through here */
    uint32_t in_flight_max;     /* calls at once; 0: by what the backend is */
    uint32_t batch_records_max; /* 0: by measured cost */
    size_t   batch_bytes_max;
    uint64_t patience_us;
    bool     split_oversize;
};

/* `options` and `writes` are copied; the rest is borrowed. NULL when out of memory. */
struct proxy *proxy_new(struct loop *loop, struct worker_pool *workers,
                        struct memory_budget *budget, struct upstream_pool *pool,
                        const struct proxy_options       *options,
                        const struct proxy_write_options *writes);

/* What is known of the backend. Writes are merged only while `may_merge`, which is false at first:
 * on servers below 1.0 a merged write can erase what other clients stored. `batch_records_max` is
 * how many records Chroma takes at once (pre-flight-checks), 0 while not known. */
void proxy_set_backend(struct proxy *proxy, bool may_merge, uint64_t batch_records_max);

/* Change the options while running. */
void proxy_set_options(struct proxy *proxy, const struct proxy_options *options);

/* The front must be gone, and the pool too. NULL is a no-op. */
void proxy_free(struct proxy *proxy);

/* For front_new(); its context is the proxy. */
const struct front_handler *proxy_handler(void);

/* Append the proxy's metrics.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status proxy_print_metrics(struct proxy *proxy, struct byte_buffer *out);

/* Requests whose client still waits, and writes that go on without one. */
size_t proxy_unfinished(const struct proxy *proxy);

#endif
