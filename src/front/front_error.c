#include "front/front_error.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "http/http_writer.h"

/* A message longer than this is cut. */
enum { body_bytes_max = 1024 };

static size_t write_body(char *body, const struct front_error *error);
static size_t append_escaped(char *body, size_t at, const char *text);
static size_t write_fields(char *fields, size_t size, const struct front_error *error);

enum status front_error_write(struct byte_buffer *out, const struct front_error *error,
                              struct bytes date)
{
    char   body[body_bytes_max + 64];
    char   fields[128 + FRONT_ERROR_CORS_BYTES_MAX + FRONT_ERROR_FIELDS_BYTES_MAX];
    size_t size = write_body(body, error);
    struct http_writer_options options = {.framing = HTTP_FRAMING_LENGTH,
                                          .content_length = size,
                                          .close = error->close,
                                          .date = date};
    size_t                     before = byte_buffer_size(out);
    enum status                status;

    options.extra =
        (struct bytes){.data = fields, .size = write_fields(fields, sizeof fields, error)};
    status = http_writer_own_response(out, (unsigned)status_http_code(error->status),
                                      BYTES_LITERAL("application/json"), &options);
    if (status == STATUS_OK && !error->is_head)
        status = byte_buffer_append(out, (struct bytes){.data = body, .size = size}, SIZE_MAX);
    if (status != STATUS_OK)
        out->end = out->start + before;
    return status;
}

static size_t write_body(char *body, const struct front_error *error)
{
    const char *message = error->message != NULL ? error->message : status_text(error->status);
    size_t      size =
        (size_t)sprintf(body, "{\"error\":\"%s\",\"message\":\"", status_error_name(error->status));

    size = append_escaped(body, size, message);
    body[size++] = '"';
    body[size++] = '}';
    return size;
}

/* As JSON string content. Messages may quote what a client sent: only printable ASCII is kept. */
static size_t append_escaped(char *body, size_t at, const char *text)
{
    for (; *text != '\0' && at < body_bytes_max; text++) {
        if (*text == '"' || *text == '\\')
            body[at++] = '\\';
        body[at++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
    }
    return at;
}

static size_t write_fields(char *fields, size_t size, const struct front_error *error)
{
    static const char *const executed[] = {[FRONT_EXECUTED_UNSAID] = "",
                                           [FRONT_EXECUTED_NO] = "X-Chromabouncer-Executed: no\r\n",
                                           [FRONT_EXECUTED_MAYBE] =
                                               "X-Chromabouncer-Executed: maybe\r\n"};
    const char              *more = error->fields == NULL || error->is_plain ? "" : error->fields;
    char                     retry[40] = "";

    assert(error->cors.size <= FRONT_ERROR_CORS_BYTES_MAX);
    assert(strlen(more) <= FRONT_ERROR_FIELDS_BYTES_MAX);
    if (error->retry_after_s > 0 && !error->is_plain)
        snprintf(retry, sizeof retry, "Retry-After: %u\r\n", error->retry_after_s);
    return (size_t)snprintf(fields, size, "%s%s%s%.*s",
                            error->is_plain ? "" : executed[error->executed], retry, more,
                            (int)error->cors.size, error->cors.data);
}
