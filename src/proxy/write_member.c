#include "proxy/write_member.h"

#include <stdlib.h>
#include <string.h>

/* More records than this in one request are sent as they are. */
enum { records_max = 1 << 16 };

static bool write_shared_head(struct write_member *member);
static bool is_ignored(const struct http_field *field);
static bool write_identity(struct write_member *member);

struct write_member *write_member_new(struct exchange *exchange)
{
    struct write_member *member = calloc(1, sizeof *member);

    if (member == NULL)
        return NULL;
    member->exchange = exchange;
    if (!write_shared_head(member) || !write_identity(member)) {
        write_member_free(member);
        return NULL;
    }
    return member;
}

/* Request line and fields in their order, without those that differ between clients that may
 * share a call. */
static bool write_shared_head(struct write_member *member)
{
    const struct http_head *head = member->exchange->head;
    struct byte_buffer     *out = &member->shared_head;
    struct bytes            line[] = {head->method, BYTES_INIT(" "), head->target,
                                      BYTES_INIT(" HTTP/1.1\r\n")};
    enum status             status = STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(line) && status == STATUS_OK; i++)
        status = byte_buffer_append(out, line[i], SIZE_MAX);
    if (status == STATUS_OK && http_head_find(head, HTTP_FIELD_HOST) == NULL) /* HTTP/1.0 */
        status = byte_buffer_append(out, BYTES_LITERAL("Host: localhost\r\n"), SIZE_MAX);
    for (size_t i = 0; i < head->field_count && status == STATUS_OK; i++) {
        const struct http_field *field = &head->fields[i];
        struct bytes parts[] = {field->name, BYTES_INIT(": "), field->value, BYTES_INIT("\r\n")};

        if (is_ignored(field))
            continue;
        for (size_t j = 0; j < COUNT_OF(parts) && status == STATUS_OK; j++)
            status = byte_buffer_append(out, parts[j], SIZE_MAX);
    }
    return status == STATUS_OK;
}

/* What says nothing about the write itself: the connection, the client's make, what it takes for
 * an answer, how the call is traced. */
static bool is_ignored(const struct http_field *field)
{
    if (field->hop_by_hop)
        return true;
    switch (field->id) {
    case HTTP_FIELD_ACCEPT:
    case HTTP_FIELD_ACCEPT_ENCODING:
    case HTTP_FIELD_ACCEPT_LANGUAGE:
    case HTTP_FIELD_CHROMA_TRACE_ID:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_TRACEPARENT:
    case HTTP_FIELD_TRACESTATE:
    case HTTP_FIELD_USER_AGENT:
    case HTTP_FIELD_VIA:
    case HTTP_FIELD_X_REQUEST_ID:
        return true;
    default:
        return false;
    }
}

static bool write_identity(struct write_member *member)
{
    const struct exchange *exchange = member->exchange;
    enum status            status = STATUS_OK;

    for (size_t i = 0; i < exchange->head->field_count && status == STATUS_OK; i++) {
        const struct http_field *field = &exchange->head->fields[i];

        if (field->id == HTTP_FIELD_AUTHORIZATION || field->id == HTTP_FIELD_X_CHROMA_TOKEN ||
            field->id == HTTP_FIELD_COOKIE)
            status = byte_buffer_append(&member->identity, field->value, SIZE_MAX);
    }
    if (status == STATUS_OK && byte_buffer_size(&member->identity) == 0) {
        char text[SOCKET_ADDRESS_TEXT_MAX];

        socket_address_format_host(exchange->peer, text);
        status = byte_buffer_append(&member->identity, bytes_of(text), SIZE_MAX);
    }
    return status == STATUS_OK;
}

void write_member_free(struct write_member *member)
{
    if (member == NULL)
        return;
    chroma_records_done(&member->records);
    byte_buffer_done(&member->shared_head);
    byte_buffer_done(&member->identity);
    free(member);
}

void write_member_scan(struct write_member *member)
{
    const char *reason;

    member->is_eligible = chroma_records_scan(member->exchange->route.operation,
                                              byte_buffer_bytes(&member->exchange->body),
                                              records_max, &member->records, &reason) == STATUS_OK;
}

void write_member_describe(const struct write_member *member, uint64_t deadline_us,
                           struct coalescer_write *ret_write)
{
    static const enum coalescer_encoding encodings[] = {
        [CHROMA_ENCODING_NONE] = COALESCER_NO_VECTORS,
        [CHROMA_ENCODING_ARRAYS] = COALESCER_ARRAYS,
        [CHROMA_ENCODING_BASE64] = COALESCER_BASE64};
    const struct chroma_route *route = &member->exchange->route;
    enum coalescer_op          op = route->operation == CHROMA_OPERATION_ADD      ? COALESCER_ADD
                                    : route->operation == CHROMA_OPERATION_UPSERT ? COALESCER_UPSERT
                                    : route->operation == CHROMA_OPERATION_UPDATE ? COALESCER_UPDATE
                                                                                  : COALESCER_OTHER;

    *ret_write = (struct coalescer_write){.kind = route->has_uuid ? COALESCER_BARRIER
                                                                  : COALESCER_BARRIER_ALL,
                                          .op = op,
                                          .repeatable = op != COALESCER_OTHER,
                                          .identity = byte_buffer_bytes(&member->identity),
                                          .size = byte_buffer_size(&member->exchange->body),
                                          .deadline_us = deadline_us,
                                          .ctx = member->exchange};
    memcpy(ret_write->lane, route->uuid, sizeof ret_write->lane);
    if (!member->is_eligible)
        return;
    ret_write->kind = COALESCER_MERGEABLE;
    ret_write->encoding = encodings[member->records.encoding];
    ret_write->dimension = (uint32_t)member->records.dimension;
    ret_write->batch_key = byte_buffer_bytes(&member->shared_head);
    ret_write->ids = member->records.ids;
    ret_write->record_count = (uint32_t)member->records.count;
}
