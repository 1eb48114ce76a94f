#include "proxy/guard_gate.h"

#include <string.h>

#include "chroma/chroma_removal.h"
#include "lanes/guard.h"
#include "lanes/guard_look.h"

/* A longer name is not known: Chroma's end at 512 bytes. */
enum { gate_name_max = 640 };

struct gate_names {
    char tenant[gate_name_max], database[gate_name_max], collection[gate_name_max];
};

static enum guard_reason gate_judge(const struct exchange *exchange, struct gate_names *names,
                                    struct guard_target *target);
static struct bytes      gate_decode(struct bytes segment, char room[gate_name_max]);

void guard_gate_take_confirm(struct exchange *exchange)
{
    const struct http_head *head = exchange->head;
    bool                    is_seen = false;

    if (!guard_is_on(exchange->proxy))
        return;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != HTTP_FIELD_X_CHROMABOUNCER_CONFIRM)
            continue;
        exchange->confirm = is_seen ? (struct bytes){0} : head->fields[i].value;
        is_seen = true;
        front_connection_drop_field(exchange->reply.connection, i);
    }
}

bool guard_gate_refuses(struct exchange *exchange)
{
    struct guard       *guard = exchange->proxy->guard;
    struct gate_names   names;
    struct guard_target target;
    enum guard_reason   reason;
    char                message[GUARD_MESSAGE_SIZE];

    if (!guard_is_on(exchange->proxy))
        return false;
    reason = gate_judge(exchange, &names, &target);
    if (reason == GUARD_REASONS || !guard_holds(guard, &target) ||
        guard_lets(guard, &target, exchange->confirm, &exchange->route))
        return false;
    reply_error(&exchange->reply, STATUS_GUARDED, FRONT_EXECUTED_NO,
                guard_refuse(guard, reason, &target, &exchange->route, "", message));
    return true;
}

/* Why it would be refused, if it is not confirmed and its target is guarded. GUARD_REASONS: for
 * nothing that is said here. */
static enum guard_reason gate_judge(const struct exchange *exchange, struct gate_names *names,
                                    struct guard_target *target)
{
    const struct chroma_route *route = &exchange->route;

    *target = (struct guard_target){.kind = GUARD_TARGET_DATABASE,
                                    .tenant = gate_decode(route->tenant, names->tenant),
                                    .database = gate_decode(route->database, names->database)};
    switch (route->operation) {
    case CHROMA_OPERATION_RESET:
        target->kind = GUARD_TARGET_EVERYTHING;
        return GUARD_REASON_RESET;
    case CHROMA_OPERATION_DATABASE_DELETE:
        return GUARD_REASON_DATABASE;
    case CHROMA_OPERATION_COLLECTION_DELETE:
        target->kind = GUARD_TARGET_COLLECTION;
        target->collection = gate_decode(route->collection, names->collection);
        if (target->collection.data != NULL)
            return GUARD_REASON_COLLECTION;
        *target = (struct guard_target){.kind = GUARD_TARGET_UNKNOWN};
        return GUARD_REASON_UNKNOWN_ROUTE;
    case CHROMA_OPERATION_FUNCTION_DETACH:
        return chroma_removal_leaves_output(byte_buffer_bytes(&exchange->body))
                   ? GUARD_REASONS
                   : GUARD_REASON_FUNCTION;
    case CHROMA_OPERATION_DELETE:
    case CHROMA_OPERATION_COLLECTION_MODIFY:
    case CHROMA_OPERATION_CONDITIONAL_COMMIT:
    case CHROMA_OPERATION_UNKNOWN_WRITE:
        *target = (struct guard_target){.kind = GUARD_TARGET_UNKNOWN};
        return route->has_uuid ? GUARD_REASONS : GUARD_REASON_UNKNOWN_ROUTE;
    default:
        return GUARD_REASONS;
    }
}

/* Without data: it is not there, or not known. Servers that decode a path before they take it apart
 * find another name behind an encoded slash. */
static struct bytes gate_decode(struct bytes segment, char room[gate_name_max])
{
    size_t size;

    if (segment.size == 0 || !chroma_route_decode(segment, room, gate_name_max, &size) ||
        memchr(room, '/', size) != NULL)
        return (struct bytes){0};
    return (struct bytes){.data = room, .size = size};
}

bool guard_gate_mark(const struct exchange *exchange, struct write *write)
{
    if (!guard_is_on(exchange->proxy) || !exchange->route.has_uuid)
        return true;
    switch (exchange->route.operation) {
    case CHROMA_OPERATION_DELETE:
    case CHROMA_OPERATION_COLLECTION_MODIFY:
    case CHROMA_OPERATION_CONDITIONAL_COMMIT:
    case CHROMA_OPERATION_UNKNOWN_WRITE:
        return guard_look_new(write, exchange->confirm);
    default:
        return true;
    }
}
