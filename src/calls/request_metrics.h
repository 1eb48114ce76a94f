/* request_metrics - requests counted and timed by operation, code and source
 *
 * Every label value comes from a fixed set, so the number of series is bounded: a status code that
 * is not in the set is counted as its class ("4xx").
 */
#ifndef CALLS_REQUEST_METRICS_H
#define CALLS_REQUEST_METRICS_H

#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/metric.h"
#include "base/status.h"
#include "chroma/chroma_route.h"

/* Who gave the answer. */
enum request_metrics_source {
    REQUEST_METRICS_SOURCE_BACKEND,
    REQUEST_METRICS_SOURCE_CACHE,
    REQUEST_METRICS_SOURCE_COLLAPSED, /* the backend, to another who asked the same */
    REQUEST_METRICS_SOURCE_MIRROR,    /* a copy of the collection */
    REQUEST_METRICS_SOURCE_PROXY,     /* an error of our own */
    REQUEST_METRICS_SOURCES
};

const char *request_metrics_source_name(enum request_metrics_source source);

enum { REQUEST_METRICS_OPS = 11, REQUEST_METRICS_CODES = 32 };

struct request_metrics {
    uint64_t requests[REQUEST_METRICS_OPS][REQUEST_METRICS_CODES][REQUEST_METRICS_SOURCES];
    struct metric_histogram duration[REQUEST_METRICS_OPS][REQUEST_METRICS_SOURCES];
    uint64_t                backend_requests[REQUEST_METRICS_OPS][REQUEST_METRICS_CODES];
    struct metric_histogram backend_duration[REQUEST_METRICS_OPS];
    struct metric_histogram overhead;
    struct metric_histogram queue_wait[3];      /* by enum chroma_class */
    uint64_t                inflight[3];        /* now, by enum chroma_class */
    uint64_t                queued[3];          /* now */
    uint64_t                hung;               /* calls without an answer for long, now */
    uint64_t                aborted;            /* the client left before its answer was complete */
    uint64_t                shed[STATUS_COUNT]; /* errors of our own by status */
};

/* A request is over. `code` 0: the client left before there was one. */
void request_metrics_count(struct request_metrics             *metrics,
                           const struct chroma_operation_info *info, unsigned code,
                           enum request_metrics_source source, uint64_t duration_us);

/* The backend answered, or did not: `code` 0. */
void request_metrics_count_backend(struct request_metrics             *metrics,
                                   const struct chroma_operation_info *info, unsigned code,
                                   uint64_t duration_us);

/* Append all of it in the Prometheus text format.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status request_metrics_print(const struct request_metrics *metrics,
                                             struct byte_buffer           *out);

#endif
