#include "app/daemon_cache.h"

#include <string.h>

#include "base/text.h"
#include "chroma/chroma_route.h"
#include "proxy/cache_report.h"

static enum status report_owners(const struct daemon *daemon, enum query_cache_owner kind,
                                 const char *members, json_t *answer);
static json_t     *row_of(const struct cache_usage_row *row, enum query_cache_owner kind);
static double      ratio_of(uint64_t hits, uint64_t lookups);

enum status daemon_cache_list(const struct daemon *daemon, json_t *answer)
{
    struct cache_report report;
    json_t             *members;
    enum status         status;

    cache_report_read(daemon->proxy, &report);
    members = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:I, s:I}", "enabled",
                        report.is_on, "entries", (json_int_t)report.stats.entries, "bytes",
                        (json_int_t)report.stats.bytes, "bytes_max", (json_int_t)report.bytes_max,
                        "lookups", (json_int_t)report.lookups, "hits",
                        (json_int_t)report.stats.hits, "collapsed", (json_int_t)report.stats.joined,
                        "hit_ratio", ratio_of(report.stats.hits, report.lookups), "saved_seconds",
                        (double)report.stats.saved_us / 1e6, "verified",
                        (json_int_t)report.verified, "different", (json_int_t)report.different);
    status =
        members == NULL || json_object_update(answer, members) != 0 ? STATUS_NO_MEMORY : STATUS_OK;
    json_decref(members);
    if (status == STATUS_OK)
        status = report_owners(daemon, QUERY_CACHE_COLLECTION, "collections", answer);
    return status == STATUS_OK ? report_owners(daemon, QUERY_CACHE_SERVICE, "services", answer)
                               : status;
}

static enum status report_owners(const struct daemon *daemon, enum query_cache_owner kind,
                                 const char *members, json_t *answer)
{
    struct cache_usage_row rows[QUERY_CACHE_OWNERS_MAX];
    size_t                 count = cache_report_list(daemon->proxy, kind, rows);
    json_t                *list = json_array();
    bool                   is_whole = list != NULL;

    for (size_t i = 0; i < count && is_whole; i++)
        is_whole = json_array_append_new(list, row_of(&rows[i], kind)) == 0;
    if (is_whole)
        return json_object_set_new(answer, members, list) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
    json_decref(list);
    return STATUS_NO_MEMORY;
}

/* What belongs to no collection, or to one without a number, stands under "-". */
static json_t *row_of(const struct cache_usage_row *row, enum query_cache_owner kind)
{
    char        uuid[CHROMA_ROUTE_UUID_SIZE] = "-";
    const char *name = uuid;

    if (kind == QUERY_CACHE_SERVICE)
        name = row->service;
    else if (row->collection != NULL)
        chroma_route_print_uuid(row->collection, uuid);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f}",
                     kind == QUERY_CACHE_SERVICE ? "service" : "collection", name, "entries",
                     (json_int_t)row->holding.entries, "bytes", (json_int_t)row->holding.bytes,
                     "lookups", (json_int_t)row->counts.lookups, "hits",
                     (json_int_t)row->counts.hits, "hit_ratio",
                     ratio_of(row->counts.hits, row->counts.lookups), "saved_seconds",
                     (double)row->counts.saved_us / 1e6);
}

static double ratio_of(uint64_t hits, uint64_t lookups)
{
    return lookups == 0 ? 0 : (double)hits / (double)lookups;
}

enum status daemon_cache_flush(const struct daemon *daemon, size_t word_count,
                               const char *const *words, json_t *answer, struct error *error)
{
    const char *collection = word_count > 1 ? words[1] : NULL;
    uint64_t    entries;
    uint8_t     uuid[16];
    char        text[CHROMA_ROUTE_UUID_SIZE] = "all", quoted[60];
    json_t     *members;
    int         failed;

    if (strcmp(words[0], "flush") != 0)
        return error_set(error, STATUS_INVALID, "write cache, or cache flush [COLLECTION]");
    if (collection != NULL && !cache_report_find(daemon->proxy, bytes_of(collection), uuid)) {
        text_quote(bytes_of(collection), quoted, sizeof quoted);
        return error_set(error, STATUS_INVALID,
                         "no collection is known as %s; write its UUID, or TENANT/DATABASE/NAME",
                         quoted);
    }
    if (collection != NULL)
        chroma_route_print_uuid(uuid, text);
    entries = collection == NULL ? cache_report_flush(daemon->proxy)
                                 : cache_report_flush_collection(daemon->proxy, uuid);
    members = json_pack("{s:s, s:I}", "flushed", text, "entries", (json_int_t)entries);
    failed = members == NULL ? -1 : json_object_update(answer, members);
    json_decref(members);
    return failed == 0 ? STATUS_OK : error_set(error, STATUS_NO_MEMORY, "out of memory");
}
