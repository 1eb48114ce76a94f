#include "mirror/record_delete.h"

#include <stdint.h>
#include <stdlib.h>

#include "json/json_scan.h"

enum delete_field {
    DELETE_IDS,
    DELETE_WHERE,
    DELETE_WHERE_DOCUMENT,
    DELETE_LIMIT,
    DELETE_FIELD_COUNT
};

static const char *const field_names[DELETE_FIELD_COUNT] = {"ids", "where", "where_document",
                                                            "limit"};

static enum status read_delete_body(struct bytes body, struct bytes fields[DELETE_FIELD_COUNT],
                                    const char **ret_reason);
static enum delete_field find_field(struct json_string key);
static enum status       delete_by_filter(struct record_set *set, const struct bytes *fields,
                                          size_t *ret_count, const char **ret_reason);
static enum status delete_ids(struct record_set *set, struct bytes ids, const struct filter *filter,
                              size_t *ret_count, const char **ret_reason);
static enum status check_ids(struct bytes ids, bool has_filter, size_t *ret_text_size,
                             const char **ret_reason);
static size_t delete_matching(struct record_set *set, const struct filter *filter, size_t limit);
static bool   read_limit(struct bytes json, size_t *ret_limit);
static bool   filter_takes(const struct filter *filter, const struct record *record);

enum status record_delete_apply(struct record_set *set, struct bytes body, size_t *ret_count,
                                const char **ret_reason)
{
    struct bytes fields[DELETE_FIELD_COUNT] = {{.data = NULL}};
    enum status  status = read_delete_body(body, fields, ret_reason);

    if (status != STATUS_OK)
        return status;
    if (fields[DELETE_WHERE].data != NULL || fields[DELETE_WHERE_DOCUMENT].data != NULL)
        return delete_by_filter(set, fields, ret_count, ret_reason);
    *ret_reason = "a limit, but no filter";
    if (fields[DELETE_LIMIT].data != NULL)
        return STATUS_NOT_IMPLEMENTED;
    if (fields[DELETE_IDS].data != NULL)
        return delete_ids(set, fields[DELETE_IDS], NULL, ret_count, ret_reason);
    *ret_count = 0;
    return STATUS_OK;
}

/* The values of the fields that are there and not null. */
static enum status read_delete_body(struct bytes body, struct bytes fields[DELETE_FIELD_COUNT],
                                    const char **ret_reason)
{
    struct json_scan   scan;
    struct json_string key;
    bool               seen[DELETE_FIELD_COUNT] = {false};

    json_scan_init(&scan, body);
    *ret_reason = "not valid JSON, a field twice, or one that is not known";
    if (!json_scan_object(&scan))
        return STATUS_NOT_IMPLEMENTED;
    while (json_scan_member(&scan, &key)) {
        enum delete_field field = find_field(key);

        if (field == DELETE_FIELD_COUNT || seen[field])
            return STATUS_NOT_IMPLEMENTED;
        seen[field] = true;
        json_scan_value(&scan, json_scan_kind(&scan) == JSON_KIND_NULL ? NULL : &fields[field]);
    }
    return json_scan_end(&scan) ? STATUS_OK : STATUS_NOT_IMPLEMENTED;
}

static enum delete_field find_field(struct json_string key)
{
    enum delete_field field = 0;

    while (field < DELETE_FIELD_COUNT && !json_scan_equals(key, bytes_of(field_names[field])))
        field++;
    return field;
}

static enum status delete_by_filter(struct record_set *set, const struct bytes *fields,
                                    size_t *ret_count, const char **ret_reason)
{
    struct filter *filter;
    size_t         limit = SIZE_MAX;
    enum status    status;

    *ret_reason = "a limit among ids, or one that is no number";
    if (fields[DELETE_LIMIT].data != NULL &&
        (fields[DELETE_IDS].data != NULL || !read_limit(fields[DELETE_LIMIT], &limit)))
        return STATUS_NOT_IMPLEMENTED;
    status = filter_new(fields[DELETE_WHERE], fields[DELETE_WHERE_DOCUMENT], &filter, ret_reason);
    if (status == STATUS_INVALID)
        status = STATUS_NOT_IMPLEMENTED;
    if (status != STATUS_OK)
        return status;
    if (fields[DELETE_IDS].data != NULL)
        status = delete_ids(set, fields[DELETE_IDS], filter, ret_count, ret_reason);
    else
        *ret_count = delete_matching(set, filter, limit);
    filter_free(filter);
    return status;
}

static bool read_limit(struct bytes json, size_t *ret_limit)
{
    struct json_scan   scan;
    struct json_number number;
    int64_t            limit;
    double             real;

    json_scan_init(&scan, json);
    if (json_scan_kind(&scan) != JSON_KIND_NUMBER || !json_scan_number(&scan, &number) ||
        json_number_read(number, &limit, &real) != JSON_NUMBER_INTEGER || limit < 0)
        return false;
    *ret_limit = (size_t)limit;
    return true;
}

/* `filter` NULL: all of them. */
static enum status delete_ids(struct record_set *set, struct bytes ids, const struct filter *filter,
                              size_t *ret_count, const char **ret_reason)
{
    struct json_scan   scan;
    struct json_string id;
    char              *text;
    size_t             text_size, count = 0;
    enum status        status = check_ids(ids, filter != NULL, &text_size, ret_reason);

    if (status != STATUS_OK)
        return status;
    text = malloc(text_size + 1);
    if (text == NULL)
        return STATUS_NO_MEMORY;
    json_scan_init(&scan, ids);
    json_scan_array(&scan);
    while (json_scan_element(&scan) && json_scan_string(&scan, &id)) {
        struct record *record =
            record_set_get(set, (struct bytes){.data = text, .size = json_scan_decode(id, text)});
        bool is_taken = record != NULL && filter_takes(filter, record);

        count += filter == NULL || is_taken;
        if (is_taken)
            record_set_remove(set, record);
    }
    free(text);
    *ret_count = count;
    return STATUS_OK;
}

/* An array of strings, of none only where there is a filter; *ret_text_size is that of the longest.
 */
static enum status check_ids(struct bytes ids, bool has_filter, size_t *ret_text_size,
                             const char **ret_reason)
{
    struct json_scan   scan;
    struct json_string id;
    size_t             size = 0, count = 0;

    *ret_reason = "ids that are no list of strings, or none";
    json_scan_init(&scan, ids);
    if (!json_scan_array(&scan))
        return STATUS_NOT_IMPLEMENTED;
    for (; json_scan_element(&scan); count++) {
        if (!json_scan_string(&scan, &id))
            return STATUS_NOT_IMPLEMENTED;
        size = id.raw.size > size ? id.raw.size : size;
    }
    *ret_text_size = size;
    return count > 0 || has_filter ? STATUS_OK : STATUS_NOT_IMPLEMENTED;
}

/* The first of them, in the order of the records. */
static size_t delete_matching(struct record_set *set, const struct filter *filter, size_t limit)
{
    size_t         position = 0, count = 0;
    struct record *record;

    while (count < limit && (record = record_set_next(set, &position)) != NULL)
        if (filter_takes(filter, record)) {
            record_set_remove(set, record);
            count++;
        }
    return count;
}

static bool filter_takes(const struct filter *filter, const struct record *record)
{
    struct filter_subject subject = record_set_subject(record);

    return filter == NULL || filter_matches(filter, &subject);
}
