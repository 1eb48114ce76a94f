#include "mirror/mirror_lines.h"

#include <stdlib.h>

#include "mirror/mirror_metadata_write.h"

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
static enum status append_vector(struct lines *lines, uint32_t dimension);
static enum status append_member(struct lines *lines, const char *before, bool is_there,
                                 struct bytes text);

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
    struct mirror_value value;
    enum status         status = mirror_reader_value(reader, row, &value);
    enum status         found;

    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_NOT_IMPLEMENTED : status;
    status = append_member(lines, "{\"id\":", true, mirror_records_id(records, row));
    if (status == STATUS_OK)
        status = byte_buffer_append(&lines->line, BYTES_LITERAL(",\"embedding\":"), SIZE_MAX);
    if (status != STATUS_OK)
        return status;
    found = mirror_reader_vector(reader, row, lines->vector);
    if (found == STATUS_OK)
        status = append_vector(lines, mirror_records_dimension(records));
    else
        status = found == STATUS_NOT_FOUND
                     ? byte_buffer_append(&lines->line, BYTES_LITERAL("null"), SIZE_MAX)
                     : found;
    if (status == STATUS_OK)
        status = append_member(lines, ",\"document\":", value.has_document, value.document);
    if (status == STATUS_OK)
        status = byte_buffer_append(&lines->line, BYTES_LITERAL(",\"metadata\":"), SIZE_MAX);
    if (status == STATUS_OK)
        status = byte_buffer_append(
            &lines->line, value.metadata.size > 0 ? value.metadata : BYTES_LITERAL("null"),
            SIZE_MAX);
    if (status == STATUS_OK)
        status = append_member(lines, ",\"uri\":", value.has_uri, value.uri);
    return status == STATUS_OK ? byte_buffer_append(&lines->line, BYTES_LITERAL("}\n"), SIZE_MAX)
                               : status;
}

/* Nine digits say which float it is. */
static enum status append_vector(struct lines *lines, uint32_t dimension)
{
    enum status status = byte_buffer_append(&lines->line, BYTES_LITERAL("["), SIZE_MAX);

    for (uint32_t i = 0; i < dimension && status == STATUS_OK; i++)
        status = byte_buffer_printf(&lines->line, SIZE_MAX, "%s%.9g", i == 0 ? "" : ",",
                                    (double)lines->vector[i]);
    return status == STATUS_OK ? byte_buffer_append(&lines->line, BYTES_LITERAL("]"), SIZE_MAX)
                               : status;
}

static enum status append_member(struct lines *lines, const char *before, bool is_there,
                                 struct bytes text)
{
    enum status status = byte_buffer_append(&lines->line, bytes_of(before), SIZE_MAX);

    if (status == STATUS_OK)
        status = is_there ? mirror_metadata_write_string(text, &lines->line)
                          : byte_buffer_append(&lines->line, BYTES_LITERAL("null"), SIZE_MAX);
    return status;
}
