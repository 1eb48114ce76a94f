/* upstream_health - does Chroma live?
 *
 * A heartbeat at an interval, on the way that requests go (upstream_control.h). Up after one
 * answer below 500, whatever it says: Chroma 0.4 has no such route and answers 404, others ask for
 * credentials. Down after two failures in a row; three heartbeats in a row that found no place for
 * a connection are failures too. While no connection stands it is asked each second; servers that
 * are not known to keep idle connections are asked twice in the time after which they close one
 * (chroma_family.def), so that a connection which breaks tells of a restart.
 *
 * Requests are not held back by this state (unless the operator asks for it: breaker.reads): Chroma
 * itself is asked, and refuses at once when it is down. The state is for operators: /readyz,
 * metrics, log. What requests find out (the pool's problem) counts beside it until a connection
 * that was begun later has succeeded.
 *
 * Thread: event loop only.
 */
#ifndef UPSTREAM_UPSTREAM_HEALTH_H
#define UPSTREAM_UPSTREAM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metric.h"
#include "io/loop.h"
#include "upstream/upstream_control.h"
#include "upstream/upstream_identity.h"
#include "upstream/upstream_incarnation.h"
#include "upstream/upstream_pool.h"

struct upstream_health; /* opaque */

enum upstream_health_state { UPSTREAM_HEALTH_UNKNOWN, UPSTREAM_HEALTH_UP, UPSTREAM_HEALTH_DOWN };

struct upstream_health_options {
    uint64_t interval_us, timeout_us;
};

/* Whom it works with; all borrowed. */
struct upstream_health_parts {
    struct upstream_pool        *pool;
    struct upstream_control     *control;
    struct upstream_incarnation *incarnation;
    struct upstream_identity    *identity;
};

struct upstream_health_stats {
    uint64_t up; /* 1 or 0 */
    uint64_t checks, failures, blocked;
};

extern const struct metric_desc upstream_health_metrics[];
extern const size_t             upstream_health_metric_count;

/* The state changed. From the loop. */
typedef void (*upstream_health_fn)(void *ctx);

/* Checks begin at once. `parts` and `options` are copied. NULL when out of memory. */
struct upstream_health *upstream_health_new(struct loop                          *loop,
                                            const struct upstream_health_parts   *parts,
                                            const struct upstream_health_options *options,
                                            upstream_health_fn on_change, void *ctx);

/* Tell `fn` of each heartbeat from now on: was it answered? One that found no place for a
 * connection is not told of, as it says nothing. NULL: nobody. From the loop. */
typedef void (*upstream_heartbeat_fn)(void *ctx, bool is_answered);
void upstream_health_on_heartbeat(struct upstream_health *health, upstream_heartbeat_fn fn,
                                  void *ctx);

/* Somebody needs to know: let the next check begin now. No-op while one is made, or held. */
void upstream_health_ask(struct upstream_health *health);

/* Change the times while running. */
void upstream_health_set_times(struct upstream_health *health, uint64_t interval_us,
                               uint64_t timeout_us);

/* While held no check is made and the state is UNKNOWN: the backend is known not to run, or not to
 * be ready to be asked. Checks begin anew, at once, when it is let go. */
void upstream_health_hold(struct upstream_health *health, bool held);

/* Before its parts. NULL is a no-op. */
void upstream_health_free(struct upstream_health *health);

/* What the checks say. */
enum upstream_health_state upstream_health_state(const struct upstream_health *health);

/* Why they say so, "" if it is up; for people. Borrowed. */
const char *upstream_health_problem(const struct upstream_health *health);

/* Does the backend work, by checks and requests alike? *ret_reason says why not, "" if it does;
 * for people, borrowed. Both are of this moment. */
bool upstream_health_is_up(const struct upstream_health *health, const char **ret_reason);

/* How long the last heartbeat took that was answered; 0 before. */
uint64_t upstream_health_took_us(const struct upstream_health *health);

/* Borrowed; brought up to date by the call. */
const struct upstream_health_stats *upstream_health_stats(struct upstream_health *health);

#endif
