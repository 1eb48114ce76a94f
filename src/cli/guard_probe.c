#include "cli/guard_probe.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "chroma/collection_answer.h"
#include "cli/http_probe.h"
#include "limits/name_pattern.h"

/* Some descriptions fit into an answer; so many are looked at. */
enum { page_size = 2, pages_max = 500, path_size = 900 };

static enum guard_probe_result find_by_name(const struct settings *settings, const char *path);
static enum guard_probe_result find_in_list(const struct settings *settings, const char *path,
                                            struct bytes pattern);
static int  read_page(const struct http_probe_answer *answer, struct bytes pattern, bool *ret_fits);
static bool has_star(struct bytes text);
static bool add_segment(char *path, struct bytes text);

enum guard_probe_result guard_probe_find(const struct settings      *settings,
                                         const struct guard_pattern *pattern,
                                         char                        where[GUARD_PROBE_WHERE_SIZE])
{
    struct bytes tenant = pattern->tenant, database = pattern->database;
    char         path[path_size] = "/api/v2/tenants/";

    if (tenant.data == NULL)
        tenant = BYTES_LITERAL("default_tenant");
    if (database.data == NULL)
        database = BYTES_LITERAL("default_database");
    snprintf(where, GUARD_PROBE_WHERE_SIZE, "%.*s/%.*s", (int)tenant.size, tenant.data,
             (int)database.size, database.data);
    if (has_star(tenant) || has_star(database) || !add_segment(path, tenant) ||
        !add_segment(strcat(path, "/databases/"), database))
        return GUARD_PROBE_UNKNOWN;
    strcat(path, "/collections");
    if (has_star(pattern->collection))
        return find_in_list(settings, path, pattern->collection);
    return add_segment(strcat(path, "/"), pattern->collection) ? find_by_name(settings, path)
                                                               : GUARD_PROBE_UNKNOWN;
}

/* Servers below 1.0 answer 400 or 500, and say so. */
static enum guard_probe_result find_by_name(const struct settings *settings, const char *path)
{
    struct http_probe_answer answer;
    struct error             error;

    if (http_probe(&settings->backend_url, path, settings->backend_health_timeout_us, &answer,
                   &error) != STATUS_OK)
        return GUARD_PROBE_UNKNOWN;
    if (answer.code == 200)
        return GUARD_PROBE_FOUND;
    return strstr(answer.body, "does not exist") != NULL ? GUARD_PROBE_NONE : GUARD_PROBE_UNKNOWN;
}

static enum guard_probe_result find_in_list(const struct settings *settings, const char *path,
                                            struct bytes pattern)
{
    struct http_probe_answer answer;
    struct error             error;
    char                     page[path_size + 40];

    for (int i = 0; i < pages_max; i++) {
        bool fits = false;
        int  count;

        snprintf(page, sizeof page, "%s?limit=%d&offset=%d", path, page_size, page_size * i);
        if (http_probe(&settings->backend_url, page, settings->backend_health_timeout_us, &answer,
                       &error) != STATUS_OK ||
            answer.code != 200)
            return GUARD_PROBE_UNKNOWN;
        count = read_page(&answer, pattern, &fits);
        if (fits || count < 0)
            return fits ? GUARD_PROBE_FOUND : GUARD_PROBE_UNKNOWN;
        if (count < page_size)
            return GUARD_PROBE_NONE;
    }
    return GUARD_PROBE_UNKNOWN;
}

/* How many collections are on it; -1: it cannot be read. */
static int read_page(const struct http_probe_answer *answer, struct bytes pattern, bool *ret_fits)
{
    struct collection_answer found;
    struct json_scan         scan;
    int                      count = 0;

    json_scan_init(&scan, (struct bytes){answer->body, answer->size});
    if (!json_scan_array(&scan))
        return -1;
    while (json_scan_element(&scan)) {
        if (!collection_answer_take(&scan, &found))
            return -1;
        *ret_fits = *ret_fits ||
                    name_pattern_fits(pattern, (struct bytes){found.name.data, found.name.size});
        count++;
    }
    return json_scan_end(&scan) ? count : -1;
}

static bool has_star(struct bytes text)
{
    return memchr(text.data, '*', text.size) != NULL;
}

/* Append it to `path`, of path_size bytes. False: it does not fit. */
static bool add_segment(char *path, struct bytes text)
{
    size_t used = strlen(path);

    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool is_plain = text_is_alnum(c) || c == '-' || c == '_' || c == '.';

        if (path_size - used < 40) /* what comes behind it, too */
            return false;
        used += (size_t)snprintf(path + used, path_size - used, is_plain ? "%c" : "%%%02X",
                                 (unsigned char)c);
    }
    return true;
}
