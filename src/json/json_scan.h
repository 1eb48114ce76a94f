/* json_scan - walk through a JSON text, validating it, without building anything
 *
 * The caller pulls: it asks what comes next and takes it, and gets spans of the text. What it takes
 * has been validated exactly as serde_json, Chroma's parser, does: UTF-8, escapes (no lone
 * surrogates), the grammar of numbers and their range as f64, at most 127 arrays and objects inside
 * each other, no byte order mark, nothing behind the end. Members are not compared with each other:
 * whether a key may repeat is the caller's business.
 *
 * An error is sticky: from then on nothing is left to take, every call returns false and
 * json_scan_end() says so. So a caller may check once, at the end.
 *
 *     json_scan_init(&scan, body);
 *     if (json_scan_object(&scan))
 *         while (json_scan_member(&scan, &key))
 *             json_scan_value(&scan, &span);
 *     if (!json_scan_end(&scan))
 *         ... not JSON, or not an object ...
 *
 * A text is scanned in one go, it must be complete. Vectors take some 0.25 ms for a MiB; texts made
 * to be slow (vectors of one number, empty objects) up to 5 ms, so what is above some 128 KiB
 * belongs on a worker thread. Thread: any; a scan belongs to one thread at a time. Memory: none;
 * stack in proportion to the nesting, which is bounded.
 */
#ifndef JSON_JSON_SCAN_H
#define JSON_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "json/json_number.h"

enum json_kind {
    JSON_KIND_NONE, /* the end of the text, a closing bracket, or no JSON */
    JSON_KIND_NULL,
    JSON_KIND_BOOL,
    JSON_KIND_NUMBER,
    JSON_KIND_STRING,
    JSON_KIND_ARRAY,
    JSON_KIND_OBJECT
};

struct json_string {
    struct bytes raw; /* between the quotes, as in the text */
    bool         has_escapes;
};

struct json_scan {
    const char             *at, *end;
    const struct json_simd *simd;
    unsigned                depth;
    bool                    at_first; /* just behind '[' or '{' */
    bool                    failed;
};

void json_scan_init(struct json_scan *scan, struct bytes text);

/* What comes next, judged by its first character. Takes only white space. */
enum json_kind json_scan_kind(struct json_scan *scan);

/* Take the '[' or '{' of the next value. It is an error if there is none. */
bool json_scan_array(struct json_scan *scan);
bool json_scan_object(struct json_scan *scan);

/* Go to the next element, which the caller must then take.
 * false  there is none and the array is behind us, or an error. */
bool json_scan_element(struct json_scan *scan);

/* Go to the next member, take its key and the colon; the caller must then take its value.
 * false  there is none and the object is behind us, or an error. */
bool json_scan_member(struct json_scan *scan, struct json_string *ret_key);

/* Take the next value, which must be a string or a number. */
bool json_scan_string(struct json_scan *scan, struct json_string *ret_string);
bool json_scan_number(struct json_scan *scan, struct json_number *ret_number);

/* Take the next value whatever it is, with all that is in it. `ret_span` may be NULL. */
bool json_scan_value(struct json_scan *scan, struct bytes *ret_span);

/* Take this element, a number, and those that follow as long as they are numbers. To be called in
 * an array after json_scan_element() found a number; json_scan_element() comes next. Adds their
 * number to *count; clears *are_safe_floats if one of them is not a safe float. */
bool json_scan_numbers(struct json_scan *scan, size_t *count, bool *are_safe_floats);

/* Nothing but white space is left, all is closed, and there was no error. */
bool json_scan_end(struct json_scan *scan);

/* Does the text hold one JSON value? */
bool json_scan_is_valid(struct bytes text);

/* Decode a string that json_scan gave. `ret_text` has room for raw.size bytes, which is always
 * enough. Returns the size of the decoded text. */
size_t json_scan_decode(struct json_string string, char *ret_text);

/* Is the decoded string `text`? */
bool json_scan_equals(struct json_string string, struct bytes text);

#endif
