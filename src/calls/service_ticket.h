/* service_ticket - what a request has of its service: a number, a charge, a wait
 *
 * Thread: event loop only. Memory: a timer while it is delayed, the text of a
 * refusal while its body is read.
 */
#ifndef CALLS_SERVICE_TICKET_H
#define CALLS_SERVICE_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "calls/access_log.h"
#include "calls/call.h"
#include "calls/services.h"
#include "chroma/chroma_route.h"
#include "io/loop.h"

struct exchange_path;

/* Zeroes: services are not told apart. */
struct service_ticket {
    bool                        is_known;
    bool                        has_asked;   /* Chroma, before a call of its own */
    uint32_t                    service;     /* its number, */
    uint32_t                    flow;        /* and its place in the queue of turns, */
    uint32_t                    lane_flow;   /* where others wait behind it */
    uint32_t                    records_max; /* of a call that it shares; 0: none of its own */
    struct services_charge      charge;
    struct services_refusal    *refusal; /* while the body of a refused request is read */
    struct loop_timer          *timer;   /* while it is delayed, and what it begins then */
    const struct exchange_path *path;
};

/* For whom the call of a request of this route is. */
struct call_origin service_ticket_origin(const struct service_ticket *ticket,
                                         const struct chroma_route   *route);

/* The request is over: settle what it was charged, by its record. `read`: its own call, of which
 * the record tells only what was answered; zeroes: none. */
void service_ticket_end(struct service_ticket *ticket, struct services *services,
                        const struct access_record *record, const struct call *read,
                        uint64_t now_us);

#endif
