/* front - the listening side: takes connections, bounds and times them, drains
 *
 * What a connection does with requests is told by a handler (front_connection.h). Several
 * addresses may be listened on; all connections count against one limit. At it, and where there is
 * no descriptor, a connection that has been idle for long makes room for a new one.
 *
 * Thread: event loop only. Memory: a connection struct and its stream per client (under 1 KB when
 * idle), a reader per request being read or answered.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory_account.h"
#include "base/metric.h"
#include "front/front_connection.h"
#include "front/front_options.h"
#include "io/loop.h"
#include "io/socket.h"

struct front; /* opaque */

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

/* Is a client that has just connected to be served? `fd` and `peer` are borrowed. */
typedef bool (*front_guard_fn)(int fd, const struct socket_address *peer, void *ctx);

/* Ask `is_welcome` about each connection; whoever is not is closed without a word. NULL: all are.
 */
void front_set_guard(struct front *front, front_guard_fn is_welcome, void *ctx);

/* From now on every answer ends its connection. New connections are still taken. */
void front_drain(struct front *front);

/* Requests being read or answered, also those whose answer the client is still taking. */
size_t front_active_requests(const struct front *front);

/* When a request last began or ended, monotonic microseconds. */
uint64_t front_last_activity_us(const struct front *front);

/* Borrowed. */
const struct front_stats *front_stats(const struct front *front);

#endif
