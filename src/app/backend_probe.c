#include "app/backend_probe.h"

#include <stdio.h>

#include "app/backend_watch.h"
#include "app/daemon_state.h"
#include "base/memory_account.h"
#include "io/worker_pool.h"

enum { health_timeouts_max = 3 };

struct probe {
    struct loop         *loop;
    struct backend_watch watch;
    bool                 with_identity;
};

static enum status run_probe(struct probe *probe, struct upstream_pool *pool,
                             const struct settings *settings, struct backend_probe_result *ret);
static void        on_probe_change(void *ctx);
static void        on_backend_probe_timeout(void *ctx);
static void        on_probe_room(void *ctx);

enum status backend_probe(const struct settings *settings, bool with_identity,
                          struct backend_probe_result *ret)
{
    struct upstream_pool_options  options = daemon_state_pool_options(settings);
    struct memory_account_options accounts[MEMORY_ACCOUNT_COUNT];
    struct memory_account_budget  budget;
    struct probe                  probe = {.loop = loop_new(), .with_identity = with_identity};
    struct worker_pool_options    threads = {.threads = {[WORKER_POOL_NAME] = 1}};
    struct worker_pool           *workers = NULL;
    struct upstream_pool         *pool = NULL;
    enum status                   status = STATUS_NO_MEMORY;

    daemon_state_memory_options(settings, accounts);
    memory_account_budget_init(&budget, settings->memory_max_bytes, accounts, on_probe_room, NULL);
    if (probe.loop != NULL)
        workers = worker_pool_new(probe.loop, &threads);
    if (workers != NULL)
        pool = upstream_pool_new(probe.loop, workers, &budget, &options);
    if (pool != NULL)
        status = run_probe(&probe, pool, settings, ret);
    /* A look-up in a dead name server cannot be waited for: the command is about to end. */
    if (pool != NULL && upstream_pool_is_resolving(pool))
        return status;
    worker_pool_free(workers);
    backend_watch_done(&probe.watch);
    upstream_pool_free(pool);
    loop_free(probe.loop);
    return status;
}

static enum status run_probe(struct probe *probe, struct upstream_pool *pool,
                             const struct settings *settings, struct backend_probe_result *ret)
{
    struct loop_timer *timer = loop_timer_new(probe->loop, on_backend_probe_timeout, probe);
    const char        *reason;

    if (timer == NULL || !backend_watch_init(&probe->watch, probe->loop, pool, settings, false,
                                             on_probe_change, probe)) {
        loop_timer_free(timer);
        return STATUS_NO_MEMORY;
    }
    loop_timer_set(timer, loop_now_us(probe->loop) +
                              health_timeouts_max * settings->backend_health_timeout_us);
    loop_run(probe->loop);
    loop_timer_free(timer);
    *ret =
        (struct backend_probe_result){.is_up = upstream_health_is_up(probe->watch.health, &reason),
                                      .took_us = upstream_health_took_us(probe->watch.health),
                                      .facts = *upstream_identity_facts(probe->watch.identity)};
    snprintf(ret->reason, sizeof ret->reason, "%s", reason);
    return STATUS_OK;
}

static void on_probe_change(void *ctx)
{
    struct probe              *probe = ctx;
    enum upstream_health_state state = upstream_health_state(probe->watch.health);

    if (state == UPSTREAM_HEALTH_DOWN ||
        (state == UPSTREAM_HEALTH_UP &&
         (!probe->with_identity || upstream_identity_is_settled(probe->watch.identity))))
        loop_stop(probe->loop);
}

static void on_backend_probe_timeout(void *ctx)
{
    struct probe *probe = ctx;

    loop_stop(probe->loop);
}

/* Nobody claims room here. */
static void on_probe_room(void *ctx)
{
    (void)ctx;
}
