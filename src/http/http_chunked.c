#include "http/http_chunked.h"

#include "http/http_chars.h"

enum chunked_state {
    GARBLED,
    /* In the order in which they come; take_char() counts on it. */
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
    COMPLETE
};

/* What the grammar tells apart: VISIBLE is what may stand in a value but has no class of its own,
 * CONTROL what may stand nowhere. */
enum char_class {
    SPACE,
    TOKEN,
    EQUALS,
    QUOTE,
    BACKSLASH,
    SEMICOLON,
    COLON,
    VISIBLE,
    CR,
    LF,
    CONTROL,
    CLASS_COUNT
};

/* The whole grammar: from which state which character leads where; else to GARBLED. An extension
 * is *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ). Hex digits in SIZE and all
 * bytes in DATA are taken before the table is asked. */
static const unsigned char next_state[][CLASS_COUNT] = {
    [SIZE] = {[SPACE] = EXTENSION_BEFORE, [SEMICOLON] = EXTENSION_NAME_BEFORE, [CR] = SIZE_LF},
    [EXTENSION_BEFORE] = {[SPACE] = EXTENSION_BEFORE, [SEMICOLON] = EXTENSION_NAME_BEFORE},
    [EXTENSION_NAME_BEFORE] = {[SPACE] = EXTENSION_NAME_BEFORE, [TOKEN] = EXTENSION_NAME},
    [EXTENSION_NAME] = {[SPACE] = EXTENSION_NAME_AFTER,
                        [TOKEN] = EXTENSION_NAME,
                        [EQUALS] = EXTENSION_VALUE_BEFORE,
                        [SEMICOLON] = EXTENSION_NAME_BEFORE,
                        [CR] = SIZE_LF},
    [EXTENSION_NAME_AFTER] = {[SPACE] = EXTENSION_NAME_AFTER,
                              [EQUALS] = EXTENSION_VALUE_BEFORE,
                              [SEMICOLON] = EXTENSION_NAME_BEFORE},
    [EXTENSION_VALUE_BEFORE] =
        {[SPACE] = EXTENSION_VALUE_BEFORE, [TOKEN] = EXTENSION_VALUE, [QUOTE] = EXTENSION_QUOTED},
    [EXTENSION_VALUE] = {[SPACE] = EXTENSION_BEFORE,
                         [TOKEN] = EXTENSION_VALUE,
                         [SEMICOLON] = EXTENSION_NAME_BEFORE,
                         [CR] = SIZE_LF},
    [EXTENSION_QUOTED] = {[SPACE] = EXTENSION_QUOTED,
                          [TOKEN] = EXTENSION_QUOTED,
                          [EQUALS] = EXTENSION_QUOTED,
                          [QUOTE] = EXTENSION_QUOTED_AFTER,
                          [BACKSLASH] = EXTENSION_QUOTED_PAIR,
                          [SEMICOLON] = EXTENSION_QUOTED,
                          [COLON] = EXTENSION_QUOTED,
                          [VISIBLE] = EXTENSION_QUOTED},
    [EXTENSION_QUOTED_PAIR] = {[SPACE] = EXTENSION_QUOTED,
                               [TOKEN] = EXTENSION_QUOTED,
                               [EQUALS] = EXTENSION_QUOTED,
                               [QUOTE] = EXTENSION_QUOTED,
                               [BACKSLASH] = EXTENSION_QUOTED,
                               [SEMICOLON] = EXTENSION_QUOTED,
                               [COLON] = EXTENSION_QUOTED,
                               [VISIBLE] = EXTENSION_QUOTED},
    [EXTENSION_QUOTED_AFTER] =
        {[SPACE] = EXTENSION_BEFORE, [SEMICOLON] = EXTENSION_NAME_BEFORE, [CR] = SIZE_LF},
    [SIZE_LF] = {[LF] = DATA},
    [DATA_CR] = {[CR] = DATA_LF},
    [DATA_LF] = {[LF] = SIZE},
    [TRAILER_BEFORE] = {[TOKEN] = TRAILER_NAME, [CR] = LAST_LF},
    [TRAILER_NAME] = {[TOKEN] = TRAILER_NAME, [COLON] = TRAILER_VALUE},
    [TRAILER_VALUE] = {[SPACE] = TRAILER_VALUE,
                       [TOKEN] = TRAILER_VALUE,
                       [EQUALS] = TRAILER_VALUE,
                       [QUOTE] = TRAILER_VALUE,
                       [BACKSLASH] = TRAILER_VALUE,
                       [SEMICOLON] = TRAILER_VALUE,
                       [COLON] = TRAILER_VALUE,
                       [VISIBLE] = TRAILER_VALUE,
                       [CR] = TRAILER_LF},
    [TRAILER_LF] = {[LF] = TRAILER_BEFORE},
    [LAST_LF] = {[LF] = COMPLETE},
};

/* 64 bits. More digits are refused even if they are zeros. */
enum { size_digits_max = 16 };

static struct bytes    take_data(struct http_chunked *chunked, struct bytes *input);
static enum status     take_char(struct http_chunked *chunked, char c, struct error *error);
static int             hex_digit(char c);
static enum status     end_size(struct http_chunked *chunked, struct error *error);
static enum char_class class_of(char c);

void http_chunked_init(struct http_chunked *chunked, uint64_t body_bytes_max,
                       size_t trailer_bytes_max)
{
    *chunked = (struct http_chunked){.state = SIZE,
                                     .body_room = body_bytes_max,
                                     .extension_room = HTTP_CHUNKED_EXTENSION_BYTES_MAX,
                                     .trailer_room = trailer_bytes_max};
}

enum http_chunked_event http_chunked_feed(struct http_chunked *chunked, struct bytes *input,
                                          struct bytes *ret_body, struct error *error)
{
    while (input->size > 0) {
        char c = *input->data;

        if (chunked->state == DATA) {
            *ret_body = take_data(chunked, input);
            return HTTP_CHUNKED_BODY;
        }
        *input = bytes_skip(*input, 1);
        if (take_char(chunked, c, error) != STATUS_OK)
            return HTTP_CHUNKED_ERROR;
        if (chunked->state == COMPLETE)
            return HTTP_CHUNKED_END;
    }
    return HTTP_CHUNKED_MORE;
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

static enum status take_char(struct http_chunked *chunked, char c, struct error *error)
{
    enum chunked_state state = chunked->state;
    enum chunked_state next = next_state[state][class_of(c)];

    if (state == SIZE && hex_digit(c) >= 0) {
        if (++chunked->digits > size_digits_max)
            return error_set(error, STATUS_INVALID, "a chunk size has too many digits");
        chunked->left = chunked->left << 4 | (uint64_t)hex_digit(c);
        return STATUS_OK;
    }
    if (state == SIZE && chunked->digits == 0)
        return error_set(error, STATUS_INVALID, "a chunk size is not a number");
    if (state >= TRAILER_BEFORE && chunked->trailer_room-- == 0)
        return error_set(error, STATUS_HEADERS_TOO_LARGE, "the trailer section is too large");

    if (next == GARBLED)
        return error_set(error, STATUS_INVALID, "the chunked coding is not valid");
    if (next >= EXTENSION_BEFORE && next <= EXTENSION_QUOTED_AFTER &&
        chunked->extension_room-- == 0)
        return error_set(error, STATUS_INVALID, "the chunk extensions are too large");
    chunked->state = next;
    return state == SIZE_LF ? end_size(chunked, error) : STATUS_OK;
}

static int hex_digit(char c)
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

static enum char_class class_of(char c)
{
    switch (c) {
    case ' ':
    case '\t':
        return SPACE;
    case '=':
        return EQUALS;
    case '"':
        return QUOTE;
    case '\\':
        return BACKSLASH;
    case ';':
        return SEMICOLON;
    case ':':
        return COLON;
    case '\r':
        return CR;
    case '\n':
        return LF;
    default:
        if (http_chars_is(c, HTTP_CHARS_TOKEN))
            return TOKEN;
        return http_chars_is(c, HTTP_CHARS_VALUE) ? VISIBLE : CONTROL;
    }
}
