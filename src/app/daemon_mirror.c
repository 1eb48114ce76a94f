#include "app/daemon_mirror.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/daemon_export.h"
#include "app/mirror_folder.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/text.h"
#include "proxy/mirror_report.h"

/* Of mirror.collections: no more fit into the text. */
enum { PATTERNS_MAX = SETTINGS_TEXT_SIZE / 2 };

struct mirror_rows {
    json_t *rows;
    bool    is_whole;
};

static enum status            prepare(struct daemon *daemon, struct error *error);
static enum proxy_mirror_mode mode_of(const struct settings *settings);
static size_t                 split_patterns(char *text, const char **patterns);
static enum status            daemon_mirror_list(const struct daemon *daemon, json_t *answer,
                                                 struct error *error);
static const char            *obstacle_of(const struct daemon *daemon);
static bool                   is_unavailable(const struct daemon *daemon);
static json_t                *verified_of(const struct daemon *daemon);
static json_t                *compared_of(const struct daemon *daemon);
static void                   add_copy(const struct mirror_entry_info *info, void *ctx);
static void    print_name(const struct mirror_entry_info *info, char *out, size_t size);
static json_t *refills_of(const struct mirror_entry_info *info);
static json_t *if_known(const struct mirror_entry_info *info, uint64_t number);
static double  seconds(uint64_t us);

enum status daemon_mirror_start(struct daemon *daemon, struct error *error)
{
    enum status status = daemon_mirror_apply(daemon, error);

    if (status != STATUS_IO_FAILED && status != STATUS_NOT_PERMITTED)
        return status;
    log_event(LOG_WARNING, "mirror_unavailable", "reason", error->text);
    return STATUS_OK;
}

enum status daemon_mirror_apply(struct daemon *daemon, struct error *error)
{
    const struct settings      *settings = daemon->settings;
    char                        text[SETTINGS_TEXT_SIZE];
    const char                 *patterns[PATTERNS_MAX];
    struct proxy_mirror_options options = {
        .mode = mode_of(settings),
        .collections = patterns,
        .memory_max = settings_mirror_memory(settings),
        .disk_max = settings->mirror_disk_max_bytes,
        .max_age_us = settings->mirror_max_age_us,
        .trust_us = settings->mirror_trust_us,
        .allows_incomplete = settings->mirror_allow_incomplete,
    };

    daemon->mirror_error.text[0] = '\0';
    if (options.mode == PROXY_MIRROR_OFF && !daemon->mirror_was_on)
        return STATUS_OK;
    if (options.mode != PROXY_MIRROR_OFF) {
        enum status status = prepare(daemon, error);

        if (status != STATUS_OK)
            return status;
    }
    options.directory = daemon->mirror_folder.path;
    snprintf(text, sizeof text, "%s", settings->mirror_collections);
    options.collection_count = split_patterns(text, patterns);
    if (proxy_set_mirror(daemon->proxy, &options) != STATUS_OK)
        return error_set(error, STATUS_NO_MEMORY, "mirror.mode: out of memory");
    if (settings->mirror_mode > SETTINGS_MIRROR_MODE_FALLBACK &&
        options.mode == PROXY_MIRROR_FALLBACK)
        log_event(LOG_WARNING, "mirror_mode_is_fallback", "reason",
                  "in role sidecar others may write what no copy has; set role to gateway if all "
                  "traffic comes through here");
    daemon->mirror_was_on = true;
    return STATUS_OK;
}

/* As many searches at a time as bodies are read. A change of one copy, or its export, does not keep
 * another from changing. */
static enum status prepare(struct daemon *daemon, struct error *error)
{
    unsigned    searches = (unsigned)daemon->settings->workers;
    enum status status;

    if (!worker_pool_grow(daemon->workers, WORKER_POOL_SEARCH, searches) ||
        !worker_pool_grow(daemon->workers, WORKER_POOL_INDEX, 2))
        return error_set(error, STATUS_NO_MEMORY, "mirror.mode: no more threads can be started");
    if (daemon->mirror_folder.path[0] != '\0')
        return STATUS_OK;
    status = mirror_folder_make(&daemon->mirror_folder, daemon->settings->mirror_directory, error);
    if (status != STATUS_OK)
        daemon->mirror_error = *error;
    return status;
}

static enum proxy_mirror_mode mode_of(const struct settings *settings)
{
    static const enum proxy_mirror_mode modes[] = {
        [SETTINGS_MIRROR_MODE_OFF] = PROXY_MIRROR_OFF,
        [SETTINGS_MIRROR_MODE_FALLBACK] = PROXY_MIRROR_FALLBACK,
        [SETTINGS_MIRROR_MODE_HEDGE] = PROXY_MIRROR_HEDGE,
        [SETTINGS_MIRROR_MODE_PREFER] = PROXY_MIRROR_PREFER};

    if (settings->role == SETTINGS_ROLE_SIDECAR &&
        settings->mirror_mode > SETTINGS_MIRROR_MODE_FALLBACK)
        return PROXY_MIRROR_FALLBACK;
    return modes[settings->mirror_mode];
}

/* Cuts `text`; `auto` and nothing are no patterns. */
static size_t split_patterns(char *text, const char **patterns)
{
    size_t count = 0;

    if (strcmp(text, "auto") == 0)
        return 0;
    for (char *rest, *word = strtok_r(text, ", ", &rest); word != NULL;
         word = strtok_r(NULL, ", ", &rest))
        patterns[count++] = word;
    return count;
}

void daemon_mirror_done(struct daemon *daemon)
{
    private_folder_remove(&daemon->mirror_folder);
}

enum status daemon_mirror_verb(struct daemon *daemon, size_t word_count, const char *const *words,
                               json_t *answer, struct error *error)
{
    enum status status = STATUS_OK;

    if (word_count > 0 && is_unavailable(daemon))
        return error_set(error, STATUS_NOT_IMPLEMENTED, "there are no copies: %s",
                         daemon->mirror_error.text);
    if (word_count == 2 && strcmp(words[0], "fill") == 0) {
        status = mirror_report_fill(daemon->proxy, bytes_of(words[1]), error);
        if (status == STATUS_AGAIN) /* who asks asks again */
            return json_object_set_new(answer, "state", json_string("looking")) == 0
                       ? STATUS_OK
                       : error_set(error, STATUS_NO_MEMORY, "out of memory");
    } else if (word_count == 2 && strcmp(words[0], "drop") == 0)
        status = mirror_report_drop(daemon->proxy, bytes_of(words[1]), error);
    else if (word_count == 2 && strcmp(words[0], "verify") == 0)
        status = mirror_report_verify(daemon->proxy, bytes_of(words[1]), error);
    else if (word_count == 2 && strcmp(words[0], "export") == 0)
        return daemon_export_begin(daemon, words[1], answer, error);
    else if (word_count == 1 && strcmp(words[0], "exported") == 0)
        return daemon_export_tell(daemon, answer, error);
    else if (word_count > 0)
        return error_set(error, STATUS_INVALID,
                         "write mirror [fill NAME | drop NAME | verify NAME]");
    return status == STATUS_OK ? daemon_mirror_list(daemon, answer, error) : status;
}

static enum status daemon_mirror_list(const struct daemon *daemon, json_t *answer,
                                      struct error *error)
{
    const struct settings     *settings = daemon->settings;
    struct mirror_keeper_usage usage = mirror_report_usage(daemon->proxy);
    const char                *obstacle = obstacle_of(daemon);
    struct mirror_rows         rows = {.rows = json_array(), .is_whole = true};
    char                       mode[SETTINGS_VALUE_SIZE];
    json_t                    *members, *verified = verified_of(daemon);
    int                        failed;

    settings_print(settings, SETTINGS_ID_mirror_mode, mode);
    if (mode_of(settings) == PROXY_MIRROR_FALLBACK)
        strcpy(mode, "fallback");
    mirror_report_each(daemon->proxy, add_copy, &rows);
    members = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:O?, s:O?, s:o}", "mode", mode, "obstacle",
        obstacle == NULL ? "" : obstacle, "copies", (json_int_t)usage.entries, "complete",
        (json_int_t)usage.complete, "memory", (json_int_t)usage.memory, "memory_max",
        (json_int_t)settings_mirror_memory(settings), "disk", (json_int_t)usage.disk, "disk_max",
        (json_int_t)settings->mirror_disk_max_bytes, "directory", daemon->mirror_folder.path,
        "collections", rows.rows, "verified", verified, "compared", compared_of(daemon));
    failed = members == NULL || verified == NULL || rows.rows == NULL || !rows.is_whole
                 ? -1
                 : json_object_update(answer, members);
    json_decref(rows.rows);
    json_decref(verified);
    json_decref(members);
    return failed == 0 ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "out of memory");
}

static const char *obstacle_of(const struct daemon *daemon)
{
    return is_unavailable(daemon) ? daemon->mirror_error.text
                                  : mirror_report_obstacle(daemon->proxy);
}

/* Copies are wanted, and cannot be had. */
static bool is_unavailable(const struct daemon *daemon)
{
    return daemon->settings->mirror_mode != SETTINGS_MIRROR_MODE_OFF &&
           daemon->mirror_error.text[0] != '\0';
}

/* What was verified last. */
static json_t *verified_of(const struct daemon *daemon)
{
    struct mirror_verify_info info = mirror_report_verified(daemon->proxy);
    char                      uuid[CHROMA_ROUTE_UUID_SIZE] = "";

    if (info.state != MIRROR_VERIFY_NONE)
        chroma_route_print_uuid(info.uuid, uuid);
    return json_pack("{s:s, s:s, s:I, s:I, s:s}", "collection", uuid, "result",
                     mirror_verify_state_name(info.state), "records", (json_int_t)info.records,
                     "again", (json_int_t)info.again, "reason", info.reason);
}

/* Of the reads that both were asked. */
static json_t *compared_of(const struct daemon *daemon)
{
    struct mirror_compare_stats stats = mirror_report_compared(daemon->proxy);

    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "same", (json_int_t)stats.same, "margin",
                     (json_int_t)stats.margin, "different", (json_int_t)stats.different, "changed",
                     (json_int_t)stats.changed, "unanswered", (json_int_t)stats.unanswered,
                     "too_large", (json_int_t)stats.too_large);
}

static void add_copy(const struct mirror_entry_info *info, void *ctx)
{
    struct mirror_rows *rows = ctx;
    char                name[600], uuid[CHROMA_ROUTE_UUID_SIZE];
    const char         *reason =
        info->reason == MIRROR_REASON_NONE ? "" : mirror_reason_label(info->reason);

    print_name(info, name, sizeof name);
    chroma_route_print_uuid(info->uuid, uuid);
    rows->is_whole &=
        json_array_append_new(
            rows->rows,
            json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:f, s:f, s:f, s:I, s:f, "
                      "s:I, s:f, s:s, "
                      "s:s, s:o, s:s}",
                      "name", name, "state", mirror_entry_state_name(info->state), "reason", reason,
                      "records", (json_int_t)info->records, "hollow", (json_int_t)info->hollow,
                      "memory", (json_int_t)info->memory, "disk", (json_int_t)info->disk,
                      "expected_records", if_known(info, info->expected_records), "expected_memory",
                      if_known(info, info->expected_memory), "expected_vectors",
                      if_known(info, info->expected_vectors), "age_seconds", seconds(info->age_us),
                      "left_seconds", seconds(info->left_us), "retry_seconds",
                      seconds(info->retry_us), "fills", (json_int_t)info->fills, "fill_seconds",
                      seconds(info->fill_us), "writes", (json_int_t)info->writes,
                      "reads_per_second", info->reads_per_second, "collection", uuid, "why",
                      info->detail != NULL                 ? info->detail
                      : info->reason != MIRROR_REASON_NONE ? mirror_reason_text(info->reason)
                                                           : "",
                      "refills", refills_of(info), "from", info->is_kept ? "kept" : "filled")) == 0;
}

/* As `ctl mirror fill` takes it: of Chroma's default database the name alone. */
static void print_name(const struct mirror_entry_info *info, char *out, size_t size)
{
    if (info->name.size == 0)
        snprintf(out, size, "-");
    else if (bytes_equal(info->scope.tenant, BYTES_LITERAL("default_tenant")) &&
             bytes_equal(info->scope.database, BYTES_LITERAL("default_database")))
        snprintf(out, size, "%.*s", (int)info->name.size, info->name.data);
    else
        snprintf(out, size, "%.*s/%.*s/%.*s", (int)info->scope.tenant.size, info->scope.tenant.data,
                 (int)info->scope.database.size, info->scope.database.data, (int)info->name.size,
                 info->name.data);
}

static json_t *refills_of(const struct mirror_entry_info *info)
{
    json_t *refills = json_object();
    bool    is_whole = refills != NULL;

    for (enum mirror_reason i = MIRROR_REASON_NONE + 1; i < MIRROR_REASON_COUNT && is_whole; i++)
        if (info->refills[i] > 0)
            is_whole = json_object_set_new(refills, mirror_reason_label(i),
                                           json_integer((json_int_t)info->refills[i])) == 0;
    if (is_whole)
        return refills;
    json_decref(refills);
    return NULL;
}

/* Else null. */
static json_t *if_known(const struct mirror_entry_info *info, uint64_t number)
{
    return info->expected_memory == 0 ? json_null() : json_integer((json_int_t)number);
}

static double seconds(uint64_t us)
{
    return (double)us / 1e6;
}

enum status daemon_mirror_print(const struct daemon *daemon, struct byte_buffer *out)
{
    struct mirror_keeper_usage usage = mirror_report_usage(daemon->proxy);
    const char                *obstacle = obstacle_of(daemon);
    char                       memory[TEXT_NUMBER_SIZE], disk[TEXT_NUMBER_SIZE];

    if (daemon->settings->mirror_mode == SETTINGS_MIRROR_MODE_OFF)
        return STATUS_OK;
    if (obstacle != NULL)
        return byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "mirror       none: %s\n", obstacle);
    return byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                              "mirror       %zu of %zu copies complete; memory %s, disk %s\n",
                              usage.complete, usage.entries, text_of_size(usage.memory, memory),
                              text_of_size(usage.disk, disk));
}
