#include "upstream/upstream_health.h"

#include <stdio.h>
#include <stdlib.h>

enum { failures_to_be_down = 2, blocked_to_fail = 3, heartbeat_bytes_max = 1024 };

static const uint64_t retry_us = 1000000; /* while no connection stands */

struct upstream_health {
    struct loop                        *loop;
    struct upstream_health_parts        parts;
    struct upstream_health_options      options;
    upstream_health_fn                  on_change;
    void                               *ctx;
    upstream_heartbeat_fn               on_each; /* NULL: nobody wants to know */
    void                               *each_ctx;
    struct loop_timer                  *timer;
    struct upstream_incarnation_watcher watcher;
    struct upstream_question            heartbeat;
    enum upstream_health_state          state;
    bool                                is_held;           /* no checks are made */
    unsigned                            failures, blocked; /* in a row */
    uint64_t                            asked_us;          /* when the last check began */
    uint64_t                            took_us;
    char                                problem[320];
    struct upstream_health_stats        stats;
};

const struct metric_desc upstream_health_metrics[] = {
    METRIC(GAUGE, upstream_health_stats, up, "chromabouncer_backend_up",
           "1 while the backend answers its heartbeat and requests can connect to it."),
    METRIC(COUNTER, upstream_health_stats, checks, "chromabouncer_backend_checks_total",
           "Health checks made."),
    METRIC(COUNTER, upstream_health_stats, failures, "chromabouncer_backend_check_failures_total",
           "Health checks without a good answer."),
    METRIC(COUNTER, upstream_health_stats, blocked, "chromabouncer_backend_checks_blocked_total",
           "Health checks that found all connections to the backend busy: three in a row are a "
           "failure."),
};
const size_t upstream_health_metric_count = COUNT_OF(upstream_health_metrics);

static void on_health_timer(void *ctx);
static void on_new_incarnation(void *ctx);
static void set_health_timer(struct upstream_health *health);
static void on_heartbeat(const struct upstream_answer *answer, void *ctx);
static void on_alive(struct upstream_health *health, const struct upstream_answer *answer);
static void on_check_failed(struct upstream_health *health);
static void on_check_blocked(struct upstream_health *health);
static void set_health_state(struct upstream_health *health, enum upstream_health_state state);

struct upstream_health *upstream_health_new(struct loop                          *loop,
                                            const struct upstream_health_parts   *parts,
                                            const struct upstream_health_options *options,
                                            upstream_health_fn on_change, void *ctx)
{
    struct upstream_health *health = calloc(1, sizeof *health);

    if (health == NULL)
        return NULL;
    health->loop = loop;
    health->parts = *parts;
    health->options = *options;
    health->on_change = on_change;
    health->ctx = ctx;
    health->timer = loop_timer_new(loop, on_health_timer, health);
    if (health->timer == NULL) {
        free(health);
        return NULL;
    }
    health->watcher =
        (struct upstream_incarnation_watcher){.on_move = on_new_incarnation, .ctx = health};
    upstream_incarnation_watch(parts->incarnation, &health->watcher);
    loop_timer_set(health->timer, 0);
    return health;
}

void upstream_health_on_heartbeat(struct upstream_health *health, upstream_heartbeat_fn fn,
                                  void *ctx)
{
    health->on_each = fn;
    health->each_ctx = ctx;
}

void upstream_health_ask(struct upstream_health *health)
{
    if (!health->is_held && !upstream_control_is_asked(&health->heartbeat))
        loop_timer_set(health->timer, 0);
}

void upstream_health_set_times(struct upstream_health *health, uint64_t interval_us,
                               uint64_t timeout_us)
{
    health->options.interval_us = interval_us;
    health->options.timeout_us = timeout_us;
    loop_timer_set(health->timer, 0); /* it may be set as far off as the interval was long */
}

void upstream_health_hold(struct upstream_health *health, bool held)
{
    if (health->is_held == held)
        return;
    health->is_held = held;
    if (!held) {
        loop_timer_set(health->timer, 0);
        return;
    }
    loop_timer_clear(health->timer);
    upstream_control_cancel(health->parts.control, &health->heartbeat);
    health->failures = health->blocked = 0;
    snprintf(health->problem, sizeof health->problem, "it is being started");
    set_health_state(health, UPSTREAM_HEALTH_UNKNOWN);
}

void upstream_health_free(struct upstream_health *health)
{
    if (health == NULL)
        return;
    upstream_incarnation_unwatch(&health->watcher);
    upstream_control_cancel(health->parts.control, &health->heartbeat);
    loop_timer_free(health->timer);
    free(health);
}

static void on_health_timer(void *ctx)
{
    struct upstream_health *health = ctx;

    if (health->is_held)
        return;
    set_health_timer(health);
    if (upstream_control_is_asked(&health->heartbeat))
        return;
    health->asked_us = loop_now_us(health->loop);
    health->heartbeat = (struct upstream_question){
        .path = BYTES_LITERAL("/api/v2/heartbeat"),
        .timeout_us = health->options.timeout_us,
        .answer_bytes_max = heartbeat_bytes_max,
        .is_light = true,
        /* What requests met when they connected, an old connection cannot disprove. */
        .is_fresh = upstream_pool_problem(health->parts.pool)[0] != '\0',
        .on_answer = on_heartbeat,
        .ctx = health};
    if (upstream_control_ask(health->parts.control, &health->heartbeat) != STATUS_OK)
        on_check_blocked(health);
}

static void set_health_timer(struct upstream_health *health)
{
    uint64_t idle_close_us =
        chroma_family_info(upstream_identity_facts(health->parts.identity)->family)->idle_close_us;
    uint64_t most_us = !upstream_control_has_connection(health->parts.control) ? retry_us
                       : idle_close_us == 0                                    ? UINT64_MAX
                                                                               : idle_close_us / 2;
    uint64_t interval_us =
        health->options.interval_us < most_us ? health->options.interval_us : most_us;

    loop_timer_set(health->timer, loop_now_us(health->loop) + interval_us);
}

/* Ask soon what it is now, and whether it is there at all; not as fast as a server can close its
 * connections. */
static void on_new_incarnation(void *ctx)
{
    struct upstream_health *health = ctx;
    uint64_t                pause_us =
        health->options.interval_us < retry_us ? health->options.interval_us : retry_us;

    if (!upstream_control_is_asked(&health->heartbeat))
        loop_timer_set(health->timer, health->asked_us + pause_us);
}

static void on_heartbeat(const struct upstream_answer *answer, void *ctx)
{
    struct upstream_health *health = ctx;
    bool                    is_answered;

    if (answer->status == STATUS_AGAIN) {
        on_check_blocked(health);
        return;
    }
    health->blocked = 0;
    health->stats.checks++;
    is_answered = answer->status == STATUS_OK && answer->code < 500;
    if (health->on_each != NULL)
        health->on_each(health->each_ctx, is_answered);
    if (is_answered) {
        on_alive(health, answer);
        return;
    }
    if (answer->status == STATUS_OK)
        snprintf(health->problem, sizeof health->problem, "the heartbeat was answered %u",
                 answer->code);
    else
        snprintf(health->problem, sizeof health->problem, "%s", answer->problem);
    on_check_failed(health);
}

static void on_alive(struct upstream_health *health, const struct upstream_answer *answer)
{
    uint64_t now_us = loop_now_us(health->loop);
    bool     was_down = health->state != UPSTREAM_HEALTH_UP;

    health->failures = 0;
    health->took_us = now_us - answer->began_us;
    health->problem[0] = '\0';
    if (answer->is_new_connection)
        upstream_pool_clear_problem(health->parts.pool, answer->began_us);
    set_health_state(health, UPSTREAM_HEALTH_UP);
    upstream_identity_ask(health->parts.identity, was_down, now_us);
    set_health_timer(health);
}

static void on_check_failed(struct upstream_health *health)
{
    health->stats.failures++;
    health->failures++;
    if (health->failures >= failures_to_be_down || health->state == UPSTREAM_HEALTH_UNKNOWN)
        set_health_state(health, UPSTREAM_HEALTH_DOWN);
}

/* It says nothing of Chroma; but for long, nobody knows whether Chroma lives. */
static void on_check_blocked(struct upstream_health *health)
{
    health->stats.blocked++;
    if (++health->blocked < blocked_to_fail)
        return;
    snprintf(health->problem, sizeof health->problem,
             "no connection was free for %u health checks in a row: all of "
             "backend.connections_max are busy",
             health->blocked);
    health->stats.checks++;
    health->failures = failures_to_be_down;
    on_check_failed(health);
}

static void set_health_state(struct upstream_health *health, enum upstream_health_state state)
{
    if (health->state == state)
        return;
    health->state = state;
    health->on_change(health->ctx);
}

enum upstream_health_state upstream_health_state(const struct upstream_health *health)
{
    return health->state;
}

const char *upstream_health_problem(const struct upstream_health *health)
{
    switch (health->state) {
    case UPSTREAM_HEALTH_UNKNOWN:
        return "not checked yet";
    case UPSTREAM_HEALTH_UP:
        return "";
    case UPSTREAM_HEALTH_DOWN:
        break;
    }
    return health->problem;
}

bool upstream_health_is_up(const struct upstream_health *health, const char **ret_reason)
{
    const char *problem = upstream_pool_problem(health->parts.pool); /* requests know first */

    *ret_reason = problem[0] != '\0' ? problem : upstream_health_problem(health);
    return (*ret_reason)[0] == '\0';
}

uint64_t upstream_health_took_us(const struct upstream_health *health)
{
    return health->took_us;
}

const struct upstream_health_stats *upstream_health_stats(struct upstream_health *health)
{
    const char *reason;

    health->stats.up = upstream_health_is_up(health, &reason);
    return &health->stats;
}
