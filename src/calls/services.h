/* services - the services that requests belong to: recognition, limits, numbers
 *
 * Each service has a number, below SERVICES_MAX, and keeps it as long as it is in the settings;
 * SERVICES_DEFAULT is that of all that belong to no other. In the queue of turns a service has two
 * flows of the same weight: services_flow() has its bound on calls at a time, services_free_flow()
 * has none, for calls that others wait behind and for health checks.
 *
 * The flows are those of proxy->turns. Thread: event loop only. Memory: some 30
 * KiB, and what service_match.h and service_limits.h say.
 */
#ifndef CALLS_SERVICES_H
#define CALLS_SERVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "calls/service_options.h"
#include "calls/service_state.h"
#include "chroma/chroma_route.h"
#include "front/front_connection.h"
#include "limits/cost_predictor.h"
#include "limits/key_ring.h"
#include "limits/service_limits.h"
#include "limits/turn_queue.h"

enum {
    SERVICES_DEFAULT = 0,
    SERVICES_MAX = PROXY_SERVICES_MAX + 1,
    SERVICES_FLOWS = 2 * SERVICES_MAX
};

static inline uint32_t services_flow(uint32_t service)
{
    return service;
}

static inline uint32_t services_free_flow(uint32_t service)
{
    return SERVICES_MAX + service;
}

struct services; /* opaque */

/* What one request was charged. Zeroes: nothing yet. */
struct services_charge {
    uint64_t generation; /* of the settings under which it was charged; 0: it
                          * was not */
    struct service_limits_verdict verdict;
    enum cost_kind                kind;
    double                        units;
    uint64_t                      cost_us; /* expected */
};

/* `turns`, with SERVICES_FLOWS services, is borrowed. Nobody is limited yet. NULL when out of
 * memory. */
struct services *services_new(struct turn_queue *turns, const unsigned char secret[16]);

/* NULL is a no-op. */
void services_free(struct services *services);

/* From now on these. What a service has used of its rates stays used.
 * STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status services_set(struct services                     *services,
                                    const struct proxy_services_options *options, uint64_t now_us);

/* Are services told apart at all? */
bool services_are_on(const struct services *services);

/* The service of a request that begins, with this key (NULL: none). A field that names one, from a
 * peer that is not believed, goes no further. */
uint32_t services_recognise(const struct services *services, struct front_connection *connection,
                            const struct http_head *head, const struct key_ring_key *key);

/* Borrowed; changes when another service gets the number. */
const char *services_name(const struct services *services, uint32_t service);

/* May a request with a body of so many bytes (0: not known) go on? Outcomes as
 * service_limits_admit(). */
MUST_CHECK enum status services_admit(struct services *services, uint32_t service,
                                      enum chroma_operation operation, uint64_t body_bytes,
                                      uint64_t now_us, struct services_charge *ret_charge);

/* What a request had. Of one that was not answered it is not known how long Chroma worked on it: it
 * costs what was expected, or the time that Chroma had for it if that is more. */
struct services_use {
    bool     was_sent, is_answered;
    uint64_t cost_us;    /* what it took of Chroma's time */
    uint64_t body_bytes; /* of request and answer */
};

/* The request that was admitted is over. */
void services_settle(struct services *services, uint32_t service,
                     const struct services_charge *charge, const struct services_use *use,
                     uint64_t now_us);

/* Why it was refused, for a client: the message, and field lines that tell its limit. */
enum { SERVICES_TEXT_SIZE = 512 };
struct services_refusal {
    unsigned retry_after_s;
    char     message[SERVICES_TEXT_SIZE], fields[SERVICES_TEXT_SIZE];
};
void services_explain(const struct services *services, uint32_t service,
                      const struct services_charge *charge, uint64_t now_us,
                      struct services_refusal *ret);

/* A call of this class, whose turn was of the service's flow, was refused because of this bound. */
void services_note_refused(struct services *services, uint32_t flow, enum turn_class class,
                           enum turn_bound bound);

/* What bounds the calls of the service in a collection, for the turn of one call; NULL: nothing. To
 * be given back when the turn is over. */
struct fair_gate *services_gate(struct services *services, uint32_t service, enum turn_class class,
                                const uint8_t collection[16]);
void              services_drop_gate(struct services *services, struct fair_gate *gate);

/* Records that a call may have for it if it shares one; 0: no bound of its own. */
uint32_t services_records_max(const struct services *services, uint32_t service);

/* Call `fn` for each service that there is, the default one first. */
void services_each(const struct services *services, service_state_fn *fn, void *ctx,
                   uint64_t now_us);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status services_print_metrics(const struct services *services,
                                              struct byte_buffer    *out);

#endif
