#include "base/histogram.h"

#include <math.h>
#include <stddef.h>

static const uint64_t value_max = (UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1;

/* With s sub-bucket bits: values below 2^(s+1) are their own index; above, the top s+1 bits of the
 * value, of which the first is always 1, follow the number of bits that were shifted out. */
static size_t bucket_of(uint64_t value)
{
    unsigned shift;

    if (value > value_max)
        value = value_max;
    if (value >> (HISTOGRAM_SUB_BITS + 1) == 0)
        return (size_t)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
}

static uint64_t middle_of(size_t bucket)
{
    size_t   first_wide = (size_t)2 << HISTOGRAM_SUB_BITS;
    unsigned shift;

    if (bucket < first_wide)
        return bucket;
    shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    return ((uint64_t)(bucket - ((size_t)shift << HISTOGRAM_SUB_BITS)) << shift) +
           (UINT64_C(1) << shift) / 2;
}

void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram->buckets[bucket_of(value)]++;
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
    uint64_t wanted = (uint64_t)ceil(fraction * (double)histogram->count), seen = 0;

    if (wanted < 1)
        wanted = 1;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted)
            return middle_of(i) < histogram->max ? middle_of(i) : histogram->max;
    }
    return histogram->max; /* empty, or a fraction above 1 */
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->count == 0 ? 0 : (double)histogram->sum / (double)histogram->count;
}
