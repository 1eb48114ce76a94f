#include "calls/service_ticket.h"

#include <stdlib.h>
#include <string.h>

static struct services_use ticket_use(const struct service_ticket *ticket,
                                      const struct access_record *record, const struct call *read,
                                      uint64_t now_us);
static bool                cost_nothing(const struct access_record *record);

struct call_origin service_ticket_origin(const struct service_ticket *ticket,
                                         const struct chroma_route   *route)
{
    struct call_origin origin = {.service = ticket->service,
                                 .flow = ticket->flow,
                                 .cost_us = ticket->charge.cost_us,
                                 .has_collection = ticket->is_known && route->has_uuid};

    memcpy(origin.collection, route->uuid, sizeof origin.collection);
    return origin;
}

void service_ticket_end(struct service_ticket *ticket, struct services *services,
                        const struct access_record *record, const struct call *read,
                        uint64_t now_us)
{
    struct services_use use = ticket_use(ticket, record, read, now_us);

    loop_timer_free(ticket->timer);
    free(ticket->refusal);
    ticket->timer = NULL;
    ticket->refusal = NULL;
    if (ticket->charge.generation != 0)
        services_settle(services, ticket->service, &ticket->charge, &use, now_us);
    ticket->charge.generation = 0;
}

/* A merged write's part of its call is that of one of its members. A read that is given up has had
 * Chroma until now. */
static struct services_use ticket_use(const struct service_ticket *ticket,
                                      const struct access_record *record, const struct call *read,
                                      uint64_t now_us)
{
    bool                call_began = read->connected_us != 0;
    uint64_t            members = record->batch.attempts > 0 ? record->batch.members : 1;
    struct services_use use = {.was_sent = call_began || ticket->has_asked ||
                                           record->connected_us != 0 ||
                                           record->batch.attempts > 0 || record->write_goes_on,
                               .body_bytes = record->request_bytes + record->answer_bytes};

    if (cost_nothing(record)) {
        use.was_sent = use.is_answered = true;
    } else if (record->connected_us != 0 && record->first_byte_us >= record->connected_us) {
        use.is_answered = true;
        use.cost_us = (record->first_byte_us - record->connected_us) / (members == 0 ? 1 : members);
    } else if (call_began) {
        use.cost_us = now_us - read->connected_us;
    }
    return use;
}

/* It was had, and Chroma not asked for it. */
static bool cost_nothing(const struct access_record *record)
{
    return record->source == REQUEST_METRICS_SOURCE_CACHE ||
           record->source == REQUEST_METRICS_SOURCE_COLLAPSED ||
           record->source == REQUEST_METRICS_SOURCE_MIRROR;
}
