/* upstream_resolver - the addresses behind the backend's name, kept fresh
 *
 * A literal address or a unix path is its own answer. A name is asked for on a worker thread
 * (getaddrinfo blocks), again when an answer is older than the interval and after
 * upstream_resolver_refresh(): services move. When a later look-up fails, the last good answer
 * stays in use.
 *
 * Callbacks run from the loop, never inside a call of this module.
 */
#ifndef UPSTREAM_UPSTREAM_RESOLVER_H
#define UPSTREAM_UPSTREAM_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/error.h"
#include "base/list.h"
#include "io/loop.h"
#include "io/socket.h"
#include "io/worker_pool.h"

struct upstream_resolver; /* opaque */

/* More addresses of one name than this are not tried. */
enum { UPSTREAM_RESOLVER_ADDRESSES_MAX = 16 };

/* A look-up that was waited for has ended, well or badly: ask upstream_resolver_addresses(). */
typedef void (*upstream_resolver_fn)(void *ctx);

/* Who wants to be told beside the owner's on_answer; embedded in its owner. */
struct upstream_resolver_watcher {
    struct list_node     node;
    upstream_resolver_fn on_answer;
    void                *ctx;
};

/* Everything is borrowed for the resolver's life, `backend` is copied. The first look-up starts at
 * once. NULL when out of memory. */
struct upstream_resolver *upstream_resolver_new(struct loop *loop, struct worker_pool *workers,
                                                const struct address *backend, uint64_t interval_us,
                                                upstream_resolver_fn on_answer, void *ctx);

/* Change how old an answer may be, while running. */
void upstream_resolver_set_interval(struct upstream_resolver *resolver, uint64_t interval_us);

/* The worker pool must have been freed before: no look-up may be running. NULL is a no-op. */
void upstream_resolver_free(struct upstream_resolver *resolver);

/* The known addresses, borrowed until control returns to the loop. Zero while the first look-up
 * runs (upstream_resolver_is_busy()) or when none has ever succeeded. An answer older than the
 * interval is returned and renewed in the background. */
size_t upstream_resolver_addresses(struct upstream_resolver     *resolver,
                                   const struct socket_address **ret_addresses);

/* Is a look-up running, so that on_answer will be called? */
bool upstream_resolver_is_busy(const struct upstream_resolver *resolver);

/* The addresses do not work: look the name up again, at most once a second. */
void upstream_resolver_refresh(struct upstream_resolver *resolver);

/* Tell `watcher` (borrowed until unwatch) of the end of every look-up, after the owner. */
void upstream_resolver_watch(struct upstream_resolver         *resolver,
                             struct upstream_resolver_watcher *watcher);
void upstream_resolver_unwatch(struct upstream_resolver_watcher *watcher);

/* Moves when a look-up has found another set of addresses than the one before; their order does not
 * count, and a first answer is no change. */
uint64_t upstream_resolver_generation(const struct upstream_resolver *resolver);

/* What a look-up finds, here and now: for commands that may wait. *ret_count <=
 * UPSTREAM_RESOLVER_ADDRESSES_MAX.
 * STATUS_BACKEND_DOWN  `error` says why. */
MUST_CHECK enum status upstream_resolver_look_up(const struct address  *backend,
                                                 struct socket_address *ret_addresses,
                                                 size_t *ret_count, struct error *error);

/* Why there is no address, for people. Borrowed. */
const char *upstream_resolver_problem(const struct upstream_resolver *resolver);

#endif
