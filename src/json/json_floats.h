/* json_floats - the numbers of vectors and filters, as every server reads them
 *
 * Chroma's servers read a number in different ways: serde_json, which the Rust server has, rounds
 * its digits to 64 bits, divides by a power of ten and rounds to 32 bits, the Python server's
 * parser rounds once, exactly. A number is converted here only where all of these must give the
 * same: where the 64-bit value, which none of them misses by more than two units in the last place,
 * is not within eight of the middle between two floats. Where that is not certain it is not
 * converted.
 *
 * Thread: any. Memory: none.
 */
#ifndef JSON_JSON_FLOATS_H
#define JSON_JSON_FLOATS_H

#include <stdbool.h>
#include <stddef.h>

#include "json/json_number.h"
#include "json/json_scan.h"

/* Take the number that comes next and those that follow it in the array, as long as each becomes
 * one and the same finite float in every server (-0 as 0), `max` > 0 at most. To be called in an
 * array after json_scan_element(), which comes next. Returns how many were taken; 0: the next value
 * is no such number and was not taken. */
size_t json_floats_take(struct json_scan *scan, float *ret_floats, size_t max);

/* The value of a number that is exact in every server but for the last rounding to 64 bits: its
 * digits are below 2^53, its power of ten one that is itself exact. False: it is not so, or -0. */
bool json_floats_exact(struct json_number number, double *ret_value);

#endif
