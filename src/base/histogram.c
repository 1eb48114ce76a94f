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

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->buckets[i] += other->buckets[i];
    histogram->count += other->count;
    histogram->sum += other->sum;
    if (other->max > histogram->max)
        histogram->max = other->max;
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

uint64_t histogram_count_at_most(const struct histogram *histogram, uint64_t bound)
{
    size_t   last = bucket_of(bound);
    uint64_t count = 0;

    for (size_t i = 0; i <= last; i++)
        count += histogram->buckets[i];
    return count;
}
