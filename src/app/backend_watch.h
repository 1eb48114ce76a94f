/* backend_watch - what is known of the backend: does it live, is it the same, may writes be merged
 *
 * Puts together the parts of upstream/ that ask (control, incarnation, identity, health), for the
 * running proxy and for the commands alike, so that all have one definition of "up".
 *
 * Private to app/, but for backend_probe.
 */
#ifndef APP_BACKEND_WATCH_H
#define APP_BACKEND_WATCH_H

#include <stdbool.h>

#include "app/settings.h"
#include "base/byte_buffer.h"
#include "base/metric.h"
#include "chroma/chroma_family.h"
#include "io/loop.h"
#include "upstream/upstream_control.h"
#include "upstream/upstream_health.h"
#include "upstream/upstream_identity.h"
#include "upstream/upstream_incarnation.h"
#include "upstream/upstream_pool.h"

struct backend_watch {
    struct loop                 *loop;
    const struct settings       *settings;
    struct upstream_pool        *pool;
    struct upstream_incarnation *incarnation;
    struct upstream_control     *control;
    struct upstream_identity    *identity;
    struct upstream_health      *health;
    bool                         logs;
    enum upstream_health_state   told_state;
    enum chroma_family           told_family;
    uint64_t                     told_identity; /* its incarnation */
    void (*on_change)(void *ctx);
    void                               *ctx;
    struct upstream_incarnation_watcher watcher;
};

/* Begin to ask. `settings` and `pool` are borrowed. `on_change` runs from the loop when the state
 * or what is known has changed. `logs`: say so in the log. False when out of memory:
 * backend_watch_done() is due all the same. */
MUST_CHECK bool backend_watch_init(struct backend_watch *watch, struct loop *loop,
                                   struct upstream_pool *pool, const struct settings *settings,
                                   bool logs, void (*on_change)(void *ctx), void *ctx);

/* Before the pool. No-op for one that is all zero. */
void backend_watch_done(struct backend_watch *watch);

/* The settings have changed. */
void backend_watch_apply(struct backend_watch *watch);

/* What it is. */
enum chroma_family backend_watch_family(const struct backend_watch *watch);

/* Moves when it may be another Chroma, or the same in another state. */
uint64_t backend_watch_incarnation(const struct backend_watch *watch);

/* The answer to a write that went as it came; `ctx` is the watch. */
void backend_watch_learn(void *ctx, enum chroma_operation operation, unsigned status,
                         struct bytes answer);

/* May writes be merged for what is known of this backend? (writes.coalesce is another question.) */
bool backend_watch_may_merge(const struct backend_watch *watch);

/* Append the metrics in the Prometheus text format. */
MUST_CHECK enum status backend_watch_print_metrics(struct backend_watch *watch,
                                                   struct byte_buffer   *out);

#endif
