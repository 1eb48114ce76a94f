#include "proxy/write_path.h"

#include <assert.h>
#include <stdio.h>

#include "lanes/write_call.h"
#include "lanes/write_lanes.h"
#include "proxy/auth_gate.h"
#include "proxy/auth_permit.h"
#include "proxy/cache_path.h"
#include "proxy/deadline_watch.h"
#include "proxy/guard_gate.h"
#include "proxy/mirror_path.h"

/* Room is claimed so far ahead of what has arrived, more than one read brings: who announces much
 * and sends little holds little. */
enum { write_room_ahead = 128 << 10 };

static void     write_path_begin(struct exchange *exchange);
static void     write_path_on_room(struct exchange *exchange);
static void     write_path_on_body(struct exchange *exchange, struct bytes data);
static uint64_t write_path_room(const struct exchange *exchange, uint64_t size);
static bool     write_path_refuse_too_large(struct exchange *exchange, uint64_t size);
static void     write_path_on_body_end(struct exchange *exchange);
static void     write_path_submit(struct exchange *exchange);
static void     write_path_on_interim(struct write_waiter *waiter, const struct http_head *head);
static void     write_path_on_stream_body(struct answer_sink *sink, struct bytes data);
static void     write_path_on_answer(struct write_waiter *waiter, const struct http_head *head,
                                     struct bytes body, enum front_executed executed);
static struct answer_sink *write_path_on_stream(struct write_waiter *waiter, struct call *source,
                                                enum front_executed executed);
static void                write_path_on_refused(struct write_waiter *waiter, enum status status,
                                                 enum front_executed executed, const char *message);
static void                write_path_on_deadline(struct exchange *exchange);
static bool                write_path_explain_bound(const struct exchange *exchange, char *message);
static void                write_path_on_client_gone(struct exchange *exchange);
static void                write_path_on_finished(struct exchange *exchange);

const struct exchange_path write_path = {.begin = write_path_begin,
                                         .on_room = write_path_on_room,
                                         .on_body = write_path_on_body,
                                         .on_body_end = write_path_on_body_end,
                                         .on_deadline = write_path_on_deadline,
                                         .on_client_gone = write_path_on_client_gone,
                                         .on_finished = write_path_on_finished};

static const struct write_waiter_ops write_path_waiter_ops = {.on_interim = write_path_on_interim,
                                                              .on_answer = write_path_on_answer,
                                                              .on_stream = write_path_on_stream,
                                                              .on_refused = write_path_on_refused};

/* The head of the chain of a long answer. */
static const struct answer_sink_ops write_path_stream_ops = {.on_body = write_path_on_stream_body};

static void write_path_begin(struct exchange *exchange)
{
    const struct http_head *head = exchange->head;
    uint64_t                size = 0;

    if (head->framing != HTTP_FRAMING_NONE)
        size = write_path_room(exchange, 0);
    if (!head->has_content_length || !write_path_refuse_too_large(exchange, head->content_length))
        exchange_claim_room(exchange, MEMORY_ACCOUNT_WRITES, size, exchange->route.has_uuid);
}

/* A request without a body may be complete already. */
static void write_path_on_room(struct exchange *exchange)
{
    if (exchange->body_ended) {
        write_path_submit(exchange);
        return;
    }
    if (exchange->head->expects_continue && byte_buffer_size(&exchange->body) == 0)
        front_connection_continue(exchange->reply.connection);
    front_connection_resume_body(exchange->reply.connection);
}

static void write_path_on_body(struct exchange *exchange, struct bytes data)
{
    size_t size = byte_buffer_size(&exchange->body) + data.size;

    if (write_path_refuse_too_large(exchange, size))
        return;
    if (!exchange_keep_body(exchange, data))
        reply_error(&exchange->reply, STATUS_NO_MEMORY, FRONT_EXECUTED_NO, NULL);
    else
        (void)exchange_grow_room(exchange, write_path_room(exchange, size));
}

/* How much room is needed when `size` bytes have arrived. */
static uint64_t write_path_room(const struct exchange *exchange, uint64_t size)
{
    const struct http_head *head = exchange->head;
    uint64_t                wanted = size + write_room_ahead;

    return head->framing == HTTP_FRAMING_LENGTH && wanted > head->content_length
               ? head->content_length
               : wanted;
}

/* By the operator's limit or Chroma's own, with the answer of Chroma; where there is neither, what
 * would not fit into memory_max. False: it is none too large. */
static bool write_path_refuse_too_large(struct exchange *exchange, uint64_t size)
{
    const struct proxy *proxy = exchange->proxy;
    uint64_t            max = proxy_state_body_max(proxy);

    if (max != 0 ? size <= max : size <= proxy->budget->max)
        return false;
    if (max != 0) {
        reply_too_large(&exchange->reply, exchange->route.info->has_plain_413);
    } else {
        exchange->proxy->refused.memory++;
        reply_error(&exchange->reply, STATUS_TOO_LARGE, FRONT_EXECUTED_NO,
                    "the body is larger than memory_max");
    }
    return true;
}

static void write_path_on_body_end(struct exchange *exchange)
{
    exchange_move(exchange, EXCHANGE_WAITING);
    if (exchange->wait_began_us == 0) /* else on_room goes on */
        write_path_submit(exchange);
}

static void write_path_submit(struct exchange *exchange)
{
    struct proxy        *proxy = exchange->proxy;
    struct write_request request = {
        .head = exchange->head,
        .route = &exchange->route,
        .peer = exchange->peer,
        .sender = exchange->reply.connection,
        .body = &exchange->body,
        .room = &exchange->room,
        .lane_room = &exchange->lane_room,
        .origin = service_ticket_origin(&exchange->service, &exchange->route),
        .lane_flow = exchange->service.lane_flow,
        .records_max = exchange->service.records_max,
        .arrived_us = exchange->record.body_ended_us,
        .deadline_us = exchange->record.body_ended_us + proxy->options.deadline_write_us};
    struct write *write;
    enum status   status = STATUS_NO_MEMORY;

    assert(exchange->body_ended && exchange->wait_began_us == 0);
    if (!auth_gate_check_body(exchange))
        return;
    if (cache_path_answer(exchange) || mirror_path_answer(exchange, NULL))
        return; /* a creation that would create nothing */
    if (!deadline_watch_suffices(exchange) || guard_gate_refuses(exchange))
        return;
    deadline_watch_tell(exchange, &request);
    if (!timeout_queue_is_running(&exchange->deadline)) /* else it waited for another's answer */
        exchange_start_deadline(exchange);
    if (exchange->room.account != NULL)
        exchange_trim_room(exchange);
    exchange->waiter =
        (struct write_waiter){.ops = &write_path_waiter_ops, .record = &exchange->record};
    write = write_new(proxy, &request, &exchange->waiter);
    if (write != NULL && guard_gate_mark(exchange, write) && auth_permit_give(exchange, write))
        status = write_lanes_submit(proxy->lanes, write);
    if (status == STATUS_OK) {
        exchange->write = write;
        if (write->is_in_lane)
            exchange_stop_clocks(exchange);
        cache_path_lead(exchange);
        return;
    }
    if (write != NULL)
        write_leave(write);
    write_free(write);
    reply_error(&exchange->reply, status, FRONT_EXECUTED_NO, NULL);
}

static void write_path_on_interim(struct write_waiter *waiter, const struct http_head *head)
{
    answer_sink_interim(&CONTAINER_OF(waiter, struct exchange, waiter)->reply.sink, head);
}

static void write_path_on_answer(struct write_waiter *waiter, const struct http_head *head,
                                 struct bytes body, enum front_executed executed)
{
    struct exchange *exchange = CONTAINER_OF(waiter, struct exchange, waiter);

    exchange->write = NULL;
    exchange->reply.executed = executed;
    exchange_move(exchange, EXCHANGE_ANSWERING);
    cache_path_keep(exchange, head, body);
    mirror_path_keep(exchange, head, body);
    reply_whole(&exchange->reply, head, body);
}

static struct answer_sink *write_path_on_stream(struct write_waiter *waiter, struct call *source,
                                                enum front_executed executed)
{
    struct exchange *exchange = CONTAINER_OF(waiter, struct exchange, waiter);

    exchange->reply.executed = executed;
    exchange->reply.source = source;
    exchange_move(exchange, EXCHANGE_ANSWERING);
    exchange_start_deadline(exchange);
    exchange->pass.entry =
        (struct answer_sink){.ops = &write_path_stream_ops, .next = &exchange->reply.sink};
    return &exchange->pass.entry;
}

static void write_path_on_stream_body(struct answer_sink *sink, struct bytes data)
{
    exchange_start_deadline(CONTAINER_OF(sink, struct exchange, pass.entry)); /* Chroma lives */
    answer_sink_body(sink->next, data);
}

static void write_path_on_refused(struct write_waiter *waiter, enum status status,
                                  enum front_executed executed, const char *message)
{
    struct exchange *exchange = CONTAINER_OF(waiter, struct exchange, waiter);
    char             room[DEADLINE_WATCH_TEXT_SIZE];

    exchange->write = NULL;
    if (status != STATUS_UNAUTHENTICATED && status != STATUS_FORBIDDEN &&
        status != STATUS_NOT_FOUND && mirror_path_stand_in(exchange, NULL))
        return;
    if (status == STATUS_BACKEND_RESET || status == STATUS_BACKEND_DOWN)
        exchange->record.end = ACCESS_END_BACKEND;
    if (status == STATUS_TIMED_OUT) {
        const char *ours = message;

        message = deadline_watch_explain(exchange, executed == FRONT_EXECUTED_MAYBE, ours, room);
        exchange->proxy->refused.write_deadlines += message == ours;
    }
    reply_error(&exchange->reply, status, executed, message);
}

/* The coalescer minds the deadline of what it has taken. */
static void write_path_on_deadline(struct exchange *exchange)
{
    enum front_executed executed = FRONT_EXECUTED_NO;
    uint64_t           *counter = &exchange->proxy->refused.write_deadlines;
    bool                is_bounded;
    char                message[READ_LIMIT_TEXT_SIZE];

    if (exchange->reply.source != NULL && call_is_paused(exchange->reply.source)) {
        exchange_start_deadline(exchange); /* the client is slow, not Chroma */
        return;
    }
    is_bounded = write_path_explain_bound(exchange, message);
    if (exchange->write != NULL && exchange->reply.source == NULL &&
        !write_lanes_give_up(exchange->write, &executed))
        return;
    if (exchange->reply.source == NULL)
        exchange->write = NULL;
    if (exchange_waits(exchange)) {
        exchange_explain_wait(exchange, "the write waited for deadline.write, as ", message);
        counter = NULL; /* it is counted there */
    } else if (is_bounded) {
        counter = NULL; /* likewise */
    } else {
        snprintf(message, sizeof message, "%s",
                 executed == FRONT_EXECUTED_NO
                     ? "the write was not sent within deadline.write: Chroma is down or too slow, "
                       "or backend.connections_max too low"
                     : "Chroma did not answer within deadline.write; the write may yet be applied");
    }
    deadline_watch_answer(exchange, executed, counter, message);
}

/* It goes by itself, and its service has too many calls under way. */
static bool write_path_explain_bound(const struct exchange *exchange, char *message)
{
    const struct write *write = exchange->write;

    return !exchange->client_deadline.is_over && write != NULL && !write->is_in_lane &&
           write->call != NULL && write_call_explain_bound(write->call, message);
}

/* The client cannot know whether its complete write was sent: it is, in any case. */
static void write_path_on_client_gone(struct exchange *exchange)
{
    if (exchange->write != NULL && exchange->state == EXCHANGE_WAITING) {
        exchange->record.write_goes_on = true;
        exchange->record.batch = exchange->write->batch;
    }
    exchange_finish(exchange);
}

static void write_path_on_finished(struct exchange *exchange)
{
    if (exchange->write != NULL)
        write_leave(exchange->write);
    exchange->write = NULL;
    if (exchange->reply.source != NULL)
        call_resume(exchange->reply.source);
    cache_path_leave(exchange);
}
