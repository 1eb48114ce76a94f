#include "mirror/mirror_lines.h"

#include <stdlib.h>

#include "mirror/mirror_answer_json.h"

struct lines {
    mirror_line_fn    *fn;
    void              *ctx;
    uint64_t           count;
    struct byte_buffer line;
    float             *vector;
};

static enum status write_lines(const struct mirror_records *records, struct mirror_reader *reader,
                               void *ctx);
static enum status write_line(struct lines *lines, const struct mirror_records *records,
                              struct mirror_reader *reader, uint32_t row);

enum status mirror_lines_write(struct mirror_copy *copy, mirror_line_fn *fn, void *ctx,
                               uint64_t *ret_records)
{
    struct lines lines = {.fn = fn, .ctx = ctx};
    enum status  status = mirror_copy_read(copy, write_lines, &lines);

    byte_buffer_done(&lines.line);
    free(lines.vector);
    *ret_records = lines.count;
    return status;
}

static enum status write_lines(const struct mirror_records *records, struct mirror_reader *reader,
                               void *ctx)
{
    struct lines *lines = ctx;
    size_t        position = 0;
    uint32_t      row;
    enum status   status = STATUS_OK;

    lines->vector = calloc(mirror_records_dimension(records) + 1, sizeof(float));
    if (lines->vector == NULL)
        return STATUS_NO_MEMORY;
    while (status == STATUS_OK && mirror_records_next(records, &position, &row)) {
        byte_buffer_clear(&lines->line);
        status = write_line(lines, records, reader, row);
        if (status == STATUS_OK)
            status = lines->fn(lines->ctx, byte_buffer_bytes(&lines->line));
        lines->count += status == STATUS_OK;
    }
    return status;
}

static enum status write_line(struct lines *lines, const struct mirror_records *records,
                              struct mirror_reader *reader, uint32_t row)
{
    struct mirror_answer_json json = {.body = &lines->line, .size_max = SIZE_MAX};
    struct mirror_value       value;
    enum status               status = mirror_reader_value(reader, row, &value);
    enum status               found = mirror_reader_vector(reader, row, lines->vector);

    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_NOT_IMPLEMENTED : status;
    if (found != STATUS_OK && found != STATUS_NOT_FOUND)
        return found;
    mirror_answer_json_text(&json, "{\"id\":");
    mirror_answer_json_string(&json, true, mirror_records_id(records, row));
    mirror_answer_json_text(&json, ",\"embedding\":");
    if (found == STATUS_OK)
        mirror_answer_json_vector(&json, lines->vector, mirror_records_dimension(records));
    else
        mirror_answer_json_text(&json, "null");
    mirror_answer_json_text(&json, ",\"document\":");
    mirror_answer_json_string(&json, value.has_document, value.document);
    mirror_answer_json_text(&json, ",\"metadata\":");
    mirror_answer_json_bytes(&json,
                             value.metadata.size > 0 ? value.metadata : BYTES_LITERAL("null"));
    mirror_answer_json_text(&json, ",\"uri\":");
    mirror_answer_json_string(&json, value.has_uri, value.uri);
    mirror_answer_json_text(&json, "}\n");
    return json.status;
}
