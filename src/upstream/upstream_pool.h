/* upstream_pool - keep-alive connections to Chroma under a hard cap
 *
 * A request takes a connection (the one used last, so that spare ones grow old and are closed), or
 * opens one while fewer than connections_max exist. Nobody waits here: who goes next is decided
 * elsewhere, and the pool only says whether it has room. upstream_transfer.h says how a request is
 * sent.
 *
 * A connection is used again only if that is safe: closed are those on which bytes came unasked,
 * those idle for too long, and those whose request Chroma refused without reading it all (it may
 * close them without saying so).
 *
 * Thread: event loop only. Memory: a connection's stream and reader.
 */
#ifndef UPSTREAM_UPSTREAM_POOL_H
#define UPSTREAM_UPSTREAM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/memory_account.h"
#include "base/metric.h"
#include "io/loop.h"
#include "io/worker_pool.h"
#include "upstream/upstream_pool_options.h"

struct upstream_pool; /* opaque */
struct upstream_resolver;

extern const struct metric_desc upstream_pool_metrics[];
extern const size_t             upstream_pool_metric_count;

/* `options` is copied; the rest is borrowed for the pool's life. NULL when out of memory. */
struct upstream_pool *upstream_pool_new(struct loop *loop, struct worker_pool *workers,
                                        struct memory_account_budget       *budget,
                                        const struct upstream_pool_options *options);

/* Change the options while running, but for the backend and head_bytes_max. Connections
 * beyond a smaller cap are closed as they become idle. */
void upstream_pool_set_options(struct upstream_pool               *pool,
                               const struct upstream_pool_options *options);

/* Close all connections; transfers that are not over fail. The worker pool must have been freed
 * before. NULL is a no-op. */
void upstream_pool_free(struct upstream_pool *pool);

/* May a transfer be started? */
bool upstream_pool_has_room(const struct upstream_pool *pool);

/* Who decides about turns is asked first when a place is taken, and told when it is given back. */
void upstream_pool_set_control(struct upstream_pool *pool, bool (*take)(void *ctx),
                               void (*give)(void *ctx), void *ctx);

/* Take a place under the cap for a connection of the caller's own (a health check), closing an idle
 * one if need be. False: all are busy. */
bool upstream_pool_take_place(struct upstream_pool *pool);
void upstream_pool_give_place(struct upstream_pool *pool);

/* Borrowed; brought up to date by the call. */
const struct upstream_pool_stats *upstream_pool_stats(struct upstream_pool *pool);

/* Writes that were sent and have no answer yet. */
size_t upstream_pool_unanswered_writes(const struct upstream_pool *pool);

/* Is a look-up of the backend's name running? */
bool upstream_pool_is_resolving(const struct upstream_pool *pool);

/* Where the backend is, for those who ask it beside the pool: the same addresses in the same order.
 * The index (modulo their number) is that of the one that worked last, for either. Borrowed. */
struct upstream_resolver *upstream_pool_resolver(struct upstream_pool *pool);
size_t                    upstream_pool_good_address(const struct upstream_pool *pool);
void                      upstream_pool_set_good_address(struct upstream_pool *pool, size_t index);

/* Why the last attempt to connect failed; "" if none did, or one has succeeded since. Borrowed. */
const char *upstream_pool_problem(const struct upstream_pool *pool);

/* Chroma has answered 429 or 503 with a Retry-After: nothing is repeated before this time, and no
 * question of the proxy's own is asked that can wait. A time that is past: it has not. */
uint64_t upstream_pool_retry_at_us(const struct upstream_pool *pool);

/* Another connection, begun at `began_us`, has succeeded: forget a problem that is not younger. */
void upstream_pool_clear_problem(struct upstream_pool *pool, uint64_t began_us);

#endif
