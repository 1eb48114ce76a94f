/* upstream_control - the proxy's own questions to Chroma: is it alive, what is it, what is missing
 *
 * Questions go to the addresses that requests use, on places that the pool gives up under its cap.
 * Two may be under way:
 *
 *   kept   a connection that stays open. Questions that Chroma answers without its database use it
 *          (is_light). It tells when Chroma goes away: when it breaks, the incarnation moves, and
 *          again when the next one stands, which is not set up within a tenth of a second: one
 *          that ends may still answer. An answer that comes too late does not break it; it is
 *          given up when that answer is missing for a minute.
 *   extra  opened for one question, closed after it, where the pool has a second place to give.
 *          Questions that may hang use it, so that they do not keep heartbeats waiting.
 *
 * After an answer to a request that asks to wait (Retry-After) only light questions go.
 *
 * Without `keeps_connection` (a cap so small that requests need every place) both are opened for
 * one question each; then a restart is noticed only when a question meets it.
 *
 * Thread: event loop only. Callbacks run from the loop, never inside a call of this module; they
 * may ask again, but not free the module.
 */
#ifndef UPSTREAM_UPSTREAM_CONTROL_H
#define UPSTREAM_UPSTREAM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/compiler.h"
#include "base/status.h"
#include "io/loop.h"
#include "upstream/upstream_incarnation.h"
#include "upstream/upstream_pool.h"
#include "upstream/upstream_question.h"

struct upstream_control; /* opaque */

enum { UPSTREAM_CONTROL_WAITING_MAX = 64 }; /* questions */

/* Below this many connections (backend.connections_max) none is kept. */
enum { UPSTREAM_CONTROL_KEPT_FROM = 4 };

struct upstream_control_options {
    struct address backend;
    uint64_t       connect_timeout_us; /* per address */
    bool           keeps_connection;
};

/* Everything is borrowed, `options` is copied. NULL when out of memory. */
struct upstream_control *upstream_control_new(struct loop *loop, struct upstream_pool *pool,
                                              struct upstream_incarnation           *incarnation,
                                              const struct upstream_control_options *options);

/* Change the options while running, but for the backend. */
void upstream_control_set_options(struct upstream_control               *control,
                                  const struct upstream_control_options *options);

/* Questions are forgotten. Before the pool. NULL is a no-op. */
void upstream_control_free(struct upstream_control *control);

/* Ask. on_answer runs once, unless it is cancelled.
 * STATUS_OVERLOADED  too many wait already; it will not run. */
MUST_CHECK enum status upstream_control_ask(struct upstream_control  *control,
                                            struct upstream_question *question);

/* Not wanted any more; no-op when it is not asked. */
void upstream_control_cancel(struct upstream_control *control, struct upstream_question *question);

bool upstream_control_is_asked(const struct upstream_question *question);

/* Is the connection open that tells of a restart? */
bool upstream_control_has_connection(const struct upstream_control *control);

/* Was the backend lost, and not reached since? True at first. */
bool upstream_control_is_lost(const struct upstream_control *control);

#endif
