#include "proxy/cache_report.h"

#include <string.h>

#include "calls/proxy_state.h"
#include "copies/mirror_names.h"
#include "proxy/cache_path.h"
#include "proxy/cache_verify.h"

static uint64_t entries_of(const struct proxy *proxy);

void cache_report_read(const struct proxy *proxy, struct cache_report *ret_report)
{
    struct cache_verify_stats verified = cache_verify_get_stats(proxy->verify);
    struct cache_path_state   state;

    cache_path_read_state(proxy->cache, &state);
    *ret_report = (struct cache_report){.is_on = state.answers != NULL,
                                        .bytes_max = state.bytes_max,
                                        .verified = verified.same + verified.different,
                                        .different = verified.different};
    if (state.stats != NULL)
        ret_report->stats = *state.stats;
    ret_report->lookups = ret_report->stats.hits + ret_report->stats.misses +
                          ret_report->stats.stale + ret_report->stats.expired +
                          ret_report->stats.joined;
}

size_t cache_report_list(const struct proxy *proxy, enum query_cache_owner kind,
                         struct cache_usage_row out[QUERY_CACHE_OWNERS_MAX])
{
    struct cache_path_state state;

    cache_path_read_state(proxy->cache, &state);
    return state.usage == NULL ? 0 : cache_usage_list(state.usage, state.answers, kind, out);
}

bool cache_report_split(struct bytes text, struct scope *ret_scope, struct bytes *ret_name)
{
    const char *first = memchr(text.data, '/', text.size), *second;
    size_t      size;

    *ret_scope = (struct scope){.tenant = BYTES_INIT("default_tenant"),
                                .database = BYTES_INIT("default_database")};
    *ret_name = text;
    if (first == NULL)
        return true;
    size = (size_t)(first - text.data);
    second = memchr(first + 1, '/', text.size - size - 1);
    if (second == NULL)
        return false;
    *ret_scope = (struct scope){.tenant = {.data = text.data, .size = size},
                                .database = {.data = first + 1, (size_t)(second - first - 1)}};
    *ret_name = bytes_skip(text, (size_t)(second + 1 - text.data));
    return true;
}

bool cache_report_find(const struct proxy *proxy, struct bytes text, uint8_t ret_uuid[16])
{
    struct scope scope;
    struct bytes name;

    return cache_report_split(text, &scope, &name) &&
           ((name.size == text.size && chroma_route_parse_uuid(text, ret_uuid)) ||
            collection_table_uuid(proxy->collections, scope, name, loop_now_us(proxy->loop),
                                  ret_uuid) ||
            mirror_names_find(proxy->mirror, text, ret_uuid));
}

uint64_t cache_report_flush(struct proxy *proxy)
{
    uint64_t entries = entries_of(proxy);

    cache_path_flush(proxy->cache);
    proxy->distrusts++;
    return entries;
}

uint64_t cache_report_flush_collection(struct proxy *proxy, const uint8_t uuid[16])
{
    uint64_t entries = entries_of(proxy);

    collection_table_distrust(proxy->collections, uuid);
    cache_path_flush_collection(proxy->cache, uuid);
    proxy->distrusts++;
    return entries - entries_of(proxy);
}

static uint64_t entries_of(const struct proxy *proxy)
{
    struct cache_report report;

    cache_report_read(proxy, &report);
    return report.stats.entries;
}
