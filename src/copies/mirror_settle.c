#include "copies/mirror_settle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "calls/call.h"
#include "calls/own_flows.h"

struct mirror_settle {
    struct mirror_keeper *keeper;
    struct list_node      node;
    uint64_t              number; /* a moment */
    uint8_t               uuid[16];
    struct call           call;
    struct answer_sink    sink;
    struct chroma_route   route; /* points into `head` */
    struct write_notice   notice;
    struct byte_buffer    head, body;
    struct bytes          part;
    struct loop_timer    *deadline;
    unsigned              status;
};

static enum status settle_print(struct mirror_settle *settle, const struct mirror_entry *entry);
static enum status settle_send(struct mirror_settle *settle);
static bool        settle_may_go(struct call *call);
static void        settle_on_head(struct answer_sink *sink, const struct http_head *head);
static void        settle_on_body(struct answer_sink *sink, struct bytes data);
static void        settle_on_end(struct answer_sink *sink);
static void        settle_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void        settle_on_deadline(void *ctx);
static void settle_over(struct mirror_settle *settle, enum write_outcome outcome, unsigned status);
static void settle_tell(struct mirror_settle *settle, unsigned status);
static void settle_free(void *object);

static const struct answer_sink_ops settle_ops = {.on_head = settle_on_head,
                                                  .on_body = settle_on_body,
                                                  .on_end = settle_on_end,
                                                  .on_failure = settle_on_failure};

enum status mirror_settle_start(struct mirror_entry *entry)
{
    struct mirror_keeper *keeper = entry->keeper;
    struct mirror_settle *settle = calloc(1, sizeof *settle);
    enum status           status;

    if (settle == NULL)
        return STATUS_NO_MEMORY;
    settle->keeper = keeper;
    settle->number = ++keeper->clock;
    memcpy(settle->uuid, entry->uuid, sizeof settle->uuid);
    settle->sink.ops = &settle_ops;
    list_node_init(&settle->call.node);
    list_push_back(&keeper->settles, &settle->node);
    settle->deadline = loop_timer_new(keeper->proxy->loop, settle_on_deadline, settle);
    status = settle->deadline == NULL ? STATUS_NO_MEMORY : settle_print(settle, entry);
    if (status == STATUS_OK)
        status = settle_send(settle);
    if (status != STATUS_OK) {
        settle_free(settle);
        return status;
    }
    entry->settling = settle->number;
    return STATUS_OK;
}

/* The id is one that nobody would choose, and where somebody did it is left as it is. */
static enum status settle_print(struct mirror_settle *settle, const struct mirror_entry *entry)
{
    static const char method[] = "POST ", fields[] = " HTTP/1.1\r\n";
    char              uuid[CHROMA_ROUTE_UUID_SIZE];
    struct bytes      path;
    enum status       status;

    chroma_route_print_uuid(entry->uuid, uuid);
    status = byte_buffer_printf(&settle->body, SIZE_MAX,
                                "{\"ids\":[\"chromabouncer-settles-%016" PRIx64 "-%" PRIu64 "\"]}",
                                settle->keeper->proxy->trace_prefix, settle->number);
    if (status == STATUS_OK)
        status = byte_buffer_printf(&settle->head, SIZE_MAX,
                                    "%s/api/v2/tenants/%s/databases/%s/collections/%s/update%s",
                                    method, entry->tenant, entry->database, uuid, fields);
    if (status != STATUS_OK)
        return status;
    path.size = byte_buffer_size(&settle->head) - strlen(method) - strlen(fields);
    status = byte_buffer_printf(&settle->head, SIZE_MAX,
                                "Host: localhost\r\nUser-Agent: chromabouncer\r\n"
                                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                                byte_buffer_size(&settle->body));
    path.data = byte_buffer_bytes(&settle->head).data + strlen(method);
    chroma_route_find(BYTES_LITERAL("POST"), path, &settle->route);
    return status;
}

/* It may wait for its turn for long, behind all others. Until then it is no write that is under
 * way: while one is, no answer about its collection is taken from the cache. */
static enum status settle_send(struct mirror_settle *settle)
{
    struct proxy           *proxy = settle->keeper->proxy;
    uint64_t                now_us = loop_now_us(proxy->loop);
    struct upstream_request request = {.head = byte_buffer_bytes(&settle->head),
                                       .body = &settle->part,
                                       .body_parts = 1,
                                       .is_write = true};
    enum status             status;

    settle->part = byte_buffer_bytes(&settle->body);
    settle->call.origin = (struct call_origin){.flow = MIRROR_FLOW, .may_go = settle_may_go};
    settle->notice =
        (struct write_notice){.route = &settle->route, .body = &settle->part, .body_parts = 1};
    status = call_start(&settle->call, proxy, settle->route.info, &request, &settle->sink, NULL);
    if (status != STATUS_OK)
        return status;
    if (settle->call.turn.state == TURN_OPEN) /* at once; its bytes leave later */
        settle_may_go(&settle->call);
    loop_timer_set(settle->deadline, now_us + proxy->options.deadline_write_us);
    return STATUS_OK;
}

static bool settle_may_go(struct call *call)
{
    struct mirror_settle *settle = CONTAINER_OF(call, struct mirror_settle, call);

    write_observer_sent(&call->proxy->observers, &settle->notice, loop_now_us(call->proxy->loop));
    return true;
}

static void settle_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct mirror_settle, sink)->status = head->status;
}

static void settle_on_body(struct answer_sink *sink, struct bytes data)
{
    (void)sink;
    (void)data;
}

/* Whatever was answered, what it made visible may have changed what readers see. */
static void settle_on_end(struct answer_sink *sink)
{
    struct mirror_settle *settle = CONTAINER_OF(sink, struct mirror_settle, sink);

    settle_over(settle, WRITE_OUTCOME_APPLIED, settle->status);
}

static void settle_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    (void)why;
    settle_over(CONTAINER_OF(sink, struct mirror_settle, sink),
                sent ? WRITE_OUTCOME_UNKNOWN : WRITE_OUTCOME_REFUSED, 0);
}

/* Others are not kept waiting; it goes on by itself. */
static void settle_on_deadline(void *ctx)
{
    settle_tell(ctx, 0);
}

static void settle_over(struct mirror_settle *settle, enum write_outcome outcome, unsigned status)
{
    struct proxy *proxy = settle->keeper->proxy;
    uint64_t      now_us = loop_now_us(proxy->loop);

    loop_timer_clear(settle->deadline);
    if (status < 200 || status > 299)
        settle->notice.may_catch_up = false; /* it may have made some of it visible, not all */
    if (settle->notice.state == WRITE_NOTICE_SENT)
        write_observer_known(&proxy->observers, &settle->notice, outcome, (struct bytes){0},
                             now_us);
    if (outcome == WRITE_OUTCOME_UNKNOWN && call_is_of_ended(&settle->call))
        write_observer_settled(&proxy->observers, &settle->notice, now_us);
    else if (outcome == WRITE_OUTCOME_UNKNOWN)
        write_observer_lost(&proxy->observers, &settle->notice, now_us);
    settle_tell(settle, status);
    loop_free_later(proxy->loop, settle, settle_free); /* its call still returns through it */
}

/* Who was told of the write may have given the entry up. */
static void settle_tell(struct mirror_settle *settle, unsigned status)
{
    struct mirror_entry *entry = mirror_entry_find(settle->keeper, settle->uuid);

    if (entry == NULL || entry->settling != settle->number)
        return;
    entry->settling = 0;
    settle->keeper->on_settled(entry, status);
}

void mirror_settle_free_all(struct mirror_keeper *keeper)
{
    struct list_node *node;

    while ((node = list_first(&keeper->settles)) != NULL) {
        struct mirror_settle *settle = LIST_ITEM(node, struct mirror_settle, node);

        if (settle->notice.state == WRITE_NOTICE_SENT)
            write_observer_known(&keeper->proxy->observers, &settle->notice, WRITE_OUTCOME_REFUSED,
                                 (struct bytes){0}, mirror_keeper_now_us(keeper));
        call_cancel(&settle->call);
        settle_free(settle);
    }
}

static void settle_free(void *object)
{
    struct mirror_settle *settle = object;

    list_remove(&settle->node);
    loop_timer_free(settle->deadline);
    byte_buffer_done(&settle->head);
    byte_buffer_done(&settle->body);
    free(settle);
}
