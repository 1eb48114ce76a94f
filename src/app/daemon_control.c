#include "app/daemon_control.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/control_verb.h"
#include "app/daemon_advice.h"
#include "app/daemon_auth.h"
#include "app/daemon_breakers.h"
#include "app/daemon_cache.h"
#include "app/daemon_guard.h"
#include "app/daemon_limits.h"
#include "app/daemon_metrics.h"
#include "app/daemon_mirror.h"
#include "app/daemon_pause.h"
#include "app/daemon_reload.h"
#include "app/daemon_services.h"
#include "base/log.h"
#include "config.h"

static int answer_verb(void *ctx, size_t word_count, const char *const *words, json_t *answer,
                       struct error *error);
static enum status verb_stats(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error);
static enum status read_metrics(struct daemon *daemon, const char *const *families, json_t **ret);
static enum status daemon_control_add_sample(json_t *metrics, const char *const *families,
                                             struct bytes line);
static enum status verb_clients(struct daemon *daemon, const char *word, json_t *answer,
                                struct error *error);
static enum status verb_collections(struct daemon *daemon, const char *word, json_t *answer,
                                    struct error *error);
static enum status verb_queues(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error);
static enum status verb_services(struct daemon *daemon, const char *word, json_t *answer,
                                 struct error *error);
static enum status verb_guard(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error);
static enum status verb_limits(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error);
static enum status verb_cache(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error);
static enum status verb_mirror(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error);
static enum status verb_keys(struct daemon *daemon, const char *word, json_t *answer,
                             struct error *error);
static enum status verb_advice(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error);
static enum status verb_set(struct daemon *daemon, const char *word, json_t *answer,
                            struct error *error);
static enum status verb_log_level(struct daemon *daemon, const char *word, json_t *answer,
                                  struct error *error);
static enum status list_told(enum status status, struct error *error);
static enum status change(struct daemon *daemon, struct bytes key, const char *value,
                          json_t *answer, struct error *error);
static enum status verb_pause(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error);
static enum status tell_pause(const struct daemon *daemon, json_t *answer, struct error *error);
static enum status verb_resume(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error);
static enum status verb_reload(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error);
static enum status verb_drain(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error);
static enum status daemon_control_fill(json_t *answer, json_t *members, struct error *error);

/* Of /metrics, what says who waits and for what. */
static const char *const queue_families[] = {"chromabouncer_queue_",
                                             "chromabouncer_inflight_requests",
                                             "chromabouncer_backend_connections{",
                                             "chromabouncer_backend_calls",
                                             "chromabouncer_backend_hung_calls",
                                             "chromabouncer_writes_waiting",
                                             "chromabouncer_writes_hung",
                                             "chromabouncer_write_calls_in_flight",
                                             "chromabouncer_write_call_oldest",
                                             "chromabouncer_write_lanes",
                                             "chromabouncer_memory_",
                                             NULL};

/* And what copies have answered, and why not. */
static const char *const mirror_families[] = {"chromabouncer_mirror_", NULL};

typedef enum status verb_fn(struct daemon *daemon, const char *word, json_t *answer,
                            struct error *error);

static verb_fn *const verb_functions[CONTROL_VERB_COUNT] = {
#define VERB(id, name, words, words_min, words_max, help) [CONTROL_VERB_##id] = verb_##id,
#include "admin/control_verb.def"
#undef VERB
};

enum status daemon_control_start(struct daemon *daemon, struct error *error)
{
    char        room[SETTINGS_SOURCES_PATH_SIZE];
    const char *path = settings_sources_control_path(daemon->sources, daemon->settings, room);
    bool        is_auto = strcmp(daemon->settings->control_path, "auto") == 0;
    enum status status;

    if (path == NULL)
        return STATUS_OK;
    status = control_server_new(daemon->loop, &daemon->budget.accounts[MEMORY_ACCOUNT_OTHER], path,
                                answer_verb, daemon, &daemon->control, error);
    if (status == STATUS_OK || !is_auto)
        return status;
    log_event(LOG_WARNING, "no_control_socket", "reason", error->text);
    return STATUS_OK;
}

static int answer_verb(void *ctx, size_t word_count, const char *const *words, json_t *answer,
                       struct error *error)
{
    enum control_verb_id id = CONTROL_VERB_COUNT;
    enum status          status = control_verb_find(word_count, words, &id, error);

    if (status == STATUS_OK && id == CONTROL_VERB_guard && word_count > 1)
        status = daemon_guard_verb(ctx, word_count - 1, words + 1, answer, error);
    else if (status == STATUS_OK && id == CONTROL_VERB_mirror && word_count > 1)
        status = daemon_mirror_verb(ctx, word_count - 1, words + 1, answer, error);
    else if (status == STATUS_OK && id == CONTROL_VERB_cache && word_count > 1)
        status = daemon_cache_flush(ctx, word_count - 1, words + 1, answer, error);
    else if (status == STATUS_OK)
        status = verb_functions[id](ctx, word_count > 1 ? words[1] : NULL, answer, error);
    if (id == CONTROL_VERB_reload) /* what is wrong in the file is no mistake of who asks */
        return settings_exit_status(status);
    switch (status) {
    case STATUS_OK:
        return EX_OK;
    case STATUS_INVALID:
    case STATUS_NOT_FOUND:
        return EX_USAGE;
    case STATUS_NOT_IMPLEMENTED: /* by this Chroma, or not now */
    case STATUS_AGAIN:
        return EX_UNAVAILABLE;
    default:
        return EX_OSERR;
    }
}

static enum status verb_stats(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error)
{
    const char *problem = "";
    bool        is_up = upstream_health_is_up(daemon->backend.health, &problem);
    char        backend[SETTINGS_VALUE_SIZE];
    json_t     *metrics = NULL;
    uint64_t    now_s = clock_wall_us() / 1000000u;
    enum status status = read_metrics(daemon, NULL, &metrics);

    (void)word;
    if (status != STATUS_OK)
        return error_set(error, status, "out of memory");
    settings_print(daemon->settings, SETTINGS_ID_backend_url, backend);
    return daemon_control_fill(
        answer,
        json_pack("{s:s, s:i, s:I, s:s, s:s, s:b, s:s, s:I, s:b, s:b, s:I, s:o, s:o}", "version",
                  PACKAGE_VERSION, "pid", (int)getpid(), "uptime_seconds",
                  (json_int_t)(now_s - daemon->started_wall_s), "listening", daemon->listening_text,
                  "backend", backend, "backend_up", is_up, "backend_problem", problem,
                  "backend_connections_max", (json_int_t)daemon->settings->backend_connections_max,
                  "draining", daemon->draining, "paused", proxy_is_paused(daemon->proxy),
                  "under_way", (json_int_t)proxy_under_way(daemon->proxy), "breakers",
                  daemon_breakers_list(daemon), "metrics", metrics),
        error);
}

/* The samples of /metrics whose names begin with one of `families` (NULL: all), by their names with
 * their labels. */
static enum status read_metrics(struct daemon *daemon, const char *const *families, json_t **ret)
{
    const struct status_server_source source = daemon_metrics_source(daemon);
    struct byte_buffer                page = {0};
    json_t                           *metrics = json_object();
    enum status                       status =
        metrics == NULL ? STATUS_NO_MEMORY : source.print_metrics(source.ctx, &page);
    struct bytes rest = byte_buffer_bytes(&page);

    while (status == STATUS_OK && rest.size > 0) {
        const char *end = memchr(rest.data, '\n', rest.size);
        size_t      size = end == NULL ? rest.size : (size_t)(end - rest.data);

        status = daemon_control_add_sample(metrics, families, (struct bytes){rest.data, size});
        rest = bytes_skip(rest, size + (end != NULL));
    }
    byte_buffer_done(&page);
    if (status == STATUS_OK)
        *ret = metrics;
    else
        json_decref(metrics);
    return status;
}

static enum status daemon_control_add_sample(json_t *metrics, const char *const *families,
                                             struct bytes line)
{
    const char *space =
        line.size == 0 || line.data[0] == '#' ? NULL : memrchr(line.data, ' ', line.size);
    char    name[256], value[64];
    bool    is_wanted = families == NULL;
    json_t *number;

    if (space == NULL)
        return STATUS_OK;
    for (size_t i = 0; !is_wanted && families[i] != NULL; i++)
        is_wanted = bytes_begin_with(line, bytes_of(families[i]));
    if (!is_wanted)
        return STATUS_OK;
    snprintf(name, sizeof name, "%.*s", (int)(space - line.data), line.data);
    snprintf(value, sizeof value, "%.*s", (int)(line.data + line.size - space - 1), space + 1);
    number = strchr(value, '.') == NULL ? json_integer((json_int_t)strtoull(value, NULL, 10))
                                        : json_real(strtod(value, NULL));
    return json_object_set_new(metrics, name, number) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status verb_clients(struct daemon *daemon, const char *word, json_t *answer,
                                struct error *error)
{
    enum status status = daemon_advice_list_clients(daemon, answer);

    (void)word;
    return status == STATUS_OK ? status : error_set(error, status, "out of memory");
}

static enum status verb_collections(struct daemon *daemon, const char *word, json_t *answer,
                                    struct error *error)
{
    enum status status = daemon_advice_list_collections(daemon, answer);

    (void)word;
    return status == STATUS_OK ? status : error_set(error, status, "out of memory");
}

static enum status verb_queues(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error)
{
    json_t     *metrics = NULL;
    enum status status = read_metrics(daemon, queue_families, &metrics);

    (void)word;
    if (status == STATUS_OK && json_object_set_new(answer, "queues", metrics) != 0)
        status = STATUS_NO_MEMORY;
    return status == STATUS_OK ? status : error_set(error, status, "out of memory");
}

static enum status verb_services(struct daemon *daemon, const char *word, json_t *answer,
                                 struct error *error)
{
    (void)word;
    return list_told(daemon_services_list(daemon, answer), error);
}

/* Lists fail for a lack of memory only. */
static enum status list_told(enum status status, struct error *error)
{
    return status == STATUS_OK ? status : error_set(error, status, "out of memory");
}

static enum status verb_guard(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error)
{
    (void)word;
    return daemon_guard_verb(daemon, 0, NULL, answer, error);
}

static enum status verb_limits(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error)
{
    (void)word;
    return list_told(daemon_limits_list(daemon, answer), error);
}

static enum status verb_cache(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error)
{
    (void)word;
    return list_told(daemon_cache_list(daemon, answer), error);
}

static enum status verb_mirror(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error)
{
    json_t     *metrics = NULL;
    enum status status = daemon_mirror_verb(daemon, 0, NULL, answer, error);

    (void)word;
    if (status == STATUS_OK)
        status = read_metrics(daemon, mirror_families, &metrics);
    if (status == STATUS_OK && json_object_set_new(answer, "numbers", metrics) != 0)
        status = STATUS_NO_MEMORY;
    return list_told(status, error);
}

static enum status verb_keys(struct daemon *daemon, const char *word, json_t *answer,
                             struct error *error)
{
    (void)word;
    return list_told(daemon_auth_list(daemon, answer), error);
}

static enum status verb_advice(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error)
{
    (void)word;
    return list_told(daemon_advice_list(daemon, answer), error);
}

static enum status verb_set(struct daemon *daemon, const char *word, json_t *answer,
                            struct error *error)
{
    const char *equals = strchr(word, '=');

    if (equals == NULL)
        return error_set(error, STATUS_INVALID, "write set KEY=VALUE");
    return change(daemon, (struct bytes){word, (size_t)(equals - word)}, equals + 1, answer, error);
}

static enum status verb_log_level(struct daemon *daemon, const char *word, json_t *answer,
                                  struct error *error)
{
    return change(daemon, BYTES_LITERAL("log.level"), word, answer, error);
}

static enum status change(struct daemon *daemon, struct bytes key, const char *value,
                          json_t *answer, struct error *error)
{
    enum status status = daemon_reload_set(daemon, key, bytes_of(value), error);

    if (status != STATUS_OK)
        return status;
    return daemon_control_fill(answer,
                               json_pack("{s:s%, s:s, s:s}", "key", key.data, key.size, "value",
                                         value, "until", "the next reload or restart"),
                               error);
}

static enum status verb_pause(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error)
{
    enum status status = daemon_pause(daemon, error);

    (void)word;
    return status == STATUS_OK ? tell_pause(daemon, answer, error) : status;
}

static enum status tell_pause(const struct daemon *daemon, json_t *answer, struct error *error)
{
    return daemon_control_fill(answer,
                               json_pack("{s:b, s:I}", "paused", proxy_is_paused(daemon->proxy),
                                         "under_way", (json_int_t)proxy_under_way(daemon->proxy)),
                               error);
}

static enum status verb_resume(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error)
{
    (void)word;
    daemon_pause_end(daemon, "ctl resume", true);
    return tell_pause(daemon, answer, error);
}

static enum status verb_reload(struct daemon *daemon, const char *word, json_t *answer,
                               struct error *error)
{
    enum status status = daemon_reload(daemon, error);

    (void)word;
    return status == STATUS_OK
               ? daemon_control_fill(answer, json_pack("{s:b}", "reloaded", true), error)
               : status;
}

static enum status verb_drain(struct daemon *daemon, const char *word, json_t *answer,
                              struct error *error)
{
    (void)word;
    if (!daemon->draining && kill(getpid(), SIGTERM) != 0)
        return error_set(error, STATUS_IO_FAILED, "cannot signal itself");
    return daemon_control_fill(answer, json_pack("{s:b}", "draining", true), error);
}

/* Move `members` (taken) into the answer. */
static enum status daemon_control_fill(json_t *answer, json_t *members, struct error *error)
{
    int failed = members == NULL ? -1 : json_object_update(answer, members);

    json_decref(members);
    return failed == 0 ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "out of memory");
}
