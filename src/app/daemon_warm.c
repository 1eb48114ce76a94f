#include "app/daemon_warm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "chroma/chroma_route.h"
#include "chroma/collection_answer.h"
#include "json/json_scan.h"

/* For all of them: an index of a million records takes some ten seconds. */
static const uint64_t warm_max_us = 60000000;

/* Descriptions take 2 KiB and the metadata; of a query only the status counts. */
enum { description_bytes_max = 64 << 10, dimension_max = 1 << 16 };

static const char warm_database[] = "/api/v2/tenants/%.*s/databases/%.*s/collections/%.*s";
static const char warm_query_path[] = "/api/v2/tenants/%.*s/databases/%.*s/collections/%s/query";

struct daemon_warm {
    struct daemon *daemon;
    void (*done)(void *ctx);
    void                    *ctx;
    bool                     is_under_way;
    bool                     is_query; /* else its description is asked for */
    const char              *at;       /* the rest of exec.warm */
    struct bytes             name;     /* as it is written there */
    struct bytes             path[3];  /* tenant, database and name */
    uint64_t                 end_us;   /* of all */
    uint64_t                 asked_us; /* of this one */
    struct byte_buffer       target, body;
    struct upstream_question question;
};

static void warm_next(struct daemon_warm *warm);
static bool warm_take_name(struct daemon_warm *warm);
static bool warm_split(struct daemon_warm *warm);
static void warm_ask(struct daemon_warm *warm, bool is_query);
static void warm_on_answer(const struct upstream_answer *answer, void *ctx);
static void warm_on_description(struct daemon_warm *warm, struct bytes text);
static bool warm_write_query(struct daemon_warm *warm, const struct collection_answer *found);
static void warm_log(const struct daemon_warm *warm, const char *problem);
static void warm_end(struct daemon_warm *warm);

struct daemon_warm *daemon_warm_new(struct daemon *daemon, void (*done)(void *ctx), void *ctx)
{
    struct daemon_warm *warm = calloc(1, sizeof *warm);

    if (warm == NULL)
        return NULL;
    warm->daemon = daemon;
    warm->done = done;
    warm->ctx = ctx;
    return warm;
}

void daemon_warm_free(struct daemon_warm *warm)
{
    if (warm == NULL)
        return;
    daemon_warm_stop(warm);
    byte_buffer_done(&warm->target);
    byte_buffer_done(&warm->body);
    free(warm);
}

void daemon_warm_begin(struct daemon_warm *warm)
{
    warm->is_under_way = true;
    warm->at = warm->daemon->settings->exec_warm;
    warm->end_us = loop_now_us(warm->daemon->loop) + warm_max_us;
    warm_next(warm);
}

void daemon_warm_stop(struct daemon_warm *warm)
{
    upstream_control_cancel(warm->daemon->backend.control, &warm->question);
    warm->is_under_way = false;
}

bool daemon_warm_is_under_way(const struct daemon_warm *warm)
{
    return warm->is_under_way;
}

/* The first that can be asked for; none: it is over. */
static void warm_next(struct daemon_warm *warm)
{
    while (warm_take_name(warm)) {
        bool is_written;

        warm->asked_us = loop_now_us(warm->daemon->loop);
        if (warm->asked_us >= warm->end_us) {
            warm_log(warm, "the time for all of exec.warm is over");
            continue;
        }
        byte_buffer_clear(&warm->target);
        is_written =
            warm_split(warm) &&
            byte_buffer_printf(&warm->target, SIZE_MAX, warm_database, (int)warm->path[0].size,
                               warm->path[0].data, (int)warm->path[1].size, warm->path[1].data,
                               (int)warm->path[2].size, warm->path[2].data) == STATUS_OK;
        if (is_written) {
            warm_ask(warm, false);
            return;
        }
        warm_log(warm, "it is neither NAME nor TENANT/DATABASE/NAME");
    }
    warm_end(warm);
}

/* False: there is none left. */
static bool warm_take_name(struct daemon_warm *warm)
{
    warm->at += strspn(warm->at, ", ");
    warm->name = (struct bytes){.data = warm->at, .size = strcspn(warm->at, ", ")};
    warm->at += warm->name.size;
    return warm->name.size > 0;
}

/* Chroma's names need no escapes in a path. */
static bool warm_split(struct daemon_warm *warm)
{
    const char *at = warm->name.data, *end = at + warm->name.size;
    size_t      count = 0;

    warm->path[0] = BYTES_LITERAL("default_tenant");
    warm->path[1] = BYTES_LITERAL("default_database");
    warm->path[2] = warm->name;
    for (const char *c = at; c < end; c++) {
        if (*c <= ' ' || *c >= 127 || strchr("?#%", *c) != NULL)
            return false;
        count += *c == '/';
    }
    for (size_t i = 0; i < 3 && count == 2; i++) {
        size_t size = 0;

        while (at + size < end && at[size] != '/')
            size++;
        warm->path[i] = (struct bytes){.data = at, .size = size};
        at += size + 1;
    }
    return (count == 0 || count == 2) && warm->path[0].size > 0 && warm->path[1].size > 0 &&
           warm->path[2].size > 0;
}

static void warm_ask(struct daemon_warm *warm, bool is_query)
{
    uint64_t now_us = loop_now_us(warm->daemon->loop);

    warm->is_query = is_query;
    warm->question = (struct upstream_question){
        .path = byte_buffer_bytes(&warm->target),
        .fields =
            is_query ? BYTES_LITERAL("Content-Type: application/json\r\n") : (struct bytes){0},
        .body = is_query ? byte_buffer_bytes(&warm->body) : (struct bytes){0},
        .timeout_us = warm->end_us > now_us ? warm->end_us - now_us : 1,
        .answer_bytes_max = description_bytes_max,
        .on_answer = warm_on_answer,
        .ctx = warm};
    if (upstream_control_ask(warm->daemon->backend.control, &warm->question) == STATUS_OK)
        return;
    warm_log(warm, "too many questions wait");
    warm_end(warm);
}

static void warm_on_answer(const struct upstream_answer *answer, void *ctx)
{
    struct daemon_warm *warm = ctx;
    char                problem[32];

    snprintf(problem, sizeof problem, "status %u", answer->code);
    if (answer->status != STATUS_OK)
        warm_log(warm, answer->problem);
    else if (answer->code == 404)
        warm_log(warm, "it does not exist");
    else if (answer->code != 200)
        warm_log(warm, problem);
    else if (!warm->is_query && answer->is_cut)
        warm_log(warm, "its description is too large");
    else if (warm->is_query)
        warm_log(warm, NULL);
    else {
        warm_on_description(warm, answer->body);
        return;
    }
    warm_next(warm);
}

static void warm_on_description(struct daemon_warm *warm, struct bytes text)
{
    struct collection_answer *found = malloc(sizeof *found);
    struct json_scan          scan;
    bool                      is_read = false, is_written = false;

    json_scan_init(&scan, text);
    if (found != NULL)
        is_read = collection_answer_take(&scan, found) && json_scan_end(&scan);
    if (is_read && found->dimension > 0 && found->dimension <= dimension_max)
        is_written = warm_write_query(warm, found);
    if (is_written)
        warm_ask(warm, true);
    else
        warm_log(warm, is_read ? NULL : "its description is not understood"); /* it has no index */
    free(found);
    if (!is_written)
        warm_next(warm);
}

/* Which vector does not matter. A count loads the index too, but no faster (1.5.9), and not in
 * servers below 1.0; asking for the description does not. */
static bool warm_write_query(struct daemon_warm *warm, const struct collection_answer *found)
{
    char        uuid[CHROMA_ROUTE_UUID_SIZE];
    enum status status;

    chroma_route_print_uuid(found->uuid, uuid);
    byte_buffer_clear(&warm->target);
    byte_buffer_clear(&warm->body);
    status =
        byte_buffer_printf(&warm->target, SIZE_MAX, warm_query_path, (int)warm->path[0].size,
                           warm->path[0].data, (int)warm->path[1].size, warm->path[1].data, uuid);
    if (status == STATUS_OK)
        status =
            byte_buffer_append(&warm->body, BYTES_LITERAL("{\"query_embeddings\":[["), SIZE_MAX);
    for (uint32_t i = 0; i < found->dimension && status == STATUS_OK; i++)
        status = byte_buffer_append(&warm->body, i == 0 ? BYTES_LITERAL("1") : BYTES_LITERAL(",1"),
                                    SIZE_MAX);
    if (status == STATUS_OK)
        status = byte_buffer_append(&warm->body,
                                    BYTES_LITERAL("]],\"n_results\":1,\"include\":[]}"), SIZE_MAX);
    return status == STATUS_OK;
}

static void warm_log(const struct daemon_warm *warm, const char *problem)
{
    struct log_line line;

    log_begin(&line, problem == NULL ? LOG_INFO : LOG_WARNING,
              problem == NULL ? "collection_warmed" : "collection_not_warmed");
    log_bytes(&line, "collection", warm->name);
    if (problem != NULL)
        log_text(&line, "reason", problem);
    log_ms(&line, "took_ms", loop_now_us(warm->daemon->loop) - warm->asked_us);
    log_end(&line);
}

static void warm_end(struct daemon_warm *warm)
{
    warm->is_under_way = false;
    warm->done(warm->ctx);
}
