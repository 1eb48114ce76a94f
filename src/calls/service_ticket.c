#include "calls/service_ticket.h"

#include <stdlib.h>
#include <string.h>

static bool     was_had(const struct access_record *record, bool call_began);
static bool     cost_nothing(const struct access_record *record);
static uint64_t cost_of(const struct access_record *record);

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
                        const struct access_record *record, bool call_began, uint64_t now_us)
{
    loop_timer_free(ticket->timer);
    free(ticket->refusal);
    ticket->timer = NULL;
    ticket->refusal = NULL;
    if (ticket->charge.generation != 0)
        services_settle(services, ticket->service, &ticket->charge, was_had(record, call_began),
                        cost_of(record), record->request_bytes + record->answer_bytes, now_us);
    ticket->charge.generation = 0;
}

static bool was_had(const struct access_record *record, bool call_began)
{
    return call_began || record->connected_us != 0 || record->batch.attempts > 0 ||
           record->write_goes_on || cost_nothing(record);
}

/* It was had, and Chroma not asked for it. */
static bool cost_nothing(const struct access_record *record)
{
    return record->source == REQUEST_METRICS_SOURCE_CACHE ||
           record->source == REQUEST_METRICS_SOURCE_COLLAPSED ||
           record->source == REQUEST_METRICS_SOURCE_MIRROR;
}

/* A merged write's part of its call is that of one of its members. */
static uint64_t cost_of(const struct access_record *record)
{
    uint64_t members = record->batch.attempts > 0 ? record->batch.members : 1;

    if (cost_nothing(record))
        return 0;
    if (record->connected_us == 0 || record->first_byte_us < record->connected_us)
        return SERVICES_COST_UNKNOWN;
    return (record->first_byte_us - record->connected_us) / (members == 0 ? 1 : members);
}
