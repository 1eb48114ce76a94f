#include "app/backend_watch.h"

#include "base/log.h"

struct backend_watch_stats {
    uint64_t incarnations, may_merge;
};

static const struct metric_desc watch_metrics[] = {
    METRIC(COUNTER, backend_watch_stats, incarnations, "chromabouncer_backend_incarnations_total",
           "How often the backend may have become another one or have changed behind the proxy; a "
           "start counts two."),
    METRIC(GAUGE, backend_watch_stats, may_merge, "chromabouncer_backend_may_merge",
           "1 while the backend is known to be one for which merged writes do what they do alone."),
};

static struct upstream_control_options  control_options(const struct settings *settings);
static struct upstream_identity_options identity_options(const struct settings *settings);
static void                             on_watch_change(void *ctx);
static void                             on_watch_move(void *ctx);
static void                             log_state(struct backend_watch *watch);
static void                             log_identity(struct backend_watch *watch);

bool backend_watch_init(struct backend_watch *watch, struct loop *loop, struct upstream_pool *pool,
                        const struct settings *settings, bool logs, void (*on_change)(void *ctx),
                        void *ctx)
{
    struct upstream_control_options  control = control_options(settings);
    struct upstream_identity_options identity = identity_options(settings);
    struct upstream_health_options   health = {.interval_us = settings->backend_health_interval_us,
                                               .timeout_us = settings->backend_health_timeout_us};
    struct upstream_health_parts     parts = {.pool = pool};

    *watch = (struct backend_watch){.loop = loop,
                                    .settings = settings,
                                    .pool = pool,
                                    .logs = logs,
                                    .on_change = on_change,
                                    .ctx = ctx};
    watch->incarnation = upstream_incarnation_new(loop);
    if (watch->incarnation != NULL) {
        watch->watcher =
            (struct upstream_incarnation_watcher){.on_move = on_watch_move, .ctx = watch};
        upstream_incarnation_watch(watch->incarnation, &watch->watcher);
        watch->control = upstream_control_new(loop, pool, watch->incarnation, &control);
    }
    if (watch->control != NULL)
        watch->identity = upstream_identity_new(watch->control, watch->incarnation, &identity,
                                                on_watch_change, watch);
    parts.control = watch->control;
    parts.incarnation = watch->incarnation;
    parts.identity = watch->identity;
    if (watch->identity != NULL)
        watch->health = upstream_health_new(loop, &parts, &health, on_watch_change, watch);
    return watch->health != NULL;
}

static struct upstream_control_options control_options(const struct settings *settings)
{
    return (struct upstream_control_options){
        .backend = settings->backend_url,
        .connect_timeout_us = settings->backend_connect_timeout_us,
        .keeps_connection = settings->backend_connections_max >= UPSTREAM_CONTROL_KEPT_FROM};
}

static struct upstream_identity_options identity_options(const struct settings *settings)
{
    static const enum chroma_family families[] = {
        [SETTINGS_BACKEND_FAMILY_AUTO] = CHROMA_FAMILY_UNKNOWN,
        [SETTINGS_BACKEND_FAMILY_RUST] = CHROMA_FAMILY_RUST,
        [SETTINGS_BACKEND_FAMILY_PYTHON] = CHROMA_FAMILY_PYTHON};

    return (struct upstream_identity_options){.family = families[settings->backend_family],
                                              .timeout_us = settings->backend_health_timeout_us};
}

void backend_watch_done(struct backend_watch *watch)
{
    upstream_health_free(watch->health);
    upstream_identity_free(watch->identity);
    upstream_control_free(watch->control);
    if (watch->incarnation != NULL)
        upstream_incarnation_unwatch(&watch->watcher);
    upstream_incarnation_free(watch->incarnation);
}

void backend_watch_apply(struct backend_watch *watch)
{
    struct upstream_control_options  control = control_options(watch->settings);
    struct upstream_identity_options identity = identity_options(watch->settings);

    upstream_control_set_options(watch->control, &control);
    upstream_identity_set_options(watch->identity, &identity);
    upstream_health_set_times(watch->health, watch->settings->backend_health_interval_us,
                              watch->settings->backend_health_timeout_us);
}

enum chroma_family backend_watch_family(const struct backend_watch *watch)
{
    return upstream_identity_facts(watch->identity)->family;
}

uint64_t backend_watch_incarnation(const struct backend_watch *watch)
{
    return upstream_incarnation_number(watch->incarnation);
}

void backend_watch_learn(void *ctx, enum chroma_operation operation, unsigned status,
                         struct bytes answer)
{
    struct backend_watch *watch = ctx;

    upstream_identity_learn_from_write_answer(watch->identity, operation, status, answer);
}

bool backend_watch_may_merge(const struct backend_watch *watch)
{
    return chroma_family_info(backend_watch_family(watch))->merges;
}

enum status backend_watch_print_metrics(struct backend_watch *watch, struct byte_buffer *out)
{
    const struct backend_watch_stats stats = {
        .incarnations = upstream_incarnation_number(watch->incarnation) - 1,
        .may_merge = backend_watch_may_merge(watch)};
    enum status status = metric_print(out, upstream_health_metrics, upstream_health_metric_count,
                                      upstream_health_stats(watch->health));

    return status != STATUS_OK ? status
                               : metric_print(out, watch_metrics, COUNT_OF(watch_metrics), &stats);
}

static void on_watch_change(void *ctx)
{
    struct backend_watch *watch = ctx;

    if (watch->health == NULL)
        return;
    if (watch->logs) {
        log_state(watch);
        log_identity(watch);
    }
    watch->on_change(watch->ctx);
}

static void on_watch_move(void *ctx)
{
    struct backend_watch *watch = ctx;
    struct log_line       line;

    if (watch->health != NULL)
        watch->on_change(watch->ctx);
    if (!watch->logs)
        return;
    log_begin(&line, LOG_INFO, "backend_may_be_another");
    log_text(&line, "reason", upstream_incarnation_reason(watch->incarnation));
    log_number(&line, "incarnation", upstream_incarnation_number(watch->incarnation));
    log_end(&line);
}

static void log_state(struct backend_watch *watch)
{
    enum upstream_health_state state = upstream_health_state(watch->health);

    if (state == watch->told_state)
        return;
    watch->told_state = state;
    if (state == UPSTREAM_HEALTH_UNKNOWN) /* it is being started, as its starter tells */
        return;
    if (state == UPSTREAM_HEALTH_UP)
        log_event(LOG_INFO, "backend_up", NULL, NULL);
    else
        log_event(LOG_WARNING, "backend_down", "reason", upstream_health_problem(watch->health));
}

/* Once it is settled, and when something was learned later. */
static void log_identity(struct backend_watch *watch)
{
    const struct upstream_identity_facts *facts = upstream_identity_facts(watch->identity);
    bool            is_merging = watch->settings->writes_coalesce && backend_watch_may_merge(watch);
    bool            is_off = watch->settings->writes_coalesce && !is_merging;
    struct log_line line;
    char            version[UPSTREAM_IDENTITY_VERSION_SIZE];

    if (!upstream_identity_is_settled(watch->identity) ||
        (watch->told_identity == facts->incarnation && watch->told_family == facts->family))
        return;
    watch->told_identity = facts->incarnation;
    watch->told_family = facts->family;
    log_begin(&line, is_off ? LOG_WARNING : LOG_INFO, "backend_known");
    log_text(&line, "family", chroma_family_info(facts->family)->name);
    log_text(&line, "says_version", upstream_identity_version(facts, version));
    log_number(&line, "batch_records_max", facts->batch_records_max);
    log_text(&line, "merging", is_merging ? "on" : "off");
    log_text(&line, "reason", facts->reason);
    log_end(&line);
}
