#include "json/json_scan.h"

#include <assert.h>

#include "base/compiler.h"
#include "json/json_number.h"
#include "json/json_simd.h"

enum { DEPTH_MAX = 127 }; /* serde_json: the 128th array or object inside others is an error */

static bool     fail(struct json_scan *scan);
static void     skip_space(struct json_scan *scan);
static bool     open_bracket(struct json_scan *scan, char bracket);
static bool     next_item(struct json_scan *scan, char closing);
static bool     take_string(struct json_scan *scan, struct json_string *ret_string);
static bool     take_escape(struct json_scan *scan);
static bool     take_hex4(struct json_scan *scan, unsigned *ret_value);
static bool     take_utf8(struct json_scan *scan);
static bool     take_number(struct json_scan *scan, struct json_number *ret_number);
static bool     take_literal(struct json_scan *scan, struct bytes literal);
static bool     take_array(struct json_scan *scan);
static bool     take_object(struct json_scan *scan);
static size_t   decode_escape(const char **at, char *ret_text);
static unsigned hex4(const char *at);
static size_t   encode_utf8(unsigned code_point, char *ret_text);

void json_scan_init(struct json_scan *scan, struct bytes text)
{
    *scan = (struct json_scan){.at = text.data, .end = text.data, .simd = json_simd()};
    if (text.size > 0)
        scan->end += text.size;
}

static bool fail(struct json_scan *scan)
{
    scan->failed = true;
    scan->at = scan->end;
    return false;
}

static void skip_space(struct json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

enum json_kind json_scan_kind(struct json_scan *scan)
{
    static const unsigned char kinds[256] = {
        ['n'] = JSON_KIND_NULL,   ['t'] = JSON_KIND_BOOL,   ['f'] = JSON_KIND_BOOL,
        ['"'] = JSON_KIND_STRING, ['['] = JSON_KIND_ARRAY,  ['{'] = JSON_KIND_OBJECT,
        ['-'] = JSON_KIND_NUMBER, ['0'] = JSON_KIND_NUMBER, ['1'] = JSON_KIND_NUMBER,
        ['2'] = JSON_KIND_NUMBER, ['3'] = JSON_KIND_NUMBER, ['4'] = JSON_KIND_NUMBER,
        ['5'] = JSON_KIND_NUMBER, ['6'] = JSON_KIND_NUMBER, ['7'] = JSON_KIND_NUMBER,
        ['8'] = JSON_KIND_NUMBER, ['9'] = JSON_KIND_NUMBER,
    };

    skip_space(scan);
    return scan->at == scan->end ? JSON_KIND_NONE : kinds[(unsigned char)*scan->at];
}

bool json_scan_array(struct json_scan *scan)
{
    return open_bracket(scan, '[');
}

bool json_scan_object(struct json_scan *scan)
{
    return open_bracket(scan, '{');
}

static bool open_bracket(struct json_scan *scan, char bracket)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != bracket || scan->depth == DEPTH_MAX)
        return fail(scan);
    scan->at++;
    scan->depth++;
    scan->at_first = true;
    return true;
}

bool json_scan_element(struct json_scan *scan)
{
    return next_item(scan, ']');
}

bool json_scan_member(struct json_scan *scan, struct json_string *ret_key)
{
    if (!next_item(scan, '}'))
        return false;
    if (!json_scan_string(scan, ret_key))
        return false;
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != ':')
        return fail(scan);
    scan->at++;
    return true;
}

/* Take the comma that stands before an item unless it is the first, or the closing bracket. */
static bool next_item(struct json_scan *scan, char closing)
{
    bool is_first = scan->at_first;

    skip_space(scan);
    if (scan->at == scan->end)
        return fail(scan);
    scan->at_first = false;
    if (*scan->at == closing) {
        assert(scan->depth > 0);
        scan->depth--;
        scan->at++;
        return false;
    }
    if (is_first)
        return true;
    if (*scan->at != ',')
        return fail(scan);
    scan->at++;
    return true;
}

bool json_scan_string(struct json_scan *scan, struct json_string *ret_string)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != '"')
        return fail(scan);
    return take_string(scan, ret_string);
}

static bool take_string(struct json_scan *scan, struct json_string *ret_string)
{
    const char *start = ++scan->at;

    ret_string->has_escapes = false;
    for (;;) {
        scan->at = scan->simd->skip_plain(scan->at, scan->end);
        if (scan->at == scan->end)
            return fail(scan);
        if (*scan->at == '"')
            break;
        if (*scan->at == '\\') {
            ret_string->has_escapes = true;
            if (!take_escape(scan))
                return false;
        } else if ((unsigned char)*scan->at >= 0x80) {
            if (!take_utf8(scan))
                return false;
        } else if ((unsigned char)*scan->at >= 0x20) {
            scan->at++;
        } else {
            return fail(scan);
        }
    }
    ret_string->raw = (struct bytes){.data = start, .size = (size_t)(scan->at - start)};
    scan->at++;
    return true;
}

/* A high surrogate must be followed by the escape of a low one, which stands nowhere else. */
static bool take_escape(struct json_scan *scan)
{
    unsigned unit;

    if (scan->end - scan->at < 2)
        return fail(scan);
    scan->at += 2;
    switch (scan->at[-1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return true;
    case 'u':
        break;
    default:
        return fail(scan);
    }
    if (!take_hex4(scan, &unit))
        return false;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit >= 0xdc00 || scan->end - scan->at < 2 || scan->at[0] != '\\' || scan->at[1] != 'u')
        return fail(scan);
    scan->at += 2;
    if (!take_hex4(scan, &unit))
        return false;
    return (unit >= 0xdc00 && unit <= 0xdfff) || fail(scan);
}

static bool take_hex4(struct json_scan *scan, unsigned *ret_value)
{
    if (scan->end - scan->at < 4)
        return fail(scan);
    for (int i = 0; i < 4; i++) {
        char c = scan->at[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')))
            return fail(scan);
    }
    *ret_value = hex4(scan->at);
    scan->at += 4;
    return true;
}

/* Take the characters from here on that are not ASCII: shortest form only, no surrogates, nothing
 * above U+10FFFF (Unicode, table 3-7). */
static bool take_utf8(struct json_scan *scan)
{
    const unsigned char *at = (const unsigned char *)scan->at;
    const unsigned char *end = (const unsigned char *)scan->end;

    while (at < end && *at >= 0x80) {
        ptrdiff_t     left = end - at;
        ptrdiff_t     size = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
        unsigned char low = 0x80, high = 0xbf; /* of the second byte */

        if (*at < 0xc2 || *at > 0xf4 || left < size)
            return fail(scan);
        switch (*at) {
        case 0xe0:
            low = 0xa0;
            break;
        case 0xed:
            high = 0x9f;
            break;
        case 0xf0:
            low = 0x90;
            break;
        case 0xf4:
            high = 0x8f;
            break;
        default:
            break;
        }
        if (at[1] < low || at[1] > high || (size > 2 && (at[2] & 0xc0) != 0x80) ||
            (size > 3 && (at[3] & 0xc0) != 0x80))
            return fail(scan);
        at += size;
    }
    scan->at = (const char *)at;
    return true;
}

bool json_scan_number(struct json_scan *scan, struct json_number *ret_number)
{
    return json_scan_kind(scan) == JSON_KIND_NUMBER ? take_number(scan, ret_number) : fail(scan);
}

static bool take_number(struct json_scan *scan, struct json_number *ret_number)
{
    const char *end = json_number_end(scan->at, scan->end, ret_number);

    if (end == NULL)
        return fail(scan);
    scan->at = end;
    return true;
}

bool json_scan_value(struct json_scan *scan, struct bytes *ret_span)
{
    struct json_string string;
    struct json_number number;
    enum json_kind     kind = json_scan_kind(scan);
    const char        *start = scan->at;
    bool               taken = false;

    switch (kind) {
    case JSON_KIND_NONE:
        taken = fail(scan);
        break;
    case JSON_KIND_NULL:
        taken = take_literal(scan, BYTES_LITERAL("null"));
        break;
    case JSON_KIND_BOOL:
        taken = take_literal(scan, *start == 't' ? BYTES_LITERAL("true") : BYTES_LITERAL("false"));
        break;
    case JSON_KIND_NUMBER:
        taken = take_number(scan, &number);
        break;
    case JSON_KIND_STRING:
        taken = take_string(scan, &string);
        break;
    case JSON_KIND_ARRAY:
        taken = take_array(scan);
        break;
    case JSON_KIND_OBJECT:
        taken = take_object(scan);
        break;
    }
    if (taken && ret_span != NULL)
        *ret_span = (struct bytes){.data = start, .size = (size_t)(scan->at - start)};
    return taken;
}

static bool take_literal(struct json_scan *scan, struct bytes literal)
{
    struct bytes rest = {.data = scan->at, .size = (size_t)(scan->end - scan->at)};

    if (!bytes_begin_with(rest, literal))
        return fail(scan);
    scan->at += literal.size;
    return true;
}

static bool take_array(struct json_scan *scan)
{
    size_t count = 0;
    bool   are_safe = true;

    if (!json_scan_array(scan))
        return false;
    while (json_scan_element(scan)) {
        if (json_scan_kind(scan) == JSON_KIND_NUMBER)
            json_scan_numbers(scan, &count, &are_safe);
        else
            json_scan_value(scan, NULL);
    }
    return !scan->failed;
}

static bool take_object(struct json_scan *scan)
{
    struct json_string key;

    if (!json_scan_object(scan))
        return false;
    while (json_scan_member(scan, &key))
        json_scan_value(scan, NULL);
    return !scan->failed;
}

/* Where skip_numbers() took nothing, it is not asked for the next few numbers: in a text that it
 * cannot read it would cost more than it saves. */
bool json_scan_numbers(struct json_scan *scan, size_t *count, bool *are_safe_floats)
{
    enum { PAUSE_MAX = 15 };
    struct json_number number;
    const char        *comma;
    unsigned           pause = 0, wait = 0;

    do {
        const char *before = scan->at;

        if (wait == 0) {
            scan->at = scan->simd->skip_numbers(scan->at, scan->end, count);
            wait = pause = scan->at != before ? 0 : pause == PAUSE_MAX ? PAUSE_MAX : 2 * pause + 1;
        } else {
            wait--;
        }
        if (scan->at == before) {
            if (!json_scan_number(scan, &number))
                return false;
            *count += 1;
            *are_safe_floats = *are_safe_floats && number.is_safe_float;
        }
        skip_space(scan);
        comma = scan->at;
        if (comma == scan->end || *comma != ',')
            return true;
        scan->at++;
    } while (json_scan_kind(scan) == JSON_KIND_NUMBER);
    scan->at = comma;
    return true;
}

bool json_scan_end(struct json_scan *scan)
{
    skip_space(scan);
    return (!scan->failed && scan->depth == 0 && scan->at == scan->end) || fail(scan);
}

bool json_scan_is_valid(struct bytes text)
{
    struct json_scan scan;

    json_scan_init(&scan, text);
    json_scan_value(&scan, NULL);
    return json_scan_end(&scan);
}

size_t json_scan_decode(struct json_string string, char *ret_text)
{
    const char *at = string.raw.data;
    const char *end = at + string.raw.size;
    size_t      size = 0;

    while (at < end) {
        if (*at == '\\')
            size += decode_escape(&at, ret_text + size);
        else
            ret_text[size++] = *at++;
    }
    return size;
}

static size_t decode_escape(const char **at, char *ret_text)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char              c = (*at)[1];
    const char       *letter = strchr(letters, c);
    unsigned          unit;

    *at += 2;
    if (c != 'u') {
        *ret_text = letter == NULL ? c : meanings[letter - letters];
        return 1;
    }
    unit = hex4(*at);
    *at += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return encode_utf8(unit, ret_text);
    unit = 0x10000 + ((unit - 0xd800) << 10) + (hex4(*at + 2) - 0xdc00);
    *at += 6;
    return encode_utf8(unit, ret_text);
}

/* The value of four hexadecimal digits. */
static unsigned hex4(const char *at)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)(at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
    return value;
}

static size_t encode_utf8(unsigned code_point, char *ret_text)
{
    size_t size = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;

    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = size - 1; i > 0; i--, code_point >>= 6)
        ret_text[i] = (char)(0x80 | (code_point & 0x3f));
    ret_text[0] = (char)(first[size] | code_point);
    return size;
}

bool json_scan_equals(struct json_string string, struct bytes text)
{
    char decoded[6 * 64];

    if (!string.has_escapes)
        return bytes_equal(string.raw, text);
    assert(text.size <= sizeof decoded / 6);
    return string.raw.size <= sizeof decoded &&
           bytes_equal((struct bytes){decoded, json_scan_decode(string, decoded)}, text);
}
