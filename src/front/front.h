/* front - the listening side: takes connections, bounds and times them, drains
 *
 * What a connection does with requests is told by a handler (front_connection.h). Several
 * addresses may be listened on; all connections count against one limit.
 *
 * Thread: event loop only. Memory: a connection struct and its stream per client (under 1 KB when
 * idle), a reader per request being read or answered.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory_account.h"
#include "base/metric.h"
#include "front/front_connection.h"
#include "io/loop.h"
#include "io/socket.h"

struct front; /* opaque */

struct front_options {
    size_t   connections_max;      /* beyond it: answered 503 and closed */
    uint64_t idle_timeout_us;      /* between requests */
    uint64_t head_timeout_us;      /* from a request's first byte to the end of its head */
    uint64_t body_timeout_us;      /* each such span must bring FRONT_BYTES_PER_SECOND_MIN */
    uint64_t send_timeout_us;      /* likewise for the bytes of an answer that the client takes */
    size_t   start_line_bytes_max; /* of a request */
    size_t   head_bytes_max;       /* of a request */
    bool     is_plain;             /* add no fields of our own to errors (`headers: off`) */
};

/* A client slower than this for a whole timeout is cut off. Slower than any network, and than what
 * a client sends or reads while it works; yet 40 MiB at 1 KB/s would be eleven hours. */
enum { FRONT_BYTES_PER_SECOND_MIN = 1536 };

struct front_stats {
    uint64_t connections; /* now */
    uint64_t accepted;
    uint64_t refused_limit;       /* connections beyond connections_max */
    uint64_t refused_descriptors; /* connections for which there was no descriptor */
    uint64_t bad_requests;        /* refused as HTTP before anybody was asked */
    uint64_t timeouts;            /* connections closed by a timeout other than idle */
};

extern const struct metric_desc front_metrics[];
extern const size_t             front_metric_count;

/* `options` is copied; the rest is borrowed. NULL when out of memory. */
struct front *front_new(struct loop *loop, struct memory_account_budget *budget,
                        const struct front_options *options, const struct front_handler *handler,
                        void *handler_ctx);

/* Close everything. NULL is a no-op. */
void front_free(struct front *front);

/* Change the options while running; connections beyond a smaller limit stay. */
void front_set_options(struct front *front, const struct front_options *options);

/* Listen on one more address. *ret_bound says which, with the port that was chosen.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY  `error` says why. */
MUST_CHECK enum status front_listen(struct front *front, const struct socket_address *address,
                                    struct socket_address *ret_bound, struct error *error);

/* From now on every answer ends its connection. New connections are still taken. */
void front_drain(struct front *front);

/* Requests being read or answered, also those whose answer the client is still taking. Looks at
 * every connection. */
size_t front_active_requests(const struct front *front);

/* When a request last began or ended, monotonic microseconds. */
uint64_t front_last_activity_us(const struct front *front);

/* Borrowed. */
const struct front_stats *front_stats(const struct front *front);

#endif
