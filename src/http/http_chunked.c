#include "http/http_chunked.h"

#include "http/http_chars.h"

enum state {
    /* In the order in which they come; the comparisons below count on it. */
    SIZE,
    EXTENSION_BEFORE,      /* after white space: only ';' may follow */
    EXTENSION_NAME_BEFORE, /* after ';' */
    EXTENSION_NAME,
    EXTENSION_NAME_AFTER, /* after white space: ';' or '=' may follow */
    EXTENSION_VALUE_BEFORE,
    EXTENSION_VALUE,
    EXTENSION_QUOTED,
    EXTENSION_QUOTED_PAIR,
    EXTENSION_QUOTED_AFTER,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_BEFORE, /* at the beginning of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    COMPLETE,
    GARBLED
};

/* 64 bits. More digits are refused even if they are zeros. */
enum { size_digits_max = 16 };

static struct bytes take_data(struct http_chunked *chunked, struct bytes *input);
static enum status  step(struct http_chunked *chunked, char c, struct error *error);
static int          hex_value(char c);
static enum status  end_size(struct http_chunked *chunked, struct error *error);
static enum state   next_state(enum state state, char c);
static enum state   next_in_extension(enum state state, char c);
static enum state   end_of_extension(char c, enum state on_space);

void http_chunked_init(struct http_chunked *chunked, uint64_t body_bytes_max,
                       size_t trailer_bytes_max)
{
    *chunked = (struct http_chunked){.state = SIZE,
                                     .body_room = body_bytes_max,
                                     .extension_room = HTTP_CHUNKED_EXTENSION_BYTES_MAX,
                                     .trailer_room = trailer_bytes_max};
}

enum http_reader_event http_chunked_feed(struct http_chunked *chunked, struct bytes *input,
                                         struct bytes *ret_body, struct error *error)
{
    while (input->size > 0) {
        char c = *input->data;

        if (chunked->state == DATA) {
            *ret_body = take_data(chunked, input);
            return HTTP_READER_BODY;
        }
        *input = bytes_skip(*input, 1);
        if (step(chunked, c, error) != STATUS_OK)
            return HTTP_READER_ERROR;
        if (chunked->state == COMPLETE)
            return HTTP_READER_END;
    }
    return HTTP_READER_MORE;
}

static struct bytes take_data(struct http_chunked *chunked, struct bytes *input)
{
    struct bytes data = *input;

    if (data.size > chunked->left)
        data.size = (size_t)chunked->left;
    *input = bytes_skip(*input, data.size);
    chunked->left -= data.size;
    if (chunked->left == 0)
        chunked->state = DATA_CR;
    return data;
}

static enum status step(struct http_chunked *chunked, char c, struct error *error)
{
    enum state state = chunked->state;
    enum state next;

    if (state == SIZE && hex_value(c) >= 0) {
        if (++chunked->digits > size_digits_max)
            return error_set(error, STATUS_INVALID, "a chunk size has too many digits");
        chunked->left = chunked->left << 4 | (uint64_t)hex_value(c);
        return STATUS_OK;
    }
    if (state == SIZE && chunked->digits == 0)
        return error_set(error, STATUS_INVALID, "a chunk size is not a number");
    if (state >= TRAILER_BEFORE && chunked->trailer_room-- == 0)
        return error_set(error, STATUS_HEADERS_TOO_LARGE, "the trailer section is too large");

    next = next_state(state, c);
    if (next == GARBLED)
        return error_set(error, STATUS_INVALID, "the chunked coding is not valid");
    if (next >= EXTENSION_BEFORE && next <= EXTENSION_QUOTED_AFTER &&
        chunked->extension_room-- == 0)
        return error_set(error, STATUS_INVALID, "the chunk extensions are too large");
    chunked->state = next;
    return state == SIZE_LF ? end_size(chunked, error) : STATUS_OK;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static enum status end_size(struct http_chunked *chunked, struct error *error)
{
    if (chunked->left > chunked->body_room)
        return error_set(error, STATUS_TOO_LARGE, "the body is larger than the limit");
    chunked->body_room -= chunked->left;
    chunked->digits = 0;
    if (chunked->left == 0)
        chunked->state = TRAILER_BEFORE;
    return STATUS_OK;
}

static enum state next_state(enum state state, char c)
{
    switch (state) {
    case SIZE:
        return end_of_extension(c, EXTENSION_BEFORE);
    case SIZE_LF:
        return c == '\n' ? DATA : GARBLED;
    case DATA_CR:
        return c == '\r' ? DATA_LF : GARBLED;
    case DATA_LF:
        return c == '\n' ? SIZE : GARBLED;
    case TRAILER_BEFORE:
        if (c == '\r')
            return LAST_LF;
        return http_chars_is(c, HTTP_CHARS_TOKEN) ? TRAILER_NAME : GARBLED;
    case TRAILER_NAME:
        if (c == ':')
            return TRAILER_VALUE;
        return http_chars_is(c, HTTP_CHARS_TOKEN) ? TRAILER_NAME : GARBLED;
    case TRAILER_VALUE:
        if (c == '\r')
            return TRAILER_LF;
        return http_chars_is(c, HTTP_CHARS_VALUE) ? TRAILER_VALUE : GARBLED;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_BEFORE : GARBLED;
    case LAST_LF:
        return c == '\n' ? COMPLETE : GARBLED;
    default:
        return next_in_extension(state, c);
    }
}

/* *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ) */
static enum state next_in_extension(enum state state, char c)
{
    bool is_space = c == ' ' || c == '\t';
    bool is_token = http_chars_is(c, HTTP_CHARS_TOKEN);

    switch (state) {
    case EXTENSION_NAME_BEFORE:
        if (is_space)
            return EXTENSION_NAME_BEFORE;
        return is_token ? EXTENSION_NAME : GARBLED;
    case EXTENSION_NAME:
    case EXTENSION_NAME_AFTER:
        if (is_token && state == EXTENSION_NAME)
            return EXTENSION_NAME;
        if (c == '=')
            return EXTENSION_VALUE_BEFORE;
        if (c == '\r' && state == EXTENSION_NAME_AFTER)
            return GARBLED;
        return end_of_extension(c, EXTENSION_NAME_AFTER);
    case EXTENSION_VALUE_BEFORE:
        if (is_space)
            return EXTENSION_VALUE_BEFORE;
        if (c == '"')
            return EXTENSION_QUOTED;
        return is_token ? EXTENSION_VALUE : GARBLED;
    case EXTENSION_VALUE:
        return is_token ? EXTENSION_VALUE : end_of_extension(c, EXTENSION_BEFORE);
    case EXTENSION_QUOTED:
        if (c == '"')
            return EXTENSION_QUOTED_AFTER;
        if (c == '\\')
            return EXTENSION_QUOTED_PAIR;
        return http_chars_is(c, HTTP_CHARS_VALUE) ? EXTENSION_QUOTED : GARBLED;
    case EXTENSION_QUOTED_PAIR:
        return http_chars_is(c, HTTP_CHARS_VALUE) ? EXTENSION_QUOTED : GARBLED;
    case EXTENSION_QUOTED_AFTER:
        return end_of_extension(c, EXTENSION_BEFORE);
    default: /* EXTENSION_BEFORE */
        return c == '\r' ? GARBLED : end_of_extension(c, EXTENSION_BEFORE);
    }
}

static enum state end_of_extension(char c, enum state on_space)
{
    if (c == '\r')
        return SIZE_LF;
    if (c == ';')
        return EXTENSION_NAME_BEFORE;
    return c == ' ' || c == '\t' ? on_space : GARBLED;
}
