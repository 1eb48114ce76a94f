/* top_digest - what `top` shows, computed from two answers to `stats`
 *
 * Rates and quantiles are those of the time between the two answers; what is said to be now is of
 * the second one.
 */
#ifndef CLI_TOP_DIGEST_H
#define CLI_TOP_DIGEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/metric.h"

enum { TOP_DIGEST_OPS_MAX = 16, TOP_DIGEST_BUCKETS = METRIC_BUCKETS + 1 };

/* Quantiles in seconds; 0 when nothing happened. */
struct top_digest_op {
    char   name[16];
    double per_second, errors_per_second; /* errors: answers of 400 and above */
    double backend_per_second;            /* calls of Chroma */
    double p50, p99, backend_p50;
};

struct top_digest {
    char                 version[24], backend[128], problem[160];
    bool                 backend_up, draining;
    double               interval, uptime; /* seconds */
    double               cpu;              /* share of one processor */
    double               resident_bytes, buffered_bytes, buffered_max_bytes;
    double               clients;
    double               per_second[2]; /* requests answered by the backend, by the proxy */
    double               aborted_per_second;
    double               p50, p99, overhead_p50, overhead_p99, queue_p99;
    double               busy, idle, connecting, connections_max;
    double               waiting[3]; /* other, read, write */
    double               writes_waiting, records_waiting, write_calls, writes_hung, oldest_call;
    double               batches_per_second, requests_per_batch, records_per_batch;
    double               splits_per_second;
    double               copies, copies_complete; /* of collections */
    double               copied_records, hollow_records, copies_left_s, copies_bytes;
    double               copies_per_second; /* answers from them */
    struct top_digest_op ops[TOP_DIGEST_OPS_MAX];
    size_t               op_count;
    double               buckets[TOP_DIGEST_BUCKETS]; /* requests by duration, as metric.h has it */
};

enum top_digest_sort { TOP_DIGEST_BY_RATE, TOP_DIGEST_BY_P99, TOP_DIGEST_BY_ERRORS };

/* `before` and `now` are borrowed, `interval` seconds lie between them. */
void top_digest_make(struct top_digest *digest, const json_t *before, const json_t *now,
                     double interval);

void top_digest_sort(struct top_digest *digest, enum top_digest_sort by);

/* The digest as an object, given; NULL when out of memory. */
json_t *top_digest_json(const struct top_digest *digest);

#endif
