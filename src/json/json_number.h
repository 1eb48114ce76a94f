/* json_number - the numbers of JSON: where one ends, and whether it is too large
 *
 * A number is never converted. Its range is judged as serde_json, Chroma's parser, does: what its
 * arithmetic makes infinite as a 64-bit float is an error.
 *
 * Thread: any. Memory: none.
 */
#ifndef JSON_JSON_NUMBER_H
#define JSON_JSON_NUMBER_H

#include <stdbool.h>

#include "base/bytes.h"

struct json_number {
    struct bytes raw;
    bool         is_integer; /* without fraction and exponent */
    bool is_safe_float;      /* certainly finite as a 32-bit float; false does not say it is not */
};

/* The end of the number that begins at `at`, which is before `end`; NULL if there is no number
 * there or it is out of range. */
const char *json_number_end(const char *at, const char *end, struct json_number *ret_number);

#endif
