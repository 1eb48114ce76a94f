#include "support/json_reference.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

enum { LOG_MAX = 1 << 28, DEPTH_MAX = 127 };

struct parser {
    const unsigned char *text;
    size_t               size, at;
    int                  depth;
    bool                 is_borderline;
    struct byte_buffer  *log;
};

static bool parse_value(struct parser *parser);

static void log_value(struct byte_buffer *log, enum json_kind kind, size_t begin, size_t end,
                      struct bytes decoded)
{
    if (byte_buffer_printf(log, LOG_MAX, "%d %zu %zu ", kind, begin, end) != STATUS_OK ||
        byte_buffer_append(log, decoded, LOG_MAX) != STATUS_OK ||
        byte_buffer_append(log, BYTES_LITERAL("\n"), LOG_MAX) != STATUS_OK)
        abort();
}

/* The byte at the cursor, or -1. */
static int peek(const struct parser *parser)
{
    return parser->at < parser->size ? parser->text[parser->at] : -1;
}

static bool accept(struct parser *parser, int c)
{
    if (peek(parser) != c)
        return false;
    parser->at++;
    return true;
}

static void skip_space(struct parser *parser)
{
    while (accept(parser, ' ') || accept(parser, '\t') || accept(parser, '\n') ||
           accept(parser, '\r'))
        continue;
}

static bool parse_literal(struct parser *parser, const char *literal)
{
    for (; *literal != '\0'; literal++)
        if (!accept(parser, *literal))
            return false;
    return true;
}

static bool parse_digits(struct parser *parser)
{
    size_t before = parser->at;

    while (peek(parser) >= '0' && peek(parser) <= '9')
        parser->at++;
    return parser->at > before;
}

static bool parse_number(struct parser *parser)
{
    size_t      begin = parser->at;
    char       *copy;
    long double value;

    accept(parser, '-');
    if (!accept(parser, '0') && !parse_digits(parser))
        return false;
    if (accept(parser, '.') && !parse_digits(parser))
        return false;
    if (accept(parser, 'e') || accept(parser, 'E')) {
        if (!accept(parser, '+'))
            accept(parser, '-');
        if (!parse_digits(parser))
            return false;
    }
    copy = strndup((const char *)parser->text + begin, parser->at - begin);
    value = fabsl(strtold(copy, NULL));
    free(copy);
    if (value > 1.79769e308L && value < 1.79770e308L)
        parser->is_borderline = true;
    else if (value > 1.79769e308L)
        return false;
    return true;
}

static void put_code_point(struct byte_buffer *out, long code_point)
{
    unsigned char utf8[4];
    size_t        size = 0;

    if (code_point < 0x80) {
        utf8[size++] = (unsigned char)code_point;
    } else if (code_point < 0x800) {
        utf8[size++] = (unsigned char)(0xc0 + (code_point >> 6));
        utf8[size++] = (unsigned char)(0x80 + code_point % 64);
    } else if (code_point < 0x10000) {
        utf8[size++] = (unsigned char)(0xe0 + (code_point >> 12));
        utf8[size++] = (unsigned char)(0x80 + (code_point >> 6) % 64);
        utf8[size++] = (unsigned char)(0x80 + code_point % 64);
    } else {
        utf8[size++] = (unsigned char)(0xf0 + (code_point >> 18));
        utf8[size++] = (unsigned char)(0x80 + (code_point >> 12) % 64);
        utf8[size++] = (unsigned char)(0x80 + (code_point >> 6) % 64);
        utf8[size++] = (unsigned char)(0x80 + code_point % 64);
    }
    if (byte_buffer_append(out, (struct bytes){(const char *)utf8, size}, LOG_MAX) != STATUS_OK)
        abort();
}

/* Four hexadecimal digits; -1 if there are not four. */
static long parse_hex4(struct parser *parser)
{
    long value = 0;

    for (int i = 0; i < 4; i++) {
        int c = peek(parser);

        if (c >= '0' && c <= '9')
            value = value * 16 + c - '0';
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + c - 'A' + 10;
        else
            return -1;
        parser->at++;
    }
    return value;
}

/* Behind the backslash. The code point, or -1. */
static long parse_escape(struct parser *parser)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    long              high, low;

    for (size_t i = 0; i + 1 < sizeof letters; i++)
        if (accept(parser, letters[i]))
            return meanings[i];
    if (!accept(parser, 'u'))
        return -1;
    high = parse_hex4(parser);
    if (high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || !accept(parser, '\\') || !accept(parser, 'u'))
        return -1;
    low = parse_hex4(parser);
    if (low < 0xdc00 || low > 0xdfff)
        return -1;
    return 0x10000 + (high - 0xd800) * 0x400 + (low - 0xdc00);
}

/* One character of UTF-8, its first byte already known to be no ASCII. The code point, or -1. */
static long parse_utf8(struct parser *parser)
{
    static const long smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    int               first = peek(parser);
    int               size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    long              code_point = size == 0 ? 0 : first & (0xff >> (size + 1));

    if (size == 0 || first > 0xf7)
        return -1;
    parser->at++;
    for (int i = 1; i < size; i++) {
        if (peek(parser) < 0x80 || peek(parser) > 0xbf)
            return -1;
        code_point = code_point * 64 + peek(parser) % 64;
        parser->at++;
    }
    if (code_point < smallest[size] || code_point > 0x10ffff ||
        (code_point >= 0xd800 && code_point <= 0xdfff))
        return -1;
    return code_point;
}

static bool parse_string(struct parser *parser)
{
    struct byte_buffer decoded = {0};
    size_t             begin = parser->at;
    long               code_point = 0;

    parser->at++;
    while (code_point >= 0 && !accept(parser, '"')) {
        if (peek(parser) < 0x20) /* the end, too */
            code_point = -1;
        else if (accept(parser, '\\'))
            code_point = parse_escape(parser);
        else if (peek(parser) >= 0x80)
            code_point = parse_utf8(parser);
        else
            code_point = parser->text[parser->at++];
        if (code_point >= 0)
            put_code_point(&decoded, code_point);
    }
    if (code_point >= 0)
        log_value(parser->log, JSON_KIND_STRING, begin, parser->at, byte_buffer_bytes(&decoded));
    byte_buffer_done(&decoded);
    return code_point >= 0;
}

static bool parse_array(struct parser *parser)
{
    parser->at++;
    skip_space(parser);
    if (accept(parser, ']'))
        return true;
    do {
        if (!parse_value(parser))
            return false;
        skip_space(parser);
    } while (accept(parser, ','));
    return accept(parser, ']');
}

static bool parse_object(struct parser *parser)
{
    parser->at++;
    skip_space(parser);
    if (accept(parser, '}'))
        return true;
    do {
        skip_space(parser);
        if (peek(parser) != '"' || !parse_string(parser))
            return false;
        skip_space(parser);
        if (!accept(parser, ':') || !parse_value(parser))
            return false;
        skip_space(parser);
    } while (accept(parser, ','));
    return accept(parser, '}');
}

static bool parse_nested(struct parser *parser)
{
    bool valid = parser->depth < DEPTH_MAX;

    parser->depth++;
    valid = valid && (peek(parser) == '[' ? parse_array(parser) : parse_object(parser));
    parser->depth--;
    return valid;
}

static bool parse_value(struct parser *parser)
{
    enum json_kind kind = JSON_KIND_NUMBER;
    bool           valid;
    size_t         begin;

    skip_space(parser);
    begin = parser->at;
    switch (peek(parser)) {
    case '"':
        return parse_string(parser);
    case 'n':
        kind = JSON_KIND_NULL;
        valid = parse_literal(parser, "null");
        break;
    case 't':
    case 'f':
        kind = JSON_KIND_BOOL;
        valid = parse_literal(parser, peek(parser) == 't' ? "true" : "false");
        break;
    case '[':
        kind = JSON_KIND_ARRAY;
        valid = parse_nested(parser);
        break;
    case '{':
        kind = JSON_KIND_OBJECT;
        valid = parse_nested(parser);
        break;
    default:
        valid = parse_number(parser);
    }
    if (valid)
        log_value(parser->log, kind, begin, parser->at, (struct bytes){0});
    return valid;
}

enum json_reference_verdict json_reference_parse(struct bytes text, struct byte_buffer *log)
{
    struct parser parser = {
        .text = (const unsigned char *)text.data, .size = text.size, .log = log};

    if (!parse_value(&parser))
        return JSON_REFERENCE_INVALID;
    skip_space(&parser);
    if (parser.at != parser.size)
        return JSON_REFERENCE_INVALID;
    return parser.is_borderline ? JSON_REFERENCE_BORDERLINE : JSON_REFERENCE_VALID;
}

/* json_scan, walked the long way */

static void log_string(struct byte_buffer *log, struct bytes text, struct json_string string)
{
    char  *decoded = malloc(string.raw.size + 1); /* 0 bytes may give NULL */
    size_t size = json_scan_decode(string, decoded);
    size_t begin = (size_t)(string.raw.data - text.data);

    log_value(log, JSON_KIND_STRING, begin - 1, begin + string.raw.size + 1,
              (struct bytes){.data = decoded, .size = size});
    free(decoded);
}

static void scan_value(struct json_scan *scan, struct bytes text, struct byte_buffer *log)
{
    enum json_kind     kind = json_scan_kind(scan);
    size_t             begin = (size_t)(scan->at - text.data);
    struct json_string string;

    switch (kind) {
    case JSON_KIND_STRING:
        if (json_scan_string(scan, &string))
            log_string(log, text, string);
        return;
    case JSON_KIND_ARRAY:
        if (json_scan_array(scan))
            while (json_scan_element(scan))
                scan_value(scan, text, log);
        break;
    case JSON_KIND_OBJECT:
        if (json_scan_object(scan))
            while (json_scan_member(scan, &string)) {
                log_string(log, text, string);
                scan_value(scan, text, log);
            }
        break;
    default:
        json_scan_value(scan, NULL);
    }
    if (!scan->failed)
        log_value(log, kind, begin, (size_t)(scan->at - text.data), (struct bytes){0});
}

enum json_reference_verdict json_reference_scan(struct bytes text, struct byte_buffer *log)
{
    struct json_scan scan;

    json_scan_init(&scan, text);
    scan_value(&scan, text, log);
    return json_scan_end(&scan) ? JSON_REFERENCE_VALID : JSON_REFERENCE_INVALID;
}
