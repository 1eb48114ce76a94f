#include "http/http_reader.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/http_chars.h"
#include "http/http_chunked.h"
#include "http/http_field.h"
#include "http/http_semantics.h"
#include "http/http_start_line.h"

enum state { START_LINE, FIELDS, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE, COMPLETE, FAILED };

/* RFC 9112 section 2.2 asks for at least one. */
enum { empty_lines_max = 4 };

/* A head from Chroma's Python client takes 300 to 400 bytes. */
static const size_t first_capacity = 1024;

struct http_reader {
    enum http_reader_kind            kind;
    const struct http_reader_limits *limits;
    enum state                       state;
    bool                             answers_head;
    unsigned                         empty_lines; /* before the start line */

    /* The head's bytes; a line that is not complete yet begins at line_at. */
    char                  *data;
    size_t                 size, capacity, line_at;
    size_t                 charged; /* to `account`: 0 or the capacity */
    struct memory_account *account; /* may outlive the limits; NULL: none */

    struct bytes        authority; /* of an absolute-form target */
    uint64_t            body_left; /* LENGTH: to come; UNTIL_CLOSE: that may come */
    struct http_chunked chunked;
    struct error        error; /* valid in FAILED */
    struct http_head    head;  /* last: its fields fill several pages */
};

static enum http_reader_event read_head_bytes(struct http_reader *reader, struct bytes *input);
static bool                   may_begin(const struct http_reader *reader, char c);
static enum status            take_line(struct http_reader *reader, struct bytes *input);
static bool                   grow_head(struct http_reader *reader, size_t size);
static void                   set_charge(struct http_reader *reader, size_t size);
static void                   rebase(struct http_head *head, const char *from, const char *to);
static void                   rebase_span(struct bytes *span, const char *from, const char *to);
static enum status            read_head_line(struct http_reader *reader, bool *ret_is_last);
static enum status            read_start_line(struct http_reader *reader, size_t size);
static enum status            read_field(struct http_reader *reader, struct bytes line);
static enum status            finish_head(struct http_reader *reader);
static enum http_reader_event read_body(struct http_reader *reader, struct bytes *input,
                                        struct bytes *ret_body);
static enum http_reader_event read_chunked(struct http_reader *reader, struct bytes *input,
                                           struct bytes *ret_body);
static enum http_reader_event fail_message(struct http_reader *reader);

struct http_reader *http_reader_new(enum http_reader_kind            kind,
                                    const struct http_reader_limits *limits)
{
    struct http_reader *reader = calloc(1, sizeof *reader);

    assert(limits->head_bytes_max > 2);
    if (reader == NULL)
        return NULL;
    reader->kind = kind;
    reader->limits = limits;
    reader->account = limits->account;
    http_reader_reset(reader, false);
    return reader;
}

void http_reader_free(struct http_reader *reader)
{
    if (reader == NULL)
        return;
    set_charge(reader, 0);
    free(reader->data);
    free(reader);
}

void http_reader_reset(struct http_reader *reader, bool answers_head)
{
    reader->state = START_LINE;
    reader->answers_head = answers_head;
    reader->empty_lines = 0;
    reader->size = reader->line_at = 0;
    reader->head.field_count = 0;
    set_charge(reader, 0);
}

enum http_reader_event http_reader_feed(struct http_reader *reader, struct bytes *input,
                                        struct bytes *ret_body)
{
    assert(reader->state != FAILED);
    switch (reader->state) {
    case START_LINE:
    case FIELDS:
        return read_head_bytes(reader, input);
    case BODY_CHUNKED:
        return read_chunked(reader, input, ret_body);
    case COMPLETE:
        return HTTP_READER_END;
    default:
        return read_body(reader, input, ret_body);
    }
}

static enum http_reader_event read_head_bytes(struct http_reader *reader, struct bytes *input)
{
    bool        is_last;
    enum status status;

    while (input->size > 0) {
        if (reader->size == 0 && !may_begin(reader, *input->data)) {
            error_set(&reader->error, STATUS_INVALID, "this is not HTTP");
            return fail_message(reader);
        }
        status = take_line(reader, input);
        if (status == STATUS_AGAIN)
            return HTTP_READER_MORE;
        if (status == STATUS_OK)
            status = read_head_line(reader, &is_last);
        if (status == STATUS_OK && is_last)
            status = finish_head(reader);
        if (status != STATUS_OK)
            return fail_message(reader);
        if (is_last)
            return HTTP_READER_HEAD;
    }
    return HTTP_READER_MORE;
}

/* So that who speaks another protocol, TLS for one, is told at once: what it sends need not have
 * any line end. */
static bool may_begin(const struct http_reader *reader, char c)
{
    if (reader->kind == HTTP_READER_RESPONSE)
        return c == 'H';
    return c == '\r' || http_chars_is(c, HTTP_CHARS_TOKEN);
}

/* Copy up to the end of the line. STATUS_AGAIN: there is none in the input. The limits count as if
 * the rest of a line were only its end, so that a cut line fails as a whole one would. */
static enum status take_line(struct http_reader *reader, struct bytes *input)
{
    const char *newline = memchr(input->data, '\n', input->size);
    size_t      size = newline == NULL ? input->size : (size_t)(newline - input->data) + 1;
    size_t      least_size = newline == NULL ? size + 1 : size;
    size_t      limit = reader->limits->head_bytes_max;
    bool        is_start = reader->state == START_LINE;

    if (is_start && reader->limits->start_line_bytes_max < limit - 2)
        limit = reader->limits->start_line_bytes_max + 2;
    if (reader->size > limit || least_size > limit - reader->size) /* it may have been lowered */
        return is_start
                   ? error_set(&reader->error, STATUS_TARGET_TOO_LONG, "the start line is too long")
                   : error_set(&reader->error, STATUS_HEADERS_TOO_LARGE,
                               "the header section is too large");
    if (size > reader->capacity - reader->size && !grow_head(reader, size))
        return error_set(&reader->error, STATUS_NO_MEMORY, "out of memory");
    set_charge(reader, reader->capacity);
    memcpy(reader->data + reader->size, input->data, size);
    reader->size += size;
    *input = bytes_skip(*input, size);
    return newline == NULL ? STATUS_AGAIN : STATUS_OK;
}

static bool grow_head(struct http_reader *reader, size_t size)
{
    size_t capacity = reader->capacity == 0 ? first_capacity : reader->capacity;
    char  *data;

    while (capacity < reader->size + size)
        capacity *= 2;
    if (capacity > reader->limits->head_bytes_max)
        capacity = reader->limits->head_bytes_max;
    data = malloc(capacity);
    if (data == NULL)
        return false;
    if (reader->size > 0)
        memcpy(data, reader->data, reader->size);
    if (reader->state == FIELDS) {
        rebase_span(&reader->authority, reader->data, data);
        rebase(&reader->head, reader->data, data);
    }
    free(reader->data);
    reader->data = data;
    reader->capacity = capacity;
    return true;
}

static void set_charge(struct http_reader *reader, size_t size)
{
    if (size == reader->charged || reader->account == NULL)
        return;
    memory_account_release(reader->account, reader->charged);
    memory_account_charge(reader->account, size);
    reader->charged = size;
}

static void rebase(struct http_head *head, const char *from, const char *to)
{
    rebase_span(&head->method, from, to);
    rebase_span(&head->target, from, to);
    rebase_span(&head->path, from, to);
    rebase_span(&head->query, from, to);
    rebase_span(&head->reason, from, to);
    for (size_t i = 0; i < head->field_count; i++) {
        rebase_span(&head->fields[i].name, from, to);
        rebase_span(&head->fields[i].value, from, to);
    }
}

static void rebase_span(struct bytes *span, const char *from, const char *to)
{
    if (span->size > 0)
        span->data = to + (span->data - from);
}

static enum status read_head_line(struct http_reader *reader, bool *ret_is_last)
{
    struct bytes line = {.data = reader->data + reader->line_at,
                         .size = reader->size - reader->line_at};

    *ret_is_last = false;
    if (line.size < 2 || line.data[line.size - 2] != '\r')
        return error_set(&reader->error, STATUS_INVALID, "a line does not end with CRLF");
    line.size -= 2;
    reader->line_at = reader->size;
    if (reader->state == START_LINE)
        return read_start_line(reader, line.size);
    *ret_is_last = line.size == 0;
    return *ret_is_last ? STATUS_OK : read_field(reader, line);
}

static enum status read_start_line(struct http_reader *reader, size_t size)
{
    struct bytes line = {.data = reader->data, .size = size};

    if (size == 0) {
        if (++reader->empty_lines > empty_lines_max)
            return error_set(&reader->error, STATUS_INVALID, "too many empty lines");
        reader->size = reader->line_at = 0;
        return STATUS_OK;
    }
    reader->state = FIELDS;
    if (reader->kind == HTTP_READER_RESPONSE)
        return http_start_line_response(line, &reader->head, &reader->error);
    return http_start_line_request(reader->data, size, &reader->head, &reader->authority,
                                   &reader->error);
}

static enum status read_field(struct http_reader *reader, struct bytes line)
{
    struct http_head *head = &reader->head;
    enum status       status;

    if (head->field_count == HTTP_FIELDS_MAX)
        return error_set(&reader->error, STATUS_HEADERS_TOO_LARGE, "there are too many fields");
    status = http_field_parse(line, &head->fields[head->field_count], &reader->error);
    if (status == STATUS_OK)
        head->field_count++;
    return status;
}

static enum status finish_head(struct http_reader *reader)
{
    struct http_head *head = &reader->head;
    enum status       status = reader->kind == HTTP_READER_REQUEST
                                   ? http_semantics_request(head, reader->authority, &reader->error)
                                   : http_semantics_response(head, reader->answers_head, &reader->error);

    if (status != STATUS_OK)
        return status;
    switch (head->framing) {
    case HTTP_FRAMING_NONE:
        reader->state = COMPLETE;
        break;
    case HTTP_FRAMING_LENGTH:
        reader->state = head->content_length > 0 ? BODY_LENGTH : COMPLETE;
        reader->body_left = head->content_length;
        break;
    case HTTP_FRAMING_CHUNKED:
        reader->state = BODY_CHUNKED;
        http_chunked_init(&reader->chunked, reader->limits->body_bytes_max,
                          reader->limits->head_bytes_max);
        break;
    case HTTP_FRAMING_UNTIL_CLOSE:
        reader->state = BODY_UNTIL_CLOSE;
        reader->body_left = reader->limits->body_bytes_max;
        break;
    }
    return STATUS_OK;
}

/* A body that is not chunked. The length is judged here, after HEAD, because how to refuse a body
 * that is too large depends on the request. */
static enum http_reader_event read_body(struct http_reader *reader, struct bytes *input,
                                        struct bytes *ret_body)
{
    struct bytes body = *input;

    if (body.size > reader->body_left)
        body.size = (size_t)reader->body_left;
    if ((reader->state == BODY_LENGTH &&
         reader->head.content_length > reader->limits->body_bytes_max) ||
        (input->size > 0 && body.size == 0)) {
        error_set(&reader->error, STATUS_TOO_LARGE, "the body is larger than the limit");
        return fail_message(reader);
    }
    if (body.size == 0)
        return HTTP_READER_MORE;
    *ret_body = body;
    *input = bytes_skip(*input, body.size);
    reader->body_left -= body.size;
    if (reader->state == BODY_LENGTH && reader->body_left == 0)
        reader->state = COMPLETE;
    return HTTP_READER_BODY;
}

static enum http_reader_event read_chunked(struct http_reader *reader, struct bytes *input,
                                           struct bytes *ret_body)
{
    switch (http_chunked_feed(&reader->chunked, input, ret_body, &reader->error)) {
    case HTTP_CHUNKED_MORE:
        return HTTP_READER_MORE;
    case HTTP_CHUNKED_BODY:
        return HTTP_READER_BODY;
    case HTTP_CHUNKED_END:
        reader->state = COMPLETE;
        return HTTP_READER_END;
    case HTTP_CHUNKED_ERROR:
        break;
    }
    return fail_message(reader);
}

enum http_reader_event http_reader_end_of_input(struct http_reader *reader)
{
    assert(reader->state != FAILED);
    if (reader->state == BODY_UNTIL_CLOSE)
        reader->state = COMPLETE;
    if (reader->state == COMPLETE)
        return HTTP_READER_END;
    reader->state = FAILED;
    error_set(&reader->error,
              reader->kind == HTTP_READER_REQUEST ? STATUS_INVALID : STATUS_BACKEND_RESET,
              "the message was cut");
    return HTTP_READER_ERROR;
}

static enum http_reader_event fail_message(struct http_reader *reader)
{
    reader->state = FAILED;
    if (reader->kind == HTTP_READER_RESPONSE && reader->error.status != STATUS_NO_MEMORY)
        reader->error.status = STATUS_BACKEND_GARBLED;
    return HTTP_READER_ERROR;
}

bool http_reader_has_begun(const struct http_reader *reader)
{
    if (reader->state == START_LINE && reader->size == 1)
        return reader->data[0] != '\r';
    return reader->state != START_LINE || reader->size > 0;
}

const struct http_head *http_reader_head(const struct http_reader *reader)
{
    return &reader->head;
}

void http_reader_drop_field(struct http_reader *reader, size_t index)
{
    reader->head.fields[index].hop_by_hop = true;
}

bool http_reader_add_field(struct http_reader *reader, struct bytes name, struct bytes value)
{
    struct http_head *head = &reader->head;
    size_t            index = head->field_count;

    while (index == HTTP_FIELDS_MAX ||
           (head->field_count == HTTP_FIELDS_MAX && index > 0 && !head->fields[index].hop_by_hop))
        index--;
    if (index < head->field_count && !head->fields[index].hop_by_hop)
        return false;
    head->fields[index] =
        (struct http_field){.name = name, .value = value, .id = http_field_identify(name)};
    head->field_count += index == head->field_count;
    return true;
}

const struct error *http_reader_error(const struct http_reader *reader)
{
    assert(reader->state == FAILED);
    return &reader->error;
}
