/* service_limits - what each service may ask for
 *
 * Three questions on the way of a request, in the order in which resources are taken:
 *
 *   admission    service_limits_admit(): rates of requests, or of Chroma's time, and of bytes. All
 *                of them are looked at before any is charged. What is admitted is settled once,
 *                with service_limits_settle(), also when it was never sent.
 *   a batch      service_limits_records_max(): records that one call may carry for a service.
 *   a turn       service_limits_gate(): what one service has under way in one collection; the gate
 *                is the turn's.
 *
 * How many turns a service has in all is told to the turn queue (turn_queue_set_service()).
 *
 * Service 0 is the one of all callers that match no other.
 *
 * Thread: event loop only. Memory: 300 bytes for each service; 100 bytes for each gate in use, of
 * which there are SERVICE_LIMITS_GATES_MAX at most.
 */
#ifndef LIMITS_SERVICE_LIMITS_H
#define LIMITS_SERVICE_LIMITS_H

#include "base/bytes.h"
#include "base/siphash.h"
#include "limits/fair_queue.h"
#include "limits/rate_limit.h"
#include "limits/turn_queue.h"

enum { SERVICE_LIMITS_GATES_MAX = 65536, SERVICE_LIMITS_KEY_MAX = 64 };

enum service_limit { SERVICE_LIMIT_NONE, SERVICE_LIMIT_RATE, SERVICE_LIMIT_BYTES };

struct service_limits_options {
    struct rate_limit_options rate; /* requests, or microseconds of Chroma's time */
    bool                      is_rate_in_time;
    struct rate_limit_options bytes;
    size_t                    collection_max[TURN_CLASSES]; /* turns in one collection; 0: none */
    size_t                    batch_records_max;            /* 0: none of its own */
};

/* What came of an admission. */
struct service_limits_verdict {
    enum service_limit limit;   /* which one delays or refuses */
    uint64_t           wait_us; /* delay, or until it would fit */
    uint64_t           charged_units, charged_bytes;
    bool               is_shadowed; /* it would be refused: it is charged, and settled, nothing */
};

struct service_limits_stats {
    uint64_t admitted, delayed, refused[3], shadowed[3]; /* the arrays by enum service_limit */
};

struct service_limits; /* opaque */

/* `options` has one row for each of `services` and is copied. NULL when out of memory. */
struct service_limits *service_limits_new(size_t                               services,
                                          const struct service_limits_options *options,
                                          const unsigned char secret[SIPHASH_KEY_SIZE]);

/* No gate may be in use. NULL is a no-op. */
void service_limits_free(struct service_limits *limits);

/* Another row for one service from now on. */
void service_limits_set(struct service_limits *limits, uint32_t service,
                        const struct service_limits_options *options, uint64_t now_us);

/* May a request of so many bytes go on, expected to keep Chroma busy for `cost_us`? `ret` is always
 * filled.
 *
 * STATUS_OK             yes. Of what only its shadow refuses nothing is charged either, so that as
 *                       much is counted as would be refused.
 * STATUS_AGAIN          after ret->wait_us; it is charged.
 * STATUS_LIMIT_REACHED  no; ret->limit says why. Nothing is charged. */
MUST_CHECK enum status service_limits_admit(struct service_limits *limits, uint32_t service,
                                            uint64_t bytes, uint64_t cost_us, uint64_t now_us,
                                            struct service_limits_verdict *ret);

/* The request that got `verdict` is over and kept Chroma busy for `cost_us`, 0: it was not sent. */
void service_limits_settle(struct service_limits *limits, uint32_t service,
                           const struct service_limits_verdict *verdict, bool was_sent,
                           uint64_t cost_us, uint64_t now_us);

/* It was sent, and had `bytes` in all. */
void service_limits_settle_bytes(struct service_limits *limits, uint32_t service,
                                 const struct service_limits_verdict *verdict, uint64_t bytes,
                                 uint64_t now_us);

/* Records that one call may carry for it; SIZE_MAX: as many as one likes. */
size_t service_limits_records_max(const struct service_limits *limits, uint32_t service);

/* The gate of a turn of READ or WRITE in a collection (its UUID or name, SERVICE_LIMITS_KEY_MAX
 * bytes at most); NULL: there is no bound, or no memory or room for one more gate. To be given back
 * with service_limits_drop_gate() when the turn is done. */
struct fair_gate *service_limits_gate(struct service_limits *limits, uint32_t service,
                                      enum turn_class class, struct bytes     collection);
void              service_limits_drop_gate(struct service_limits *limits, struct fair_gate *gate);

/* Walk all gates in use, in no order: begin with *position 0, until NULL. *ret_max is what the
 * service's row says now, and 0 where it has no bound: the gate's own stays what it was until
 * somebody tells the queue in which its turns wait. */
struct fair_gate *service_limits_next_gate(const struct service_limits *limits, size_t *position,
                                           enum turn_class *ret_class, size_t *ret_max);

/* For the RateLimit fields of an answer. Borrowed; valid for the limits' life. */
const struct rate_limit *service_limits_rate(const struct service_limits *limits, uint32_t service);

const struct service_limits_stats *service_limits_stats(const struct service_limits *limits,
                                                        uint32_t                     service);

#endif
