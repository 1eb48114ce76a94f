/* text - numbers, durations and sizes as people write them, and what they may have meant
 *
 * Units are part of the value (`250ms`, `64MiB`): a number without its unit is refused, so that
 * nobody has to remember which unit a setting counts in. Text is borrowed and need not end in NUL.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* Room for every number, duration or size that is written here, with the NUL. */
enum { TEXT_NUMBER_SIZE = 32 };

/* Is `c` an ASCII letter or digit, whatever the locale? */
static inline bool text_is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Read decimal digits and nothing else. False, *ret_value unchanged: not so, or above 2^64-1. */
MUST_CHECK bool text_to_number(struct bytes text, uint64_t *ret_value);

/* Read a whole number with its unit: us, ms, s, m, h. False: no such duration, or it does not fit.
 */
MUST_CHECK bool text_to_duration(struct bytes text, uint64_t *ret_value_us);

/* Read a whole number with its unit: B, KiB, MiB, GiB. False: no such size, or it does not fit. */
MUST_CHECK bool text_to_size(struct bytes text, uint64_t *ret_value_bytes);

/* Read a share of hundred, with at most four decimals: `0.1%`, or `0`. In parts of a million.
 * False: no such share, or it does not fit. */
MUST_CHECK bool text_to_share(struct bytes text, uint64_t *ret_per_million);

/* Write the value with the largest unit that divides it, minutes and hours as seconds so that
 * durations are easy to compare: 90000000 is "90s", 0 is "0s" or "0B". `out` has TEXT_NUMBER_SIZE
 * bytes and is returned. */
const char *text_of_duration(uint64_t value_us, char *out);
const char *text_of_size(uint64_t value_bytes, char *out);

/* Likewise, with as many decimals as it takes: "0.1%". */
const char *text_of_share(uint64_t per_million, char *out);

/* Bytes of the character that `text` begins with: 1..4; 0 when there is none, or none that is safe
 * on a terminal and in JSON: a control character (C1 too) or invalid UTF-8. */
size_t text_character(struct bytes text);

/* Write `text` in single quotes, each byte that text_character() refuses as `?`, a long text cut,
 * so that it can be shown on a terminal. Returns `out`, of `size` bytes (>= 8). */
const char *text_quote(struct bytes text, char *out, size_t size);

/* How many letters must be inserted, left out, changed or swapped with their neighbour to come
 * from `left` to `right`, whatever their case; at most `limit`, which also stands for "more". */
unsigned text_distance(const char *left, const char *right, unsigned limit);

#endif
