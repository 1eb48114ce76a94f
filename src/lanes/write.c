#include "lanes/write.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "calls/request_head.h"
#include "chroma/chroma_repeat.h"
#include "chroma/collection_table.h"
#include "chroma/request_identity.h"

/* More records than this in one request are sent as they are. */
enum { records_max = 1 << 16 };

/* A name longer than this is not looked up; Chroma's end at 512 bytes. */
enum { write_name_max = 520 };

static bool              write_copy_head(struct write *write, const struct write_request *request);
static enum coalescer_op write_op(enum chroma_operation operation);
static bool              write_write_shared_head(struct write *write, const struct http_head *head);
static bool              write_write_identity(struct write *write, const struct http_head *head,
                                              const struct socket_address *peer);
static bool write_find_lane(const struct write *write, uint64_t now_us, unsigned char ret_lane[16]);
static void write_note(const struct write *write, struct access_record *record);
static void write_take_room(struct write *write, const struct write_request *request);

struct write *write_new(struct proxy *proxy, const struct write_request *request,
                        struct write_waiter *waiter)
{
    struct write *write = calloc(1, sizeof *write);
    bool          may_share = proxy->write_options.is_coalescing && request->route->has_uuid &&
                     write_op(request->route->operation) != COALESCER_OTHER;

    if (write == NULL)
        return NULL;
    write->proxy = proxy;
    list_push_back(&proxy->writes, &write->node);
    timeout_queue_init_node(&write->again);
    lane_rooms_init_ticket(&write->lane_room, NULL);
    if (!write_copy_head(write, request) ||
        (may_share && (!write_write_shared_head(write, request->head) ||
                       !write_write_identity(write, request->head, request->peer)))) {
        write_free(write);
        return NULL;
    }
    write_take_room(write, request);
    write->arrived_us = request->arrived_us;
    write->deadline_us = request->deadline_us;
    write->is_clients_deadline = request->is_clients_deadline;
    write->slack_us = request->slack_us;
    write->origin = request->origin;
    write->lane_flow = request->lane_flow;
    write->records_max = request->records_max;
    write->sender = request->sender;
    write->waiter = waiter;
    return write;
}

/* The request's own head goes with its client, and the route's spans point into it: they are moved
 * to the same target in ours. */
static bool write_copy_head(struct write *write, const struct write_request *request)
{
    const struct http_head *head = request->head;
    enum http_framing       framing =
        head->framing == HTTP_FRAMING_NONE ? HTTP_FRAMING_NONE : HTTP_FRAMING_LENGTH;
    struct bytes *spans[] = {&write->route.tenant, &write->route.database,
                             &write->route.collection};
    const char   *target;

    if (!request_head_write(head, framing, byte_buffer_size(request->body), &write->head))
        return false;
    write->route = *request->route;
    target = byte_buffer_bytes(&write->head).data + head->method.size + strlen(" ");
    for (size_t i = 0; i < COUNT_OF(spans); i++) {
        if (spans[i]->size > 0)
            spans[i]->data = target + (spans[i]->data - head->target.data);
    }
    return true;
}

/* What may share a call, each with its like. */
static enum coalescer_op write_op(enum chroma_operation operation)
{
    switch (operation) {
    case CHROMA_OPERATION_ADD:
        return COALESCER_ADD;
    case CHROMA_OPERATION_UPSERT:
        return COALESCER_UPSERT;
    case CHROMA_OPERATION_UPDATE:
        return COALESCER_UPDATE;
    default:
        return COALESCER_OTHER;
    }
}

/* Request line and fields in their order, without those that differ between clients that may
 * share a call. */
static bool write_write_shared_head(struct write *write, const struct http_head *head)
{
    struct byte_buffer *out = &write->shared_head;
    struct bytes        line[] = {head->method, BYTES_INIT(" "), head->target,
                                  BYTES_INIT(" HTTP/1.1\r\n")};
    enum status         status = STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(line) && status == STATUS_OK; i++)
        status = byte_buffer_append(out, line[i], SIZE_MAX);
    if (status == STATUS_OK && http_head_find(head, HTTP_FIELD_HOST) == NULL) /* HTTP/1.0 */
        status = byte_buffer_append(out, BYTES_LITERAL("Host: localhost\r\n"), SIZE_MAX);
    for (size_t i = 0; i < head->field_count && status == STATUS_OK; i++) {
        const struct http_field *field = &head->fields[i];
        struct bytes parts[] = {field->name, BYTES_INIT(": "), field->value, BYTES_INIT("\r\n")};

        if (request_identity_is_ignored(field))
            continue;
        for (size_t j = 0; j < COUNT_OF(parts) && status == STATUS_OK; j++)
            status = byte_buffer_append(out, parts[j], SIZE_MAX);
    }
    return status == STATUS_OK;
}

static bool write_write_identity(struct write *write, const struct http_head *head,
                                 const struct socket_address *peer)
{
    enum status status = STATUS_OK;

    for (size_t i = 0; i < head->field_count && status == STATUS_OK; i++) {
        const struct http_field *field = &head->fields[i];

        if (!field->hop_by_hop &&
            (field->id == HTTP_FIELD_AUTHORIZATION || field->id == HTTP_FIELD_X_CHROMA_TOKEN ||
             field->id == HTTP_FIELD_COOKIE))
            status = byte_buffer_append(&write->identity, field->value, SIZE_MAX);
    }
    if (status == STATUS_OK && byte_buffer_size(&write->identity) == 0) {
        char text[SOCKET_ADDRESS_TEXT_MAX];

        socket_address_format_host(peer, text);
        status = byte_buffer_append(&write->identity, bytes_of(text), SIZE_MAX);
    }
    return status == STATUS_OK;
}

static void write_take_room(struct write *write, const struct write_request *request)
{
    write->body = *request->body;
    *request->body = (struct byte_buffer){0};
    memory_account_claim_move(&write->room, request->room);
    lane_rooms_move(&write->lane_room, request->lane_room);
    write_charge(write,
                 write->head.capacity + write->shared_head.capacity + write->identity.capacity);
}

void write_charge(struct write *write, size_t more)
{
    memory_account_claim_add(&write->room, more);
    lane_rooms_add(&write->lane_room, more);
}

void write_free(struct write *write)
{
    if (write == NULL)
        return;
    assert(write->waiter == NULL);
    timeout_queue_stop(&write->again);
    if (write->on_free != NULL)
        write->on_free(write);
    if (write->permit != NULL)
        write->permit->free(write->permit);
    list_remove(&write->node);
    chroma_records_done(&write->records);
    byte_buffer_done(&write->head);
    byte_buffer_done(&write->shared_head);
    byte_buffer_done(&write->identity);
    byte_buffer_done(&write->body);
    byte_buffer_done(&write->stay.found);
    if (write->room.account != NULL)
        memory_account_claim_release(&write->room);
    lane_rooms_leave(write->proxy->lane_rooms, &write->lane_room);
    free(write);
}

bool write_is_sent(const struct write *write)
{
    return write->batch.attempts > 0 || write->call != NULL;
}

void write_leave(struct write *write)
{
    write->waiter = NULL;
    write->stream_to = NULL;
}

void write_scan(struct write *write)
{
    const char *reason;

    write->is_eligible =
        chroma_records_scan(write->route.operation, byte_buffer_bytes(&write->body), records_max,
                            &write->records, &reason) == STATUS_OK;
}

void write_describe(const struct write *write, uint64_t now_us, struct coalescer_write *ret_write)
{
    static const enum coalescer_encoding encodings[] = {
        [CHROMA_ENCODING_NONE] = COALESCER_NO_VECTORS,
        [CHROMA_ENCODING_ARRAYS] = COALESCER_ARRAYS,
        [CHROMA_ENCODING_BASE64] = COALESCER_BASE64};
    static const unsigned columns[CHROMA_COLUMN_COUNT] = {
        [CHROMA_COLUMN_EMBEDDINGS] = COALESCER_EMBEDDINGS,
        [CHROMA_COLUMN_METADATAS] = COALESCER_METADATAS,
        [CHROMA_COLUMN_DOCUMENTS] = COALESCER_DOCUMENTS,
        [CHROMA_COLUMN_URIS] = COALESCER_URIS};
    const struct chroma_route *route = &write->route;
    enum coalescer_op          op = write_op(route->operation);

    *ret_write = (struct coalescer_write){
        .kind = COALESCER_BARRIER,
        .op = op,
        .repeatable =
            write->proxy->is_supervised
                ? chroma_repeat_is_harmless(route->operation, byte_buffer_bytes(&write->body))
                : op != COALESCER_OTHER,
        .repeatable_after_end = write->can_settle,
        .sender = {.data = (const char *)&write->sender, .size = sizeof write->sender},
        .address = byte_buffer_bytes(&write->identity),
        .size = byte_buffer_size(&write->body),
        .records_max = write->records_max,
        .flow = write->lane_flow,
        .deadline_us = write->deadline_us,
        .is_clients = write->is_clients_deadline,
        .slack_us = write->slack_us,
        .ctx = (void *)write};
    if (!write_find_lane(write, now_us, ret_write->lane))
        ret_write->kind = COALESCER_BARRIER_ALL;
    if (!write->is_eligible)
        return;
    ret_write->kind = COALESCER_MERGEABLE;
    for (size_t i = 0; i < COUNT_OF(columns); i++)
        ret_write->columns |= write->records.columns[i].data == NULL ? 0 : columns[i];
    ret_write->encoding = encodings[write->records.encoding];
    ret_write->dimension = (uint32_t)write->records.dimension;
    ret_write->batch_key = byte_buffer_bytes(&write->shared_head);
    ret_write->ids = write->records.ids;
    ret_write->record_count = (uint32_t)write->records.count;
}

/* The collection that the write belongs to; of a deletion, which names it, the one that the name
 * stands for. False: it cannot be told. */
static bool write_find_lane(const struct write *write, uint64_t now_us, unsigned char ret_lane[16])
{
    const struct chroma_route *route = &write->route;
    char                       text[3][write_name_max];
    const struct bytes         parts[3] = {route->tenant, route->database, route->collection};
    size_t                     size[3];

    if (route->has_uuid) {
        memcpy(ret_lane, route->uuid, 16);
        return true;
    }
    if (route->operation != CHROMA_OPERATION_COLLECTION_DELETE || route->is_v1)
        return false;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (!chroma_route_decode(parts[i], text[i], sizeof text[i], &size[i]))
            return false;
    }
    return collection_table_uuid(
        write->proxy->collections,
        (struct scope){.tenant = {text[0], size[0]}, .database = {text[1], size[1]}},
        (struct bytes){text[2], size[2]}, now_us, ret_lane);
}

/* What the waiter's log line and counts need. */
static void write_note(const struct write *write, struct access_record *record)
{
    record->batch = write->batch;
    record->records = write->is_eligible ? write->records.count : 0;
}

void write_tell_answer(struct write *write, const struct http_head *head, struct bytes body,
                       enum front_executed executed)
{
    struct write_waiter *waiter = write->waiter;

    if (waiter == NULL)
        return;
    write_note(write, waiter->record);
    write->waiter = NULL;
    waiter->ops->on_answer(waiter, head, body, executed);
}

void write_tell_stream(struct write *write, struct call *source, enum front_executed executed)
{
    struct write_waiter *waiter = write->waiter;

    if (waiter == NULL)
        return;
    write_note(write, waiter->record);
    write->waiter = NULL;
    write->stream_to = waiter->ops->on_stream(waiter, source, executed);
}

void write_tell_refused(struct write *write, enum status status, enum front_executed executed,
                        const char *message)
{
    struct write_waiter *waiter = write->waiter;

    if (waiter == NULL)
        return;
    write_note(write, waiter->record);
    write->waiter = NULL;
    waiter->ops->on_refused(waiter, status, executed, message);
}
