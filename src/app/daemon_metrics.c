#include "app/daemon_metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/daemon_auth.h"
#include "app/daemon_breakers.h"
#include "app/daemon_child.h"
#include "app/daemon_guard.h"
#include "app/daemon_limits.h"
#include "app/daemon_mirror.h"
#include "app/daemon_services.h"
#include "base/log.h"
#include "config.h"

/* Numbers of the process itself, under the names that Prometheus gives them. */
struct process_stats {
    uint64_t cpu_us, resident_bytes, virtual_bytes, open_fds, max_fds, start_s;
    uint64_t buffered_bytes, buffered_max_bytes, log_dropped, reload_ok, reloaded_s, paused;
};

static const struct metric_desc process_metrics[] = {
    METRIC(DURATION_COUNTER, process_stats, cpu_us, "process_cpu_seconds_total",
           "User and system CPU time spent."),
    METRIC(GAUGE, process_stats, resident_bytes, "process_resident_memory_bytes",
           "Resident memory."),
    METRIC(GAUGE, process_stats, virtual_bytes, "process_virtual_memory_bytes", "Virtual memory."),
    METRIC(GAUGE, process_stats, open_fds, "process_open_fds", "Open file descriptors."),
    METRIC(GAUGE, process_stats, max_fds, "process_max_fds", "Limit of open file descriptors."),
    METRIC(GAUGE, process_stats, start_s, "process_start_time_seconds",
           "When the process started, seconds since 1970."),
    METRIC(GAUGE, process_stats, buffered_bytes, "chromabouncer_buffered_bytes",
           "Bytes of requests and answers that are held now."),
    METRIC(GAUGE, process_stats, buffered_max_bytes, "chromabouncer_buffered_max_bytes",
           "memory_max: the bound on chromabouncer_buffered_bytes."),
    METRIC(COUNTER, process_stats, log_dropped, "chromabouncer_log_lines_dropped_total",
           "Log lines that could not be written in time."),
    METRIC(GAUGE, process_stats, paused, "chromabouncer_paused",
           "1 while new requests wait for the end of a pause."),
    METRIC(GAUGE, process_stats, reload_ok, "chromabouncer_config_last_reload_successful",
           "1 if the last reload succeeded or there was none."),
    METRIC(GAUGE, process_stats, reloaded_s,
           "chromabouncer_config_last_reload_success_timestamp_seconds",
           "When settings were last loaded with success, seconds since 1970."),
};

static bool        is_ready(void *ctx, bool strict, struct byte_buffer *why);
static void        add_line(struct byte_buffer *out, bool ok, const char *what, const char *more);
static enum status print_metrics(void *ctx, struct byte_buffer *out);
static enum status print_info(struct byte_buffer *out);
static enum status print_lag(const struct daemon *daemon, struct byte_buffer *out);
static void        read_process(const struct daemon *daemon, struct process_stats *stats);
static enum status print_page(void *ctx, struct byte_buffer *out);
static enum status print_identity(const struct daemon *daemon, struct byte_buffer *out);

struct status_server_source daemon_metrics_source(struct daemon *daemon)
{
    return (struct status_server_source){.ctx = daemon,
                                         .is_ready = is_ready,
                                         .print_metrics = print_metrics,
                                         .print_page = print_page};
}

/* Ready also while Chroma is down: requests get its own errors then, and taking the pod out of
 * service would not help. `strict` asks for the backend too. */
static bool is_ready(void *ctx, bool strict, struct byte_buffer *why)
{
    const struct daemon *daemon = ctx;
    const char          *problem;
    bool                 backend_up = upstream_health_is_up(daemon->backend.health, &problem);
    bool has_started = daemon->child == NULL || daemon_child_was_ready(daemon->child);
    bool is_warming = daemon->child != NULL && daemon_child_is_warming(daemon->child);

    add_line(why, !daemon->draining, daemon->draining ? "draining" : "accepting", "");
    if (!has_started)
        add_line(why, false, "Chroma is being started", "");
    if (is_warming)
        add_line(why, false, "collections of exec.warm are being loaded", "");
    add_line(why, backend_up, "backend", problem);
    return !daemon->draining && has_started && !is_warming && (backend_up || !strict);
}

/* A lost line of an explanation is no reason to fail. */
static void add_line(struct byte_buffer *out, bool ok, const char *what, const char *more)
{
    (void)!byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "[%s] %s%s%s\n", ok ? "ok" : "--", what,
                              more[0] == '\0' ? "" : ": ", more);
}

static enum status print_metrics(void *ctx, struct byte_buffer *out)
{
    struct daemon       *daemon = ctx;
    struct process_stats process;
    enum status          status;

    read_process(daemon, &process);
    status = proxy_print_metrics(daemon->proxy, out);
    if (status == STATUS_OK)
        status = daemon_limits_print_metrics(daemon, out);
    if (status == STATUS_OK)
        status = metric_print(out, front_metrics, front_metric_count, front_stats(daemon->front));
    if (status == STATUS_OK)
        status = metric_print(out, upstream_pool_metrics, upstream_pool_metric_count,
                              upstream_pool_stats(daemon->pool));
    if (status == STATUS_OK)
        status = backend_watch_print_metrics(&daemon->backend, out);
    if (status == STATUS_OK && daemon->child != NULL)
        status = daemon_child_print_metrics(daemon->child, out);
    if (status == STATUS_OK)
        status =
            metric_print(out, memory_account_metrics, memory_account_metric_count, &daemon->budget);
    if (status == STATUS_OK)
        status = advice_print_metrics(daemon->advice, loop_now_us(daemon->loop), out);
    if (status == STATUS_OK)
        status = metric_print(out, process_metrics, COUNT_OF(process_metrics), &process);
    if (status == STATUS_OK)
        status = print_lag(daemon, out);
    return status == STATUS_OK ? print_info(out) : status;
}

static enum status print_lag(const struct daemon *daemon, struct byte_buffer *out)
{
    enum status status =
        metric_print_header(out, "chromabouncer_loop_lag_seconds", "histogram",
                            "How long turns of the event loop took, in which nobody else was "
                            "served: above 1 ms often, something works on it that should not.");

    return status != STATUS_OK ? status
                               : metric_print_histogram(out, "chromabouncer_loop_lag_seconds", "",
                                                        loop_lag(daemon->loop));
}

static enum status print_info(struct byte_buffer *out)
{
    enum status status =
        metric_print_header(out, "chromabouncer_build_info", "gauge", "Always 1; see its labels.");

    return status != STATUS_OK ? status
                               : byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                                    "chromabouncer_build_info{version=\"%s\"} 1\n",
                                                    PACKAGE_VERSION);
}

static void read_process(const struct daemon *daemon, struct process_stats *stats)
{
    uint64_t      page = (uint64_t)sysconf(_SC_PAGESIZE), virtual_pages = 0, resident_pages = 0;
    FILE         *statm = fopen("/proc/self/statm", "re");
    struct rusage usage;
    struct rlimit limit = {0};

    if (statm != NULL) {
        if (fscanf(statm, "%" SCNu64 " %" SCNu64, &virtual_pages, &resident_pages) != 2)
            resident_pages = 0;
        fclose(statm);
    }
    getrusage(RUSAGE_SELF, &usage);
    getrlimit(RLIMIT_NOFILE, &limit);
    *stats = (struct process_stats){
        .cpu_us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000u +
                  (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
        .resident_bytes = resident_pages * page,
        .virtual_bytes = virtual_pages * page,
        .open_fds = descriptor_count_get(daemon->descriptors),
        .max_fds = limit.rlim_cur,
        .start_s = daemon->started_wall_s,
        .buffered_bytes = daemon->budget.used,
        .buffered_max_bytes = daemon->budget.max,
        .log_dropped = log_dropped(),
        .paused = proxy_is_paused(daemon->proxy),
        .reload_ok = !daemon->reload_failed,
        .reloaded_s = daemon->loaded_wall_s,
    };
}

static enum status print_page(void *ctx, struct byte_buffer *out)
{
    struct daemon                    *daemon = ctx;
    const struct front_stats         *front = front_stats(daemon->front);
    const struct upstream_pool_stats *pool = upstream_pool_stats(daemon->pool);
    char                              backend[SETTINGS_VALUE_SIZE];
    enum status                       status;

    settings_print(daemon->settings, SETTINGS_ID_backend_url, backend);
    status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                "chromabouncer %s -> %s\nlistening on %s\n\n", PACKAGE_VERSION,
                                backend, daemon->listening_text);
    if (status != STATUS_OK)
        return status;
    is_ready(ctx, true, out);
    status = print_identity(daemon, out);
    if (status == STATUS_OK)
        status = daemon_breakers_print(daemon, out);
    if (status == STATUS_OK)
        status = daemon_services_print(daemon, out);
    if (status == STATUS_OK)
        status = daemon_auth_print(daemon, out);
    if (status == STATUS_OK)
        status = daemon_guard_print(daemon, out);
    if (status == STATUS_OK)
        status = daemon_mirror_print(daemon, out);
    if (status != STATUS_OK)
        return status;
    return byte_buffer_printf(
        out, METRIC_PAGE_BYTES_MAX,
        "\nclients      %" PRIu64 "\nrequests     %zu\nbackend      %" PRIu64 " busy, %" PRIu64
        " idle, %" PRIu64 " connecting\nwaiting      %" PRIu64 "\nbuffered     %" PRIu64
        " of %" PRIu64 " bytes\n\n/livez /readyz /startupz /metrics\n",
        front->connections, proxy_unfinished(daemon->proxy), pool->busy, pool->idle,
        pool->connecting, proxy_waiting(daemon->proxy), daemon->budget.used, daemon->budget.max);
}

/* What is known of the backend, and what is done with it. */
static enum status print_identity(const struct daemon *daemon, struct byte_buffer *out)
{
    const struct upstream_identity_facts *facts = upstream_identity_facts(daemon->backend.identity);
    bool                                  is_merging =
        daemon->settings->writes_coalesce && backend_watch_may_merge(&daemon->backend);
    char version[UPSTREAM_IDENTITY_VERSION_SIZE];

    return byte_buffer_printf(
        out, METRIC_PAGE_BYTES_MAX,
        "\nfamily       %s, says version %s\nincarnation  %" PRIu64 "\nmerging      %s: %s\n",
        chroma_family_info(facts->family)->name, upstream_identity_version(facts, version),
        facts->incarnation, is_merging ? "on" : "off",
        daemon->settings->writes_coalesce ? facts->reason : "writes.coalesce is false");
}
