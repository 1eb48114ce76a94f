/* upstream_health - does Chroma live, and what are its limits?
 *
 * A heartbeat at an interval (libcurl's multi interface on the same loop, on a connection of its
 * own for which the pool gives up a place under its cap; no check is made while all are busy). Up
 * after one answer below 500, down after two failures in a row. Its limits (pre-flight-checks) and
 * its version are asked for again each time it comes up, and with every heartbeat until they are
 * known.
 *
 * Requests are not held back by this state: Chroma itself is asked, and refuses at once when it is
 * down. The state is for operators: /readyz, metrics, log. What requests find out (the pool's
 * problem) stands beside it until the next heartbeat succeeds.
 *
 * Thread: event loop only.
 */
#ifndef UPSTREAM_UPSTREAM_HEALTH_H
#define UPSTREAM_UPSTREAM_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/metric.h"
#include "io/loop.h"
#include "upstream/upstream_pool.h"

struct upstream_health; /* opaque */

enum upstream_health_state { UPSTREAM_HEALTH_UNKNOWN, UPSTREAM_HEALTH_UP, UPSTREAM_HEALTH_DOWN };

struct upstream_health_options {
    struct address backend;
    uint64_t       interval_us, timeout_us;
};

struct upstream_health_stats {
    uint64_t up; /* 1 or 0 */
    uint64_t checks, failures;
};

extern const struct metric_desc upstream_health_metrics[];
extern const size_t             upstream_health_metric_count;

/* The state or the limits changed. From the loop. */
typedef void (*upstream_health_fn)(void *ctx);

/* Checks begin at once. `pool` is borrowed, `options` is copied. NULL when out of memory. */
struct upstream_health *upstream_health_new(struct loop *loop, struct upstream_pool *pool,
                                            const struct upstream_health_options *options,
                                            upstream_health_fn on_change, void *ctx);

/* Change the times while running. */
void upstream_health_set_times(struct upstream_health *health, uint64_t interval_us,
                               uint64_t timeout_us);

/* NULL is a no-op. */
void upstream_health_free(struct upstream_health *health);

enum upstream_health_state upstream_health_state(const struct upstream_health *health);

/* Why the last check failed, "" if it did not; for people. Borrowed. */
const char *upstream_health_problem(const struct upstream_health *health);

/* max_batch_size of pre-flight-checks; 0 while not known. */
uint64_t upstream_health_batch_records_max(const struct upstream_health *health);

/* Is it known to be Chroma 1.0 or later? False while it is down or has not said its version, and
 * for older servers, where two writes merged do not do what they do alone. */
bool upstream_health_is_rust(const struct upstream_health *health);

/* Borrowed. */
const struct upstream_health_stats *upstream_health_stats(const struct upstream_health *health);

#endif
