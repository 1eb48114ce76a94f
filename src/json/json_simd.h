/* json_simd - the inner loops of json_scan and base64, 64 bytes at a time
 *
 * One table of functions for each instruction set, chosen at run time by what the processor has.
 * The environment variable CHROMABOUNCER_SIMD (scalar, avx2, avx512) asks for less, so that tests
 * and benchmarks can compare them.
 *
 * Every function takes the longest prefix that it can vouch for, which may be nothing: the caller
 * goes on byte by byte and finds the end or the error. So none of them decides that a text is
 * wrong, none reads beyond `end`, and the scalar table, which takes nothing, is the reference.
 */
#ifndef JSON_JSON_SIMD_H
#define JSON_JSON_SIMD_H

#include <stdbool.h>
#include <stddef.h>

struct json_simd {
    const char *name;

    /* Skip characters of a string that stand for themselves: ASCII from 0x20 but '"' and '\'. */
    const char *(*skip_plain)(const char *at, const char *end);

    /* `at` is where a number should begin. Skip `number,number,...,number` without exponents, with
     * fewer than 32 digits in a row (so each is finite as a float), and without white space but for
     * one blank behind a comma, as Python's json prints them. Returns the
     * comma behind the last of them, or `at`; adds their count to *count. */
    const char *(*skip_numbers)(const char *at, const char *end, size_t *count);

    /* Skip whole groups of 16 base64 characters, that is of three little-endian floats; clears
     * *is_finite if one of those is not finite. */
    const char *(*skip_base64)(const char *at, const char *end, bool *is_finite);
};

/* The table in use. Thread-safe. */
const struct json_simd *json_simd(void);

/* For tests and benchmarks: use the table called `name` from now on. False, and nothing changes, if
 * there is none or this processor cannot run it. */
bool json_simd_use(const char *name);

#endif
