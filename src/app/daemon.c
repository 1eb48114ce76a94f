#include "app/daemon.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/status_server.h"
#include "app/daemon_advice.h"
#include "app/daemon_auth.h"
#include "app/daemon_banner.h"
#include "app/daemon_child.h"
#include "app/daemon_control.h"
#include "app/daemon_exec.h"
#include "app/daemon_export.h"
#include "app/daemon_guard.h"
#include "app/daemon_metrics.h"
#include "app/daemon_mirror.h"
#include "app/daemon_pause.h"
#include "app/daemon_reload.h"
#include "app/daemon_services.h"
#include "app/daemon_state.h"
#include "app/daemon_wrap.h"
#include "base/log.h"
#include "config.h"

/* Descriptors beside those of connections: half for clients of the status listener, half for log,
 * epoll, eventfd, listeners, resolver, ... The check of the settings counts the same. */
/* Draining is over when nothing has happened for this long. */
static const uint64_t quiet_us = 500000;
static const uint64_t drain_check_us = 50000;

static enum status daemon_start(struct daemon *daemon, struct error *error);
static void        set_allocator(void);
static enum status start_log(const struct settings *settings, struct error *error);
static enum status start_core(struct daemon *daemon, struct error *error);
static void        on_room(void *ctx);
static enum status start_front(struct daemon *daemon, struct error *error);
static enum status start_status(struct daemon *daemon, struct error *error);
static enum status daemon_listen_on(struct daemon *daemon, struct front *front,
                                    const struct address *address, struct error *error);
static enum status catch_signals(struct daemon *daemon, struct error *error);
static void        on_stop_signal(int signal_number, void *ctx);
static void        on_quit_signal(int signal_number, void *ctx);
static void        on_reload_signal(int signal_number, void *ctx);
static void        on_reopen_signal(int signal_number, void *ctx);
static void        begin_drain(struct daemon *daemon);
static void        on_drain_timer(void *ctx);
static void        end_drain(struct daemon *daemon);
static void        on_backend_change(void *ctx);
static void        on_want_heartbeat(void *ctx);
static void        tell_heartbeat(void *ctx, bool is_answered);
static void        log_start(const struct daemon *daemon);
static void        log_table(const struct settings *settings, enum settings_table_id id);
static void        log_unknown_variable(void *ctx, struct bytes name);
static void        stop(struct daemon *daemon);
static int         exit_status(enum status status);

int daemon_run(const struct settings_sources *sources, const struct machine *machine,
               struct settings *settings)
{
    return daemon_run_plan(sources, machine, settings, NULL);
}

int daemon_run_plan(const struct settings_sources *sources, const struct machine *machine,
                    struct settings *settings, const struct daemon_plan *plan)
{
    struct daemon daemon = {
        .sources = sources, .machine = machine, .settings = settings, .plan = plan};
    struct error error;
    enum status  status = daemon_start(&daemon, &error);

    if (status == STATUS_OK) {
        if (daemon.wrap == NULL) /* else standard output is the application's */
            daemon_banner_print(&daemon);
        log_start(&daemon);
        loop_run(daemon.loop);
        log_event(LOG_INFO, "stopped", NULL, NULL);
    } else {
        fprintf(stderr, "chromabouncer: %s\n", error.text);
        daemon_wrap_refuse(&daemon, exit_status(status));
    }
    /* A look-up in a dead name server cannot be waited for: the system takes everything back. */
    if (daemon.pool != NULL && upstream_pool_is_resolving(daemon.pool)) {
        log_done();
        _exit(exit_status(status));
    }
    stop(&daemon);
    log_done();
    return daemon.exit_status != EX_OK ? daemon.exit_status : exit_status(status);
}

static enum status daemon_start(struct daemon *daemon, struct error *error)
{
    enum status status;

    set_allocator();
    daemon->started_wall_s = daemon->loaded_wall_s = clock_wall_us() / 1000000u;
    daemon_reload_raise_descriptor_limit(daemon->settings);
    status = start_log(daemon->settings, error);
    if (status == STATUS_OK)
        status = start_core(daemon, error);
    if (status == STATUS_OK)
        status = start_front(daemon, error);
    if (status == STATUS_OK)
        status = start_status(daemon, error);
    if (status == STATUS_OK)
        status = daemon_control_start(daemon, error);
    if (status == STATUS_OK)
        status = catch_signals(daemon, error);
    if (status == STATUS_OK && daemon->plan != NULL)
        status = daemon->plan->wrap == NULL ? daemon_exec_start(daemon, error)
                                            : daemon_wrap_start(daemon, error);
    return status;
}

/* Bodies come and go by some ten kilobytes: giving the top of the heap back after each and faulting
 * it in again cost a third of the CPU time of a 30 KB POST (measured). Few arenas, so that what one
 * thread frees can be used again; large blocks go back to the system at once. */
static void set_allocator(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

static enum status start_log(const struct settings *settings, struct error *error)
{
    struct log_options options = {.level = (enum log_level)settings->log_level,
                                  .format = (enum log_format)settings->log_format,
                                  .path = settings->log_file};

    return log_init(&options, error);
}

static enum status start_core(struct daemon *daemon, struct error *error)
{
    const struct settings        *settings = daemon->settings;
    struct upstream_pool_options  pool = daemon_state_pool_options(settings);
    struct proxy_options          proxy = daemon_state_proxy_options(settings);
    struct proxy_write_options    writes = daemon_state_write_options(settings);
    struct memory_account_options accounts[MEMORY_ACCOUNT_COUNT];
    struct worker_pool_options    workers = {
           .threads = {[WORKER_POOL_SCAN] = (unsigned)settings->workers,
                       [WORKER_POOL_NAME] = 1,
                       [WORKER_POOL_WATCH] = daemon->plan == NULL ? 0 : 1}};
    enum status status;

    writes.is_supervised = daemon->plan != NULL;
    daemon_state_memory_options(settings, accounts);
    memory_account_budget_init(&daemon->budget, settings->memory_max_bytes, accounts, on_room,
                               daemon);
    daemon->loop = loop_new();
    if (daemon->loop != NULL)
        daemon->workers = worker_pool_new(daemon->loop, &workers);
    if (daemon->workers != NULL)
        daemon->descriptors = descriptor_count_new(daemon->workers, "/proc/self/fd");
    if (daemon->descriptors != NULL)
        daemon->pool = upstream_pool_new(daemon->loop, daemon->workers, &daemon->budget, &pool);
    if (daemon->pool != NULL)
        daemon->proxy = proxy_new(daemon->loop, daemon->workers, &daemon->budget, daemon->pool,
                                  &proxy, &writes);
    if (daemon->proxy != NULL && backend_watch_init(&daemon->backend, daemon->loop, daemon->pool,
                                                    settings, true, on_backend_change, daemon))
        daemon->drain_timer = loop_timer_new(daemon->loop, on_drain_timer, daemon);
    if (daemon->drain_timer != NULL) {
        proxy_watch_write_answers(daemon->proxy, backend_watch_learn, &daemon->backend);
        proxy_on_want_heartbeat(daemon->proxy, on_want_heartbeat, daemon);
        upstream_health_on_heartbeat(daemon->backend.health, tell_heartbeat, daemon);
    }
    if (daemon->drain_timer != NULL)
        daemon->advice = advice_new();
    if (daemon->advice != NULL)
        daemon->collections = collection_usage_new();
    if (daemon->collections == NULL || daemon_services_apply(daemon) != STATUS_OK ||
        daemon_guard_apply(daemon) != STATUS_OK)
        return error_set(error, STATUS_NO_MEMORY, "out of memory at start");
    proxy_on_finished(daemon->proxy, daemon_advice_note, daemon);
    status = daemon_auth_apply(daemon, error);
    return status == STATUS_OK ? daemon_mirror_start(daemon, error) : status;
}

/* Somebody waits for room, so the proxy is there. */
static void on_room(void *ctx)
{
    struct daemon *daemon = ctx;

    proxy_wake(daemon->proxy);
}

static enum status start_front(struct daemon *daemon, struct error *error)
{
    const struct settings *settings = daemon->settings;
    struct front_options   options = daemon_state_front_options(settings);

    daemon->front =
        front_new(daemon->loop, &daemon->budget, &options, proxy_handler(), daemon->proxy);
    if (daemon->front == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory at start");
    for (size_t i = 0; i < settings->listen_address.count; i++) {
        enum status status =
            daemon_listen_on(daemon, daemon->front, &settings->listen_address.items[i], error);

        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status start_status(struct daemon *daemon, struct error *error)
{
    struct front_options options = daemon_state_status_options(daemon->settings);

    if (daemon->settings->status_address.kind == ADDRESS_NONE)
        return STATUS_OK;
    daemon->source = daemon_metrics_source(daemon);
    daemon->status_front =
        front_new(daemon->loop, &daemon->budget, &options, &status_server_handler, &daemon->source);
    if (daemon->status_front == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory at start");
    return daemon_listen_on(daemon, daemon->status_front, &daemon->settings->status_address, error);
}

static enum status daemon_listen_on(struct daemon *daemon, struct front *front,
                                    const struct address *address, struct error *error)
{
    struct socket_address resolved, bound;
    char                  text[SOCKET_ADDRESS_TEXT_MAX];
    size_t                used = strlen(daemon->listening_text);
    enum status           status;

    status = daemon_state_resolve(address, &resolved, error);
    if (status == STATUS_OK)
        status = front_listen(front, &resolved, &bound, error);
    if (status != STATUS_OK)
        return status;
    socket_address_format(&bound, text);
    if (front == daemon->front && strrchr(text, ':') != NULL)
        daemon->data_port = (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10);
    snprintf(daemon->listening_text + used, sizeof daemon->listening_text - used, "%s%s%s",
             used == 0                       ? ""
             : front == daemon->status_front ? ", status on "
                                             : " and ",
             text, "");
    return STATUS_OK;
}

static enum status catch_signals(struct daemon *daemon, struct error *error)
{
    static const struct {
        int            number;
        loop_signal_fn fn;
    } signals[] = {{SIGTERM, on_stop_signal},
                   {SIGINT, on_stop_signal},
                   {SIGQUIT, on_quit_signal},
                   {SIGHUP, on_reload_signal},
                   {SIGUSR1, on_reopen_signal}};

    signal(SIGPIPE, SIG_IGN);
    if (daemon->plan != NULL && daemon->plan->wrap == NULL) /* as Chroma alone would end */
        terminal_hangup_init(&daemon->hangup);
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        if (loop_on_signal(daemon->loop, signals[i].number, signals[i].fn, daemon) != STATUS_OK)
            return error_set(error, STATUS_IO_FAILED, "cannot catch signal %d", signals[i].number);
    return STATUS_OK;
}

static void on_stop_signal(int signal_number, void *ctx)
{
    struct daemon *daemon = ctx;

    if (daemon->draining)
        on_quit_signal(signal_number, ctx);
    else if (daemon->wrap == NULL || !daemon_wrap_outlasts_signal(daemon->wrap))
        begin_drain(daemon);
}

static void on_quit_signal(int signal_number, void *ctx)
{
    struct daemon *daemon = ctx;

    log_event(LOG_INFO, "stopping_at_once", "signal", strsignal(signal_number));
    loop_stop(daemon->loop);
}

static void on_reload_signal(int signal_number, void *ctx)
{
    struct daemon *daemon = ctx;
    struct error   error;

    if (terminal_hangup_has_come(&daemon->hangup))
        on_stop_signal(signal_number, ctx);
    else
        (void)!daemon_reload(daemon, &error); /* it is logged */
}

static void on_reopen_signal(int signal_number, void *ctx)
{
    (void)signal_number;
    (void)ctx;
    log_reopen();
}

static void begin_drain(struct daemon *daemon)
{
    uint64_t now_us = loop_now_us(daemon->loop);

    daemon_pause_end(daemon, "it drains", true);
    daemon->draining = true;
    daemon->drain_began_us = now_us;
    front_drain(daemon->front);
    log_event(LOG_INFO, "draining", NULL, NULL);
    loop_timer_set(daemon->drain_timer, now_us + drain_check_us);
}

/* New connections are served meanwhile: whoever looks at /readyz needs time to see it. */
static void on_drain_timer(void *ctx)
{
    struct daemon *daemon = ctx;
    uint64_t       now_us = loop_now_us(daemon->loop);
    uint64_t       last_us = front_last_activity_us(daemon->front);
    bool           is_idle =
        proxy_unfinished(daemon->proxy) == 0 && front_active_requests(daemon->front) == 0;
    struct log_line line;

    if (last_us < daemon->drain_began_us)
        last_us = daemon->drain_began_us;
    if (is_idle && now_us - last_us >= quiet_us) {
        end_drain(daemon);
    } else if (now_us - daemon->drain_began_us >= daemon_exec_drain_us(daemon)) {
        log_begin(&line, LOG_WARNING, "drain_timeout");
        log_number(&line, "unfinished_requests", proxy_unfinished(daemon->proxy));
        log_number(&line, "writes_without_answer", upstream_pool_unanswered_writes(daemon->pool));
        log_end(&line);
        end_drain(daemon);
    } else {
        loop_timer_set(daemon->drain_timer, now_us + drain_check_us);
    }
}

/* A Chroma of our own comes after its clients. */
static void end_drain(struct daemon *daemon)
{
    if (daemon->child == NULL)
        loop_stop(daemon->loop);
    else
        daemon_child_stop(daemon->child,
                          daemon->drain_began_us + daemon->settings->drain_timeout_us);
}

static void on_backend_change(void *ctx)
{
    struct daemon *daemon = ctx;

    struct proxy_backend backend = {
        .family = backend_watch_family(&daemon->backend),
        .batch_records_max = upstream_identity_facts(daemon->backend.identity)->batch_records_max,
        .incarnation = backend_watch_incarnation(&daemon->backend),
        .is_lost = upstream_control_is_lost(daemon->backend.control)};

    proxy_set_backend(daemon->proxy, &backend);
    if (daemon->child == NULL)
        return;
    daemon_child_on_backend(daemon->child);
    daemon_child_on_health(daemon->child);
}

static void on_want_heartbeat(void *ctx)
{
    struct daemon *daemon = ctx;

    upstream_health_ask(daemon->backend.health);
}

static void tell_heartbeat(void *ctx, bool is_answered)
{
    struct daemon *daemon = ctx;

    proxy_heartbeat(daemon->proxy, is_answered);
}

static void log_start(const struct daemon *daemon)
{
    const struct settings *settings = daemon->settings;
    struct log_line        line;
    char                   text[SETTINGS_VALUE_SIZE], origin[256];

    log_begin(&line, LOG_INFO, "started");
    log_text(&line, "version", PACKAGE_VERSION);
    log_text(&line, "listening", daemon->listening_text);
    log_text(&line, "backend", settings_print(settings, SETTINGS_ID_backend_url, text));
    log_end(&line);
    for (enum settings_id id = 0; id < SETTINGS_COUNT; id++) {
        if (settings->origins[id].source == SETTINGS_DEFAULT)
            continue;
        log_begin(&line, LOG_INFO, "setting");
        log_text(&line, "key", settings_row(id)->key);
        log_text(&line, "value", settings_print(settings, id, text));
        log_text(&line, "origin", settings_print_origin(settings, id, origin, sizeof origin));
        log_end(&line);
    }
    for (size_t i = 0; i < settings_table_count(); i++)
        log_table(settings, (enum settings_table_id)i);
    settings_sources_each_unknown(daemon->sources, log_unknown_variable, NULL);
}

static void log_table(const struct settings *settings, enum settings_table_id id)
{
    const struct settings_table *table = settings_table(id);

    for (size_t i = 0; i < settings->record_counts[id]; i++) {
        const void *record = settings_record(settings, id, i);

        for (size_t j = 0; j < table->column_count; j++) {
            struct log_line line;
            char            key[3 * SETTINGS_NAME_SIZE], text[SETTINGS_VALUE_SIZE], origin[256];

            if (settings_table_origin(table, record, j)->source == SETTINGS_DEFAULT)
                continue;
            snprintf(key, sizeof key, "%s.%s.%s", table->key, settings_table_name(table, record),
                     table->columns[j].key);
            log_begin(&line, LOG_INFO, "setting");
            log_text(&line, "key", key);
            log_text(&line, "value", settings_table_print(table, record, j, text));
            log_text(&line, "origin",
                     settings_print_cell_origin(settings, id, i, j, origin, sizeof origin));
            log_end(&line);
        }
    }
}

static void log_unknown_variable(void *ctx, struct bytes name)
{
    struct log_line line;

    (void)ctx;
    log_begin(&line, LOG_WARNING, "unknown_variable");
    log_bytes(&line, "name", name);
    log_end(&line);
}

/* The workers first: none may call back into what is freed. */
static void stop(struct daemon *daemon)
{
    control_server_free(daemon->control);
    front_free(daemon->status_front);
    front_free(daemon->front);
    worker_pool_free(daemon->workers);
    daemon_export_end(daemon);
    daemon_child_keep_copies(daemon->child);
    descriptor_count_free(daemon->descriptors);
    backend_watch_done(&daemon->backend);
    upstream_pool_free(daemon->pool);
    proxy_free(daemon->proxy);
    daemon_mirror_done(daemon);
    daemon_wrap_free(daemon->wrap);
    daemon_child_free(daemon->child);
    advice_free(daemon->advice);
    collection_usage_free(daemon->collections);
    loop_timer_free(daemon->exec_end_timer);
    loop_timer_free(daemon->drain_timer);
    loop_timer_free(daemon->pause_timer);
    loop_free(daemon->loop);
}

static int exit_status(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return EX_OK;
    case STATUS_NOT_PERMITTED:
        return EX_NOPERM;
    case STATUS_INVALID: /* the file of keys */
    case STATUS_NOT_FOUND:
        return EX_CONFIG;
    default:
        return EX_OSERR;
    }
}
