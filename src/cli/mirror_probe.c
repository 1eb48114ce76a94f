#include "cli/mirror_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_route.h"
#include "chroma/collection_answer.h"
#include "cli/http_probe.h"
#include "limits/guard_rules.h"
#include "limits/name_pattern.h"
#include "mirror/mirror_estimate.h"

/* Some descriptions fit into an answer; so many are looked at. */
enum { page_size = 2, pages_max = 100 };

static const char collections_path[] =
    "/api/v2/tenants/default_tenant/databases/default_database/collections";

static bool probe_page(const struct settings *settings, unsigned page, struct mirror_probe *probe,
                       bool *ret_is_last);
static bool is_copied(const struct settings *settings, const struct collection_answer *collection);
static bool add_collection(const struct settings          *settings,
                           const struct collection_answer *collection, struct mirror_probe *probe);

void mirror_probe_walk(const struct settings *settings, struct mirror_probe *ret)
{
    bool is_last = false;

    *ret = (struct mirror_probe){.is_whole = true};
    for (unsigned i = 0; i < pages_max && !is_last && ret->is_whole; i++)
        ret->is_whole = probe_page(settings, i, ret, &is_last);
    ret->is_whole &= is_last;
}

static bool probe_page(const struct settings *settings, unsigned page, struct mirror_probe *probe,
                       bool *ret_is_last)
{
    struct http_probe_answer answer;
    struct collection_answer found;
    struct json_scan         scan;
    struct error             error;
    char                     path[200];
    unsigned                 count = 0;

    snprintf(path, sizeof path, "%s?limit=%d&offset=%u", collections_path, page_size,
             page_size * page);
    if (http_probe(&settings->backend_url, path, settings->backend_health_timeout_us, &answer,
                   &error) != STATUS_OK ||
        answer.code != 200)
        return false;
    json_scan_init(&scan, (struct bytes){answer.body, answer.size});
    if (!json_scan_array(&scan))
        return false;
    while (json_scan_element(&scan)) {
        if (!collection_answer_take(&scan, &found) ||
            (is_copied(settings, &found) && !add_collection(settings, &found, probe)))
            return false;
        count++;
    }
    *ret_is_last = count < page_size;
    return json_scan_end(&scan);
}

static bool is_copied(const struct settings *settings, const struct collection_answer *collection)
{
    struct bytes         rest = bytes_of(settings->mirror_collections);
    struct bytes         name = {collection->name.data, collection->name.size};
    struct guard_pattern pattern;

    if (rest.size == 0 || bytes_equal(rest, BYTES_LITERAL("auto")))
        return true;
    while (guard_rules_next_pattern(&rest, &pattern))
        if (name_pattern_fits(pattern.collection, name) &&
            (pattern.tenant.data == NULL ||
             (name_pattern_fits(pattern.tenant, BYTES_LITERAL("default_tenant")) &&
              name_pattern_fits(pattern.database, BYTES_LITERAL("default_database")))))
            return true;
    return false;
}

static bool add_collection(const struct settings          *settings,
                           const struct collection_answer *collection, struct mirror_probe *probe)
{
    struct http_probe_answer answer;
    struct error             error;
    char                     path[200], uuid[CHROMA_ROUTE_UUID_SIZE];
    uint64_t                 records;

    chroma_route_print_uuid(collection->uuid, uuid);
    snprintf(path, sizeof path, "%s/%s/count", collections_path, uuid);
    if (http_probe(&settings->backend_url, path, settings->backend_health_timeout_us, &answer,
                   &error) != STATUS_OK ||
        answer.code != 200)
        return false;
    records = strtoull(answer.body, NULL, 10);
    probe->collections++;
    probe->records += records;
    probe->memory += mirror_estimate_of_size(records, collection->dimension);
    probe->vectors += mirror_estimate_of_vectors(records, collection->dimension);
    return true;
}
