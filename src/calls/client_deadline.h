/* client_deadline - the time that a client gives its request, and what is known of such times
 *
 * With deadline.from_client only. Three fields are known, the smallest time counts, from the first
 * byte of the request on:
 *
 *   x-request-timeout-ms            milliseconds
 *   grpc-timeout                    up to eight digits and H, M, S, m, u or n
 *   x-envoy-expected-rq-timeout-ms  milliseconds
 *
 * One that is none of these forms, or is zero, is ignored and counted. The fields pass as they are.
 *
 * What then becomes of a request stands in deadline_watch.h.
 *
 * Thread: event loop only. Memory: a timer for each request that has one.
 */
#ifndef CALLS_CLIENT_DEADLINE_H
#define CALLS_CLIENT_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"
#include "chroma/chroma_route.h"
#include "http/http_head.h"
#include "io/loop.h"
#include "limits/time_floor.h"

/* Of one request. Zeroes: it has none. */
struct client_deadline {
    uint64_t           at_us, given_us; /* 0: none */
    const char        *field;           /* that gave it */
    struct loop_timer *timer;
    bool               is_over; /* it is why the request ends */
};

/* Of all. */
struct client_deadlines {
    struct time_floor floors[CHROMA_OPERATION_COUNT_OF];
    uint64_t          given, malformed, unsent, passed; /* requests, fields, and ends */
};

/* The smallest time, and its field; false: none is well formed. `ret_malformed` counts the others.
 */
bool client_deadline_read(const struct http_head *head, uint64_t *ret_us, const char **ret_field,
                          unsigned *ret_malformed);

/* It has none any more, or never had. */
void client_deadline_stop(struct client_deadline *deadline);

/* No call of `operation` was answered in less lately; 0: not known. */
uint64_t client_deadline_floor(const struct client_deadlines *deadlines,
                               enum chroma_operation operation, uint64_t now_us);

/* A call was answered with `status` after `took_us`. */
void client_deadline_learn(struct client_deadlines            *deadlines,
                           const struct chroma_operation_info *info, unsigned status,
                           uint64_t took_us, uint64_t now_us);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status client_deadline_print_metrics(const struct client_deadlines *deadlines,
                                                     struct byte_buffer            *out);

#endif
