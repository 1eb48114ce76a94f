#include "chroma/chroma_extent.h"

#include "base/compiler.h"
#include "json/json_scan.h"

enum { N_RESULTS_DEFAULT = 10, N_RESULTS_DIGITS_MAX = 18 };

static bool read_get_extent(struct json_scan *scan, struct chroma_extent *extent);
static bool is_bound(struct json_string key);
static bool take_is_empty(struct json_scan *scan);
static bool read_query_extent(struct json_scan *scan, struct chroma_extent *extent);
static bool take_result_count(struct json_scan *scan, uint64_t *ret_count);

enum status chroma_extent_read(enum chroma_operation operation, struct bytes body,
                               struct chroma_extent *ret_extent)
{
    struct chroma_extent extent = {.n_results = N_RESULTS_DEFAULT};
    struct json_scan     scan;
    bool                 is_read = false;

    json_scan_init(&scan, body);
    if (operation == CHROMA_OPERATION_GET)
        is_read = read_get_extent(&scan, &extent);
    else if (operation == CHROMA_OPERATION_QUERY)
        is_read = read_query_extent(&scan, &extent);
    if (!is_read)
        return STATUS_INVALID;
    *ret_extent = extent;
    return STATUS_OK;
}

/* The first bound is enough. */
static bool read_get_extent(struct json_scan *scan, struct chroma_extent *extent)
{
    struct json_string key;

    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key)) {
        if (!is_bound(key))
            json_scan_value(scan, NULL);
        else if (!take_is_empty(scan))
            return !scan->failed;
    }
    extent->is_unfiltered = true;
    return json_scan_end(scan);
}

static bool is_bound(struct json_string key)
{
    static const struct bytes bounds[] = {BYTES_INIT("ids"), BYTES_INIT("where"),
                                          BYTES_INIT("where_document"), BYTES_INIT("limit")};

    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        if (json_scan_equals(key, bounds[i]))
            return true;
    return false;
}

/* Null and an empty filter bound nothing; an empty list of ids bounds all. */
static bool take_is_empty(struct json_scan *scan)
{
    struct json_string key;

    if (json_scan_kind(scan) == JSON_KIND_NULL)
        return json_scan_value(scan, NULL);
    return json_scan_kind(scan) == JSON_KIND_OBJECT && json_scan_object(scan) &&
           !json_scan_member(scan, &key);
}

static bool read_query_extent(struct json_scan *scan, struct chroma_extent *extent)
{
    struct json_string key;

    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key)) {
        if (json_scan_equals(key, BYTES_LITERAL("n_results")) &&
            json_scan_kind(scan) != JSON_KIND_NULL)
            return take_result_count(scan, &extent->n_results);
        json_scan_value(scan, NULL);
    }
    return json_scan_end(scan);
}

static bool take_result_count(struct json_scan *scan, uint64_t *ret_count)
{
    struct json_number number;
    uint64_t           count = 0;

    if (json_scan_kind(scan) != JSON_KIND_NUMBER || !json_scan_number(scan, &number) ||
        !number.is_integer || number.raw.size > N_RESULTS_DIGITS_MAX || number.raw.data[0] == '-')
        return false;
    for (size_t i = 0; i < number.raw.size; i++)
        count = count * 10 + (uint64_t)(number.raw.data[i] - '0');
    *ret_count = count;
    return true;
}
