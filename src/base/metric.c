#include "base/metric.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

const uint64_t metric_bucket_bounds_us[METRIC_BUCKETS] = {
    10,    25,    50,    100,    250,    500,    1000,    2500,    5000,
    10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

static const char *const bucket_labels[METRIC_BUCKETS] = {
    "1e-05", "2.5e-05", "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005",
    "0.01",  "0.025",   "0.05",  "0.1",    "0.25",    "0.5",    "1",     "2.5",    "10"};

static const char *const type_names[] = {[METRIC_COUNTER] = "counter",
                                         [METRIC_GAUGE] = "gauge",
                                         [METRIC_DURATION_COUNTER] = "counter",
                                         [METRIC_HISTOGRAM] = "histogram"};

static enum status print_sample(struct byte_buffer *out, const struct metric_desc *metric,
                                const void *value);

void metric_histogram_add(struct metric_histogram *histogram, uint64_t duration_us)
{
    size_t bucket = 0;

    while (bucket < METRIC_BUCKETS && duration_us > metric_bucket_bounds_us[bucket])
        bucket++;
    histogram->buckets[bucket]++;
    histogram->sum_us += duration_us;
}

enum status metric_print(struct byte_buffer *out, const struct metric_desc *table, size_t count,
                         const void *stats)
{
    for (size_t i = 0; i < count; i++) {
        const struct metric_desc *metric = &table[i];
        enum status               status = STATUS_OK;

        if (i == 0 || strcmp(metric->name, table[i - 1].name) != 0)
            status = metric_print_header(out, metric->name, type_names[metric->kind], metric->help);
        if (status == STATUS_OK)
            status = print_sample(out, metric, (const char *)stats + metric->offset);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

enum status metric_print_header(struct byte_buffer *out, const char *name, const char *type,
                                const char *help)
{
    return byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "# HELP %s %s\n# TYPE %s %s\n", name,
                              help, name, type);
}

static enum status print_sample(struct byte_buffer *out, const struct metric_desc *metric,
                                const void *value)
{
    const char *open = metric->labels[0] == '\0' ? "" : "{";
    const char *close = metric->labels[0] == '\0' ? "" : "}";
    uint64_t    number;

    if (metric->kind == METRIC_HISTOGRAM)
        return metric_print_histogram(out, metric->name, metric->labels, value);
    memcpy(&number, value, sizeof number);
    if (metric->kind == METRIC_DURATION_COUNTER)
        return byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "%s%s%s%s %.6f\n", metric->name, open,
                                  metric->labels, close, (double)number / 1e6);
    return byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, "%s%s%s%s %" PRIu64 "\n", metric->name,
                              open, metric->labels, close, number);
}

enum status metric_print_histogram(struct byte_buffer *out, const char *name, const char *labels,
                                   const struct metric_histogram *histogram)
{
    const char *comma = labels[0] == '\0' ? "" : ",";
    const char *open = labels[0] == '\0' ? "" : "{";
    const char *close = labels[0] == '\0' ? "" : "}";
    uint64_t    total = 0;

    for (size_t i = 0; i <= METRIC_BUCKETS; i++) {
        enum status status;

        total += histogram->buckets[i];
        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                    "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, comma,
                                    i < METRIC_BUCKETS ? bucket_labels[i] : "+Inf", total);
        if (status != STATUS_OK)
            return status;
    }
    return byte_buffer_printf(
        out, METRIC_PAGE_BYTES_MAX, "%s_sum%s%s%s %.6f\n%s_count%s%s%s %" PRIu64 "\n", name, open,
        labels, close, (double)histogram->sum_us / 1e6, name, open, labels, close, total);
}
