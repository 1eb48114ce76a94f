#include "http/http_writer.h"

#include <assert.h>

const struct bytes http_writer_last_chunk = {.data = "0\r\n\r\n", .size = 5};

/* What a head may take beside the spans that it is made of. */
enum { fixed_bytes_max = 256 };

enum { NUMBER_DIGITS_MAX = 20 }; /* of UINT64_MAX */

/* The field line that frames the body; no line where id is HTTP_FIELD_OTHER. */
struct framing_line {
    enum http_field_id id;
    struct bytes       name, value;
    char               digits[NUMBER_DIGITS_MAX];
};

static char *reserve_head(struct byte_buffer *out, const struct http_head *head, struct bytes other,
                          const struct http_writer_options *options);
static void  set_framing(struct framing_line *line, const struct http_head *head, unsigned status,
                         const struct http_writer_options *options);
static struct bytes format_number(uint64_t number, char digits[NUMBER_DIGITS_MAX]);
static char        *put_status_line(char *to, unsigned status, struct bytes reason);
static char *put_fields(char *to, const struct http_head *head, const struct framing_line *framing);
static char *put_rest(char *to, const struct http_head *head,
                      const struct http_writer_options *options);
static inline char *put_field(char *to, struct bytes name, struct bytes value);
static inline char *put_bytes(char *to, struct bytes bytes);
static void         end_head(struct byte_buffer *out, const char *to);

/* All heads of our own are written from a head without fields. */
static const struct http_head no_head;

enum status http_writer_request(struct byte_buffer *out, const struct http_head *head,
                                struct bytes host, const struct http_writer_options *options)
{
    struct framing_line framing;
    char               *to = reserve_head(out, head, host, options);

    if (to == NULL)
        return STATUS_NO_MEMORY;
    to = put_bytes(to, head->method);
    *to++ = ' ';
    to = put_bytes(to, head->target);
    to = put_bytes(to, BYTES_LITERAL(" HTTP/1.1\r\n"));
    if (http_head_find(head, HTTP_FIELD_HOST) == NULL)
        to = put_field(to, BYTES_LITERAL("Host"), host);
    set_framing(&framing, head, 0, options);
    to = put_fields(to, head, &framing);
    end_head(out, put_rest(to, head, options));
    return STATUS_OK;
}

enum status http_writer_response(struct byte_buffer *out, const struct http_head *head,
                                 const struct http_writer_options *options)
{
    struct framing_line framing;
    char               *to = reserve_head(out, head, (struct bytes){0}, options);

    if (to == NULL)
        return STATUS_NO_MEMORY;
    to = put_status_line(to, head->status, head->reason);
    set_framing(&framing, head, head->status, options);
    to = put_fields(to, head, &framing);
    end_head(out, put_rest(to, head, options));
    return STATUS_OK;
}

enum status http_writer_own_response(struct byte_buffer *out, unsigned status,
                                     struct bytes                      content_type,
                                     const struct http_writer_options *options)
{
    struct framing_line framing;
    char               *to = reserve_head(out, &no_head, content_type, options);

    if (to == NULL)
        return STATUS_NO_MEMORY;
    to = put_status_line(to, status, bytes_of(http_writer_reason(status)));
    if (content_type.size > 0)
        to = put_field(to, BYTES_LITERAL("Content-Type"), content_type);
    set_framing(&framing, &no_head, status, options);
    to = put_fields(to, &no_head, &framing);
    end_head(out, put_rest(to, &no_head, options));
    return STATUS_OK;
}

/* Room for the whole head, so that nothing can fail once writing has begun; NULL: no memory. */
static char *reserve_head(struct byte_buffer *out, const struct http_head *head, struct bytes other,
                          const struct http_writer_options *options)
{
    size_t size = fixed_bytes_max + other.size + options->received_by.size + options->date.size +
                  options->extra.size;

    size += head->method.size + head->target.size + head->reason.size;
    for (size_t i = 0; i < head->field_count; i++)
        size += head->fields[i].name.size + head->fields[i].value.size + sizeof ": \r\n";
    if (byte_buffer_reserve(out, size, SIZE_MAX) != STATUS_OK)
        return NULL;
    return out->data + out->end;
}

/* `status` is 0 for a request. */
static void set_framing(struct framing_line *line, const struct http_head *head, unsigned status,
                        const struct http_writer_options *options)
{
    uint64_t length = options->content_length;

    line->id = HTTP_FIELD_OTHER;
    if ((status >= 100 && status < 200) || status == 204)
        return;
    if (options->framing == HTTP_FRAMING_CHUNKED) {
        line->id = HTTP_FIELD_TRANSFER_ENCODING;
        line->name = BYTES_LITERAL("Transfer-Encoding");
        line->value = BYTES_LITERAL("chunked");
        return;
    }
    if (options->framing != HTTP_FRAMING_LENGTH) {
        if (!options->keep_content_length || !head->has_content_length)
            return;
        length = head->content_length;
    }
    line->id = HTTP_FIELD_CONTENT_LENGTH;
    line->name = BYTES_LITERAL("Content-Length");
    line->value = format_number(length, line->digits);
}

static struct bytes format_number(uint64_t number, char digits[NUMBER_DIGITS_MAX])
{
    char *end = digits + NUMBER_DIGITS_MAX, *digit = end;

    do
        *--digit = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    return (struct bytes){.data = digit, .size = (size_t)(end - digit)};
}

static char *put_status_line(char *to, unsigned status, struct bytes reason)
{
    assert(status >= 100 && status <= 999);
    to = put_bytes(to, BYTES_LITERAL("HTTP/1.1 "));
    *to++ = (char)('0' + status / 100);
    *to++ = (char)('0' + status / 10 % 10);
    *to++ = (char)('0' + status % 10);
    *to++ = ' ';
    to = put_bytes(to, reason);
    return put_bytes(to, BYTES_LITERAL("\r\n"));
}

/* The framing line stands where the head that came had it, under its name as it came. */
static char *put_fields(char *to, const struct http_head *head, const struct framing_line *framing)
{
    bool is_framed = framing->id == HTTP_FIELD_OTHER;
    char digits[NUMBER_DIGITS_MAX];

    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        if (!field->hop_by_hop) {
            to = put_field(to, field->name, field->value);
        } else if (field->id == framing->id && !is_framed) {
            to = put_field(to, field->name, framing->value);
            is_framed = true;
        } else if (field->id == HTTP_FIELD_MAX_FORWARDS && head->has_forwards_left) {
            to = put_field(to, field->name, format_number(head->forwards_left, digits));
        }
    }
    return is_framed ? to : put_field(to, framing->name, framing->value);
}

static char *put_rest(char *to, const struct http_head *head,
                      const struct http_writer_options *options)
{
    if (options->date.size > 0 && http_head_find(head, HTTP_FIELD_DATE) == NULL)
        to = put_field(to, BYTES_LITERAL("Date"), options->date);
    if (options->received_by.size > 0) {
        to = put_bytes(to, head->minor_version == 0 ? BYTES_LITERAL("Via: 1.0 ")
                                                    : BYTES_LITERAL("Via: 1.1 "));
        to = put_bytes(to, options->received_by);
        to = put_bytes(to, BYTES_LITERAL("\r\n"));
    }
    to = put_bytes(to, options->extra);
    if (options->close)
        to = put_bytes(to, BYTES_LITERAL("Connection: close\r\n"));
    else if (options->say_keep_alive)
        to = put_bytes(to, BYTES_LITERAL("Connection: keep-alive\r\n"));
    return put_bytes(to, BYTES_LITERAL("\r\n"));
}

static inline char *put_field(char *to, struct bytes name, struct bytes value)
{
    to = put_bytes(to, name);
    to = put_bytes(to, BYTES_LITERAL(": "));
    to = put_bytes(to, value);
    return put_bytes(to, BYTES_LITERAL("\r\n"));
}

static inline char *put_bytes(char *to, struct bytes bytes)
{
    if (bytes.size > 0)
        memcpy(to, bytes.data, bytes.size);
    return to + bytes.size;
}

static void end_head(struct byte_buffer *out, const char *to)
{
    out->end = (size_t)(to - out->data);
    assert(out->end <= out->capacity);
}

size_t http_writer_chunk_line(char line[HTTP_WRITER_CHUNK_LINE_MAX], size_t size)
{
    size_t digits = 1, length;

    assert(size > 0);
    for (size_t rest = size >> 4; rest > 0; rest >>= 4)
        digits++;
    length = digits;
    for (; digits > 0; size >>= 4)
        line[--digits] = "0123456789abcdef"[size & 15];
    line[length++] = '\r';
    line[length++] = '\n';
    return length;
}

/* The codes of RFC 9110 and 6585, the ones that a proxy and Chroma have a use for. */
const char *http_writer_reason(unsigned status)
{
    switch (status) {
    case 100:
        return "Continue";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 502:
        return "Bad Gateway";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    case 508:
        return "Loop Detected";
    default:
        return "Unknown";
    }
}
