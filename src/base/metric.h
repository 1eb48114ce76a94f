/* metric - counters, gauges and histograms described by tables
 *
 * A module keeps plain numbers in its own stats struct and describes them in one table; the
 * metrics page walks the tables. Nothing here is global.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"

/* Upper bounds of the histogram buckets, in microseconds: 10 us .. 10 s, then infinity. */
enum { METRIC_BUCKETS = 18 };
extern const uint64_t metric_bucket_bounds_us[METRIC_BUCKETS];

/* Durations counted in fixed buckets; zero-initialised means empty. */
struct metric_histogram {
    uint64_t buckets[METRIC_BUCKETS + 1]; /* not cumulative; the last is beyond all bounds */
    uint64_t sum_us;
};

void metric_histogram_add(struct metric_histogram *histogram, uint64_t duration_us);

enum metric_kind {
    METRIC_COUNTER,          /* uint64_t */
    METRIC_GAUGE,            /* uint64_t */
    METRIC_DURATION_COUNTER, /* uint64_t microseconds, shown in seconds */
    METRIC_HISTOGRAM         /* struct metric_histogram, shown in seconds */
};

struct metric_desc {
    const char      *name;   /* Prometheus name with the unit and, for counters, _total */
    const char      *labels; /* "state=\"idle\"", or "" */
    const char      *help;   /* what it counts; what to think when it rises */
    enum metric_kind kind;
    size_t           offset; /* inside the stats struct */
};

/* One table row for `field` of `struct stats_type`. Rows of one name stand together. */
#define METRIC_LABELED(kind_, stats_type, field, name_, labels_, help_)                            \
    {                                                                                              \
        .name = (name_), .labels = (labels_), .help = (help_), .kind = METRIC_##kind_,             \
        .offset = offsetof(struct stats_type, field)                                               \
    }
#define METRIC(kind_, stats_type, field, name_, help_)                                             \
    METRIC_LABELED(kind_, stats_type, field, name_, "", help_)

/* The metrics page may be this large; what does not fit is STATUS_LIMIT_REACHED. */
enum { METRIC_PAGE_BYTES_MAX = 4 << 20 };

/* Append `count` metrics of `stats` to `out` in the Prometheus text format.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status metric_print(struct byte_buffer *out, const struct metric_desc *table,
                                    size_t count, const void *stats);

/* Append the `# HELP` and `# TYPE` lines of one family; `type` as Prometheus names it. */
MUST_CHECK enum status metric_print_header(struct byte_buffer *out, const char *name,
                                           const char *type, const char *help);

/* Append the samples of one histogram; `labels` without braces, or "". */
MUST_CHECK enum status metric_print_histogram(struct byte_buffer *out, const char *name,
                                              const char                    *labels,
                                              const struct metric_histogram *histogram);

#endif
