#include "mirror/mirror_metadata_write.h"

#include <inttypes.h>
#include <stdint.h>

#include "json/json_print.h"

static enum status write_field(const struct mirror_field *field, struct byte_buffer *buffer);
static enum status write_scalar(enum mirror_type type, const union mirror_scalar *value,
                                struct byte_buffer *buffer);
static enum status write_real(double value, struct byte_buffer *buffer);
static enum status write_text(struct byte_buffer *buffer, const char *text);

enum status mirror_metadata_write(const struct mirror_metadata *metadata,
                                  struct byte_buffer           *buffer)
{
    enum status status = write_text(buffer, "{");

    for (size_t i = 0; status == STATUS_OK && i < metadata->count; i++) {
        if (i > 0)
            status = write_text(buffer, ",");
        if (status == STATUS_OK)
            status = write_field(&metadata->fields[i], buffer);
    }
    return status == STATUS_OK ? write_text(buffer, "}") : status;
}

static enum status write_field(const struct mirror_field *field, struct byte_buffer *buffer)
{
    enum status status = mirror_metadata_write_string(field->key, buffer);

    if (status == STATUS_OK)
        status = write_text(buffer, field->is_list ? ":[" : ":");
    for (uint32_t i = 0; status == STATUS_OK && i < field->count; i++) {
        if (i > 0)
            status = write_text(buffer, ",");
        if (status == STATUS_OK)
            status = write_scalar(field->type, &field->items[i], buffer);
    }
    return status == STATUS_OK && field->is_list ? write_text(buffer, "]") : status;
}

static enum status write_scalar(enum mirror_type type, const union mirror_scalar *value,
                                struct byte_buffer *buffer)
{
    switch (type) {
    case MIRROR_TYPE_NULL:
        return write_text(buffer, "null");
    case MIRROR_TYPE_BOOL:
        return write_text(buffer, value->flag ? "true" : "false");
    case MIRROR_TYPE_INTEGER:
        return byte_buffer_printf(buffer, SIZE_MAX, "%" PRId64, value->integer);
    case MIRROR_TYPE_DOUBLE:
        return write_real(value->real, buffer);
    case MIRROR_TYPE_STRING:
        return mirror_metadata_write_string(value->text, buffer);
    }
    return STATUS_OK;
}

static enum status write_real(double value, struct byte_buffer *buffer)
{
    char text[JSON_PRINT_MAX];

    return byte_buffer_append(buffer, (struct bytes){text, json_print_double(value, text)},
                              SIZE_MAX);
}

enum status mirror_metadata_write_string(struct bytes text, struct byte_buffer *buffer)
{
    static const char short_escapes[] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                         ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    enum status       status = write_text(buffer, "\"");
    size_t            begin = 0;

    for (size_t i = 0; status == STATUS_OK && i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        char          escape = c < sizeof short_escapes ? short_escapes[c] : '\0';

        if (c >= 0x20 && escape == '\0')
            continue;
        status = byte_buffer_append(
            buffer, (struct bytes){.data = text.data + begin, .size = i - begin}, SIZE_MAX);
        begin = i + 1;
        if (status == STATUS_OK && escape != '\0')
            status = byte_buffer_printf(buffer, SIZE_MAX, "\\%c", escape);
        else if (status == STATUS_OK)
            status = byte_buffer_printf(buffer, SIZE_MAX, "\\u%04x", c);
    }
    if (status == STATUS_OK)
        status = byte_buffer_append(buffer, bytes_skip(text, begin), SIZE_MAX);
    return status == STATUS_OK ? write_text(buffer, "\"") : status;
}

static enum status write_text(struct byte_buffer *buffer, const char *text)
{
    return byte_buffer_append(buffer, bytes_of(text), SIZE_MAX);
}
