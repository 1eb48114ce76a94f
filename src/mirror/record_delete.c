#include "mirror/record_delete.h"

#include <stdlib.h>

#include "mirror/filter.h"
#include "mirror/mirror_page.h"
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

/* What a filter has taken. */
struct delete_matches {
    const uint64_t *bitmap;
    uint32_t        bits, count;
};

static enum status read_delete_body(struct bytes body, struct bytes fields[DELETE_FIELD_COUNT],
                                    const char **ret_reason);
static enum delete_field find_field(struct json_string key);
static enum status find_by_filter(struct mirror_records *records, struct mirror_reader *reader,
                                  const struct bytes *fields, struct record_delete *found,
                                  const char **ret_reason);
static bool        read_limit(struct bytes json, size_t *ret_limit);
static enum status find_matching(struct mirror_records       *records,
                                 const struct delete_matches *matches, size_t limit,
                                 struct record_delete *found, const char **ret_reason);
static enum status find_ids(struct mirror_records *records, struct bytes ids,
                            const struct delete_matches *matches, struct record_delete *found,
                            const char **ret_reason);
static enum status check_ids(struct bytes ids, bool has_filter, size_t *ret_count,
                             size_t *ret_text_size, const char **ret_reason);
static enum status take_deleted_ids(struct mirror_records *records, struct bytes ids, char *text,
                                    const struct delete_matches *matches,
                                    struct record_delete *found, const char **ret_reason);
static void        leave_once(struct record_delete *found);
static int         compare_rows(const void *left, const void *right);
static bool        is_match(const struct delete_matches *matches, uint32_t row);

enum status record_delete_find(struct mirror_records *records, struct mirror_reader *reader,
                               struct bytes body, struct record_delete *ret_delete,
                               const char **ret_reason)
{
    struct bytes         fields[DELETE_FIELD_COUNT] = {{.data = NULL}};
    struct record_delete found = {.count = 0};
    enum status          status = read_delete_body(body, fields, ret_reason);

    if (status != STATUS_OK)
        return status;
    if (fields[DELETE_WHERE].data != NULL || fields[DELETE_WHERE_DOCUMENT].data != NULL) {
        status = find_by_filter(records, reader, fields, &found, ret_reason);
    } else if (fields[DELETE_LIMIT].data != NULL) {
        *ret_reason = "a limit, but no filter";
        status = STATUS_NOT_IMPLEMENTED;
    } else if (fields[DELETE_IDS].data != NULL) {
        status = find_ids(records, fields[DELETE_IDS], NULL, &found, ret_reason);
    }
    if (status != STATUS_OK) {
        record_delete_done(&found);
        return status;
    }
    *ret_delete = found;
    return STATUS_OK;
}

enum status record_delete_print_question(struct bytes body, bool is_whole, struct byte_buffer *out)
{
    struct bytes   fields[DELETE_FIELD_COUNT] = {{.data = NULL}};
    struct filter *filter;
    const char    *reason;
    enum status    status = read_delete_body(body, fields, &reason);

    if (status != STATUS_OK)
        return status;
    if (fields[DELETE_WHERE].data == NULL && fields[DELETE_WHERE_DOCUMENT].data == NULL)
        return STATUS_NOT_FOUND;
    if (fields[DELETE_IDS].data != NULL && fields[DELETE_LIMIT].data != NULL)
        return STATUS_NOT_IMPLEMENTED;
    status = filter_new(fields[DELETE_WHERE], fields[DELETE_WHERE_DOCUMENT], &filter, &reason);
    if (status == STATUS_OK)
        filter_free(filter);
    if (status == STATUS_OK && is_whole)
        return STATUS_NOT_FOUND;
    if (status != STATUS_NO_MEMORY)
        status = byte_buffer_append(out, BYTES_LITERAL("{\"include\":[]"), SIZE_MAX);
    for (size_t i = 0; i < DELETE_FIELD_COUNT && status == STATUS_OK; i++) {
        if (fields[i].data == NULL)
            continue;
        status = byte_buffer_printf(out, SIZE_MAX, ",\"%s\":", field_names[i]);
        if (status == STATUS_OK)
            status = byte_buffer_append(out, fields[i], SIZE_MAX);
    }
    return status == STATUS_OK ? byte_buffer_append(out, BYTES_LITERAL("}"), SIZE_MAX) : status;
}

enum status record_delete_take(struct mirror_records *records, struct bytes answer,
                               struct record_delete *ret_delete, const char **ret_reason)
{
    struct mirror_page   page;
    struct record_delete found = {.is_filtered = true};
    enum status          status = mirror_page_read(answer, false, &page, ret_reason);

    if (status != STATUS_OK)
        return status;
    found.rows = malloc((page.count + 1UL) * sizeof *found.rows);
    status = found.rows == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < page.count; i++)
        status = mirror_records_find(records, page.ids[i], &found.rows[found.row_count++]);
    if (status == STATUS_NOT_FOUND) {
        *ret_reason = "a delete of a record that is not here";
        status = STATUS_NOT_IMPLEMENTED;
    }
    mirror_page_done(&page);
    leave_once(&found);
    found.count = found.row_count;
    if (status == STATUS_OK)
        *ret_delete = found;
    else
        record_delete_done(&found);
    return status;
}

enum status record_delete_apply(struct mirror_records *records, const struct record_delete *found)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; status == STATUS_OK && i < found->row_count; i++)
        status = mirror_records_remove(records, found->rows[i]);
    return status;
}

bool record_delete_read_count(struct bytes answer, uint64_t *ret_count)
{
    struct json_scan   scan;
    struct json_string key;
    struct json_number number;
    int64_t            count = 0;
    double             real;
    bool               found = false;

    json_scan_init(&scan, answer);
    json_scan_object(&scan);
    while (json_scan_member(&scan, &key)) {
        if (json_scan_equals(key, BYTES_LITERAL("deleted")) &&
            json_scan_kind(&scan) == JSON_KIND_NUMBER && json_scan_number(&scan, &number))
            found = json_number_read(number, &count, &real) == JSON_NUMBER_INTEGER && count >= 0;
        else
            json_scan_value(&scan, NULL);
    }
    *ret_count = (uint64_t)count;
    return json_scan_end(&scan) && found;
}

void record_delete_done(struct record_delete *found)
{
    free(found->rows);
    *found = (struct record_delete){.count = 0};
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

static enum status find_by_filter(struct mirror_records *records, struct mirror_reader *reader,
                                  const struct bytes *fields, struct record_delete *found,
                                  const char **ret_reason)
{
    struct delete_matches matches;
    struct filter        *filter;
    size_t                limit = SIZE_MAX;
    enum status           status;

    *ret_reason = "a limit among ids, or one that is no number";
    if (fields[DELETE_LIMIT].data != NULL &&
        (fields[DELETE_IDS].data != NULL || !read_limit(fields[DELETE_LIMIT], &limit)))
        return STATUS_NOT_IMPLEMENTED;
    status = filter_new(fields[DELETE_WHERE], fields[DELETE_WHERE_DOCUMENT], &filter, ret_reason);
    if (status == STATUS_INVALID)
        status = STATUS_NOT_IMPLEMENTED;
    if (status != STATUS_OK)
        return status;
    status = mirror_reader_filter(reader, filter, &matches.bitmap, &matches.bits, &matches.count);
    filter_free(filter);
    if (status != STATUS_OK)
        return status;
    found->is_filtered = true;
    return fields[DELETE_IDS].data != NULL
               ? find_ids(records, fields[DELETE_IDS], &matches, found, ret_reason)
               : find_matching(records, &matches, limit, found, ret_reason);
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

/* The first of them, in the order of the records. */
static enum status find_matching(struct mirror_records       *records,
                                 const struct delete_matches *matches, size_t limit,
                                 struct record_delete *found, const char **ret_reason)
{
    size_t   position = 0;
    uint32_t row;

    *ret_reason = "a filter, while not all records are known";
    if (mirror_records_hollow_count(records) > 0)
        return STATUS_NOT_IMPLEMENTED;
    if (matches->count < limit)
        limit = matches->count;
    found->rows = malloc((limit + 1) * sizeof *found->rows);
    if (found->rows == NULL)
        return STATUS_NO_MEMORY;
    while (found->row_count < limit && mirror_records_next(records, &position, &row))
        if (is_match(matches, row))
            found->rows[found->row_count++] = row;
    found->count = found->row_count;
    return STATUS_OK;
}

/* `matches` NULL: all of them. */
static enum status find_ids(struct mirror_records *records, struct bytes ids,
                            const struct delete_matches *matches, struct record_delete *found,
                            const char **ret_reason)
{
    size_t      count, text_size;
    char       *text;
    enum status status = check_ids(ids, matches != NULL, &count, &text_size, ret_reason);

    if (status != STATUS_OK)
        return status;
    text = malloc(text_size + 1);
    found->rows = malloc((count + 1) * sizeof *found->rows);
    status = text == NULL || found->rows == NULL
                 ? STATUS_NO_MEMORY
                 : take_deleted_ids(records, ids, text, matches, found, ret_reason);
    free(text);
    leave_once(found);
    found->count = matches == NULL ? count : found->row_count;
    return status;
}

/* An array of strings, of none only where there is a filter; *ret_text_size is that of the longest.
 */
static enum status check_ids(struct bytes ids, bool has_filter, size_t *ret_count,
                             size_t *ret_text_size, const char **ret_reason)
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
    *ret_count = count;
    *ret_text_size = size;
    return count > 0 || has_filter ? STATUS_OK : STATUS_NOT_IMPLEMENTED;
}

static enum status take_deleted_ids(struct mirror_records *records, struct bytes ids, char *text,
                                    const struct delete_matches *matches,
                                    struct record_delete *found, const char **ret_reason)
{
    struct json_scan   scan;
    struct json_string string;
    uint32_t           row;

    json_scan_init(&scan, ids);
    json_scan_array(&scan);
    while (json_scan_element(&scan) && json_scan_string(&scan, &string)) {
        struct bytes id = {.data = text, .size = json_scan_decode(string, text)};

        if (mirror_records_find(records, id, &row) != STATUS_OK)
            continue;
        if (matches != NULL && mirror_records_is_hollow(records, row)) {
            *ret_reason = "a filter, while not all records are known";
            return STATUS_NOT_IMPLEMENTED;
        }
        if (matches == NULL || is_match(matches, row))
            found->rows[found->row_count++] = row;
    }
    return STATUS_OK;
}

static void leave_once(struct record_delete *found)
{
    size_t kept = 0;

    if (found->row_count > 1)
        qsort(found->rows, found->row_count, sizeof *found->rows, compare_rows);
    for (size_t i = 0; i < found->row_count; i++)
        if (kept == 0 || found->rows[i] != found->rows[kept - 1])
            found->rows[kept++] = found->rows[i];
    found->row_count = kept;
}

static int compare_rows(const void *left, const void *right)
{
    uint32_t one = *(const uint32_t *)left, other = *(const uint32_t *)right;

    return (one > other) - (one < other);
}

static bool is_match(const struct delete_matches *matches, uint32_t row)
{
    return row < matches->bits && (matches->bitmap[row / 64] >> row % 64 & 1) != 0;
}
