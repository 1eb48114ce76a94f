#include "cli/record_lines.h"

#include "base/text.h"
#include "json/json_scan.h"

enum column { ID, EMBEDDING, DOCUMENT, METADATA, URI };

static const struct {
    const char    *member; /* of a line */
    const char    *column; /* of the body */
    enum json_kind kind;
    const char    *what;
    bool           is_needed; /* else it may be null */
} rows[RECORD_LINES_COLUMNS] = {
    [ID] = {"id", "ids", JSON_KIND_STRING, "a string", true},
    [EMBEDDING] = {"embedding", "embeddings", JSON_KIND_ARRAY, "a list of numbers", true},
    [DOCUMENT] = {"document", "documents", JSON_KIND_STRING, "a string or null", false},
    [METADATA] = {"metadata", "metadatas", JSON_KIND_OBJECT, "an object or null", false},
    [URI] = {"uri", "uris", JSON_KIND_STRING, "a string or null", false},
};

static enum status record_lines_read(struct bytes line, struct bytes spans[RECORD_LINES_COLUMNS],
                                     struct error *error);
static enum status read_member(struct json_scan *scan, struct json_string key,
                               struct bytes spans[RECORD_LINES_COLUMNS], struct error *error);
static bool        is_embedding(struct json_scan *scan);

void record_lines_done(struct record_lines *lines)
{
    for (size_t i = 0; i < RECORD_LINES_COLUMNS; i++)
        byte_buffer_done(&lines->columns[i]);
    lines->count = 0;
}

void record_lines_clear(struct record_lines *lines)
{
    for (size_t i = 0; i < RECORD_LINES_COLUMNS; i++)
        byte_buffer_clear(&lines->columns[i]);
    lines->count = 0;
}

enum status record_lines_add(struct record_lines *lines, struct bytes line, struct error *error)
{
    struct bytes spans[RECORD_LINES_COLUMNS] = {0};
    enum status  status = record_lines_read(line, spans, error);

    for (size_t i = 0; i < RECORD_LINES_COLUMNS && status == STATUS_OK; i++) {
        status = byte_buffer_append(&lines->columns[i],
                                    spans[i].size > 0 ? spans[i] : BYTES_LITERAL("null"), SIZE_MAX);
        if (status == STATUS_OK)
            status = byte_buffer_append(&lines->columns[i], BYTES_LITERAL(","), SIZE_MAX);
        if (status != STATUS_OK)
            return error_set(error, STATUS_NO_MEMORY, "out of memory");
    }
    lines->count += status == STATUS_OK;
    return status;
}

static enum status record_lines_read(struct bytes line, struct bytes spans[RECORD_LINES_COLUMNS],
                                     struct error *error)
{
    struct json_scan   scan;
    struct json_string key;
    enum status        status = STATUS_OK;

    json_scan_init(&scan, line);
    if (json_scan_object(&scan))
        while (status == STATUS_OK && json_scan_member(&scan, &key))
            status = read_member(&scan, key, spans, error);
    if (status != STATUS_OK)
        return status;
    if (!json_scan_end(&scan))
        return error_set(error, STATUS_INVALID, "it is not one JSON object");
    for (size_t i = 0; i < RECORD_LINES_COLUMNS; i++)
        if (rows[i].is_needed && spans[i].size == 0)
            return error_set(error, STATUS_INVALID, "it has no \"%s\"", rows[i].member);
    return STATUS_OK;
}

/* A value that is no JSON is found at the end. */
static enum status read_member(struct json_scan *scan, struct json_string key,
                               struct bytes spans[RECORD_LINES_COLUMNS], struct error *error)
{
    char           quoted[60];
    size_t         i = 0;
    enum json_kind kind = json_scan_kind(scan);

    while (i < RECORD_LINES_COLUMNS && !json_scan_equals(key, bytes_of(rows[i].member)))
        i++;
    if (i == RECORD_LINES_COLUMNS)
        return error_set(error, STATUS_INVALID,
                         "%s is not one of id, embedding, document, metadata, uri",
                         text_quote(key.raw, quoted, sizeof quoted));
    if (spans[i].size > 0)
        return error_set(error, STATUS_INVALID, "\"%s\" stands there twice", rows[i].member);
    if (kind != rows[i].kind && (kind != JSON_KIND_NULL || rows[i].is_needed))
        return error_set(error, STATUS_INVALID, "\"%s\" is not %s", rows[i].member, rows[i].what);
    if (i == EMBEDDING) {
        struct json_scan ahead = *scan;

        if (!is_embedding(&ahead))
            return error_set(error, STATUS_INVALID, "\"embedding\" is not a list of numbers");
    }
    if (!json_scan_value(scan, &spans[i]))
        return error_set(error, STATUS_INVALID, "it is not JSON");
    return STATUS_OK;
}

static bool is_embedding(struct json_scan *scan)
{
    size_t count = 0;
    bool   are_safe = true;

    if (!json_scan_array(scan))
        return false;
    while (json_scan_element(scan))
        if (json_scan_kind(scan) != JSON_KIND_NUMBER || !json_scan_numbers(scan, &count, &are_safe))
            return false;
    return count > 0;
}

size_t record_lines_size(const struct record_lines *lines)
{
    size_t size = 0;

    for (size_t i = 0; i < RECORD_LINES_COLUMNS; i++)
        size += byte_buffer_size(&lines->columns[i]);
    return size;
}

enum status record_lines_body(const struct record_lines *lines, struct byte_buffer *ret_body)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < RECORD_LINES_COLUMNS && status == STATUS_OK; i++) {
        struct bytes elements = byte_buffer_bytes(&lines->columns[i]);

        elements.size -= elements.size > 0; /* the last comma */
        status = byte_buffer_printf(ret_body, SIZE_MAX, "%s\"%s\":[", i == 0 ? "{" : "],",
                                    rows[i].column);
        if (status == STATUS_OK)
            status = byte_buffer_append(ret_body, elements, SIZE_MAX);
    }
    if (status == STATUS_OK)
        status = byte_buffer_append(ret_body, BYTES_LITERAL("]}"), SIZE_MAX);
    return status == STATUS_OK ? status : STATUS_NO_MEMORY;
}
