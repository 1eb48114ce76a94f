/* access_log - one line for every request, also for those that were refused or given up
 *
 * Says what was asked (never a field value, token, body or vector), the answer, where the time
 * went, and who ended it.
 */
#ifndef CALLS_ACCESS_LOG_H
#define CALLS_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "calls/proxy_options.h"
#include "calls/request_metrics.h"
#include "front/front_connection.h"

/* Who ended the request. */
enum access_end {
    ACCESS_END_OK,
    ACCESS_END_CLIENT,  /* it left, or sent what is not HTTP, or was too slow */
    ACCESS_END_BACKEND, /* it failed before or while answering */
    ACCESS_END_PROXY,   /* refused or given up by us */
};

/* The last call that a write was part of. */
struct access_batch {
    uint64_t id, sent_us;
    uint32_t members, index;
    uint32_t attempts; /* 0: it was part of none */
};

/* Of why a request was refused; a longer text is cut. */
enum { ACCESS_REASON_SIZE = 448 };

/* What is known of one request. Times are monotonic microseconds; 0: it did not happen. */
struct access_record {
    uint64_t                    began_us, body_ended_us, connected_us, first_byte_us, answered_us;
    uint64_t                    room_us;                     /* waited for room for its body */
    uint64_t                    queue_us;                    /* waited for its turn at Chroma */
    uint64_t                    overhead_us;                 /* spent in our own code */
    uint64_t                    request_bytes, answer_bytes; /* of the bodies */
    uint64_t                    records;                     /* of a write; 0: not known */
    unsigned                    code;                        /* 0: no answer was begun */
    enum request_metrics_source source;
    enum access_end             end;
    bool                        was_retried;
    bool                        write_goes_on; /* without its client */
    struct access_batch         batch;
    uint64_t                    deadline_us; /* that the client gave; 0: none */
    const char                 *key;         /* the name of the caller's; NULL: none is known */
    const char                 *service;     /* NULL: services are not told apart */
    uint64_t                    limit_us;    /* waited for the limit of its service */
    char reason[ACCESS_REASON_SIZE];         /* which limit refused it; empty: none */
};

/* What was asked; borrowed for the call. */
struct access_request {
    const char                  *op;
    struct bytes                 method, path;
    const struct socket_address *peer;
};

/* The client has its answer, or will not get one. */
void access_log_request(enum proxy_access_log wanted, const struct access_request *request,
                        const struct access_record *record, uint64_t now_us);

/* Something that never became a request was refused. */
void access_log_refused(enum proxy_access_log wanted, const struct front_connection *connection,
                        const struct error *error);

#endif
