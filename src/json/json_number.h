/* json_number - the numbers of JSON: where one ends, whether it is too large, what its value is
 *
 * Judged and converted as serde_json, Chroma's parser, does: what its arithmetic makes infinite as
 * a 64-bit float is an error, and that arithmetic is not exact, it may miss the nearest float.
 *
 * Thread: any. Memory: none.
 */
#ifndef JSON_JSON_NUMBER_H
#define JSON_JSON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct json_number {
    struct bytes raw;
    bool         is_integer; /* without fraction and exponent */
    bool is_safe_float;      /* certainly finite as a 32-bit float; false does not say it is not */
};

/* The end of the number that begins at `at`, which is before `end`; NULL if there is no number
 * there or it is out of range. */
const char *json_number_end(const char *at, const char *end, struct json_number *ret_number);

enum json_number_kind {
    JSON_NUMBER_INTEGER,  /* fits 64 bits with a sign */
    JSON_NUMBER_UNSIGNED, /* a larger integer that fits 64 bits without one */
    JSON_NUMBER_DOUBLE    /* everything else; also -0 */
};

/* The value of a number that json_number_end() gave, as serde_json reads it. *ret_integer is
 * written for JSON_NUMBER_INTEGER only, *ret_double always: the nearest float of an integer. */
enum json_number_kind json_number_read(struct json_number number, int64_t *ret_integer,
                                       double *ret_double);

/* What serde_json reads of the text that it writes of `value`, which is finite. That text is the
 * shortest one that means no other float, but read as above it may still become another. */
double json_number_reread(double value);

#endif
