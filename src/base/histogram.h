/* histogram - how often each value occurred, to within 0.8 %, in fixed memory
 *
 * Log-linear buckets, as in HdrHistogram: values below 256 have a bucket each; from there on every
 * power of two is cut into 128 buckets of equal width. Values from 2^36 on (in microseconds: 19
 * hours) count as 2^36 - 1.
 *
 * Zero-initialised means empty. 30 KiB; pages that no value touches cost nothing in static or
 * calloc()ed memory.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 7,
    HISTOGRAM_VALUE_BITS = 36,
    HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS
};

struct histogram {
    uint64_t count; /* of values */
    uint64_t sum;   /* of values, as recorded */
    uint64_t max;   /* largest value, as recorded */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Count `value` once. */
void histogram_record(struct histogram *histogram, uint64_t value);

/* The smallest value that `fraction` (0..1) of all values do not exceed, as the middle of its
 * bucket and never above the largest value; 0 when empty. */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);

/* The mean of all values; 0 when empty. */
double histogram_mean(const struct histogram *histogram);

#endif
