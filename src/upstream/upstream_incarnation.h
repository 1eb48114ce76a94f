/* upstream_incarnation - is it still the same Chroma in the same state?
 *
 * A number that moves when it may not be: the connection that is kept to notice a restart broke
 * (upstream_control), the backend's name has other addresses, a supervised process ended, somebody
 * may have exchanged the data. Whoever assumes that Chroma is the same (its family and limits,
 * dimensions, names, copies) remembers the number beside what it knows, and what was learned under
 * another number is void.
 *
 * It moves twice for a restart: when the old one is lost, and when the new one is first reached, so
 * that a late answer of the old one is void too.
 *
 * Thread: event loop only.
 */
#ifndef UPSTREAM_UPSTREAM_INCARNATION_H
#define UPSTREAM_UPSTREAM_INCARNATION_H

#include <stdint.h>

#include "base/list.h"
#include "io/loop.h"

struct upstream_incarnation; /* opaque */

/* Who wants to be told; embedded in its owner. */
struct upstream_incarnation_watcher {
    struct list_node node;
    void (*on_move)(void *ctx); /* at the end of the turn, once for several moves */
    void *ctx;
};

/* NULL when out of memory. */
struct upstream_incarnation *upstream_incarnation_new(struct loop *loop);

/* Its watchers must have left. NULL is a no-op. */
void upstream_incarnation_free(struct upstream_incarnation *incarnation);

/* Never 0, so that 0 is the number of what is not known. */
uint64_t upstream_incarnation_number(const struct upstream_incarnation *incarnation);

/* Why it moved last, "" before; for people. Borrowed. */
const char *upstream_incarnation_reason(const struct upstream_incarnation *incarnation);

/* Move the number, at once. `reason` is copied, cut at some hundred bytes. */
void upstream_incarnation_void(struct upstream_incarnation *incarnation, const char *reason);

/* Tell `watcher` (borrowed until unwatch) of every move, in the order of joining. */
void upstream_incarnation_watch(struct upstream_incarnation         *incarnation,
                                struct upstream_incarnation_watcher *watcher);
void upstream_incarnation_unwatch(struct upstream_incarnation_watcher *watcher);

#endif
