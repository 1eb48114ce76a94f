#include "proxy/write_path.h"

#include "proxy/answer.h"
#include "proxy/pass_path.h"
#include "proxy/write_lanes.h"

static void begin(struct exchange *exchange);
static void on_admitted(struct exchange *exchange);
static void on_body(struct exchange *exchange, struct bytes data);
static void on_body_end(struct exchange *exchange);
static void on_deadline(struct exchange *exchange);
static void give_up_transfer(struct exchange *exchange);
static void on_client_gone(struct exchange *exchange);

const struct exchange_path write_path = {.begin = begin,
                                         .on_body = on_body,
                                         .on_body_end = on_body_end,
                                         .on_admitted = on_admitted,
                                         .on_deadline = on_deadline,
                                         .on_client_gone = on_client_gone};

static void begin(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;

    if (proxy->lanes != NULL && exchange->route.has_uuid &&
        exchange->head->framing != HTTP_FRAMING_NONE)
        exchange->lane_gate = lane_gates_take(proxy->lane_gates, exchange->route.uuid);
    if (exchange_reserve_body(exchange, UINT64_MAX))
        on_admitted(exchange);
}

static void on_admitted(struct exchange *exchange)
{
    if (exchange->state != EXCHANGE_RECEIVING)
        return; /* the end of the body came with its last bytes */
    exchange_stop_clocks(exchange);
    if (exchange->head->expects_continue && byte_buffer_size(&exchange->body) == 0)
        front_connection_continue(exchange->connection);
    front_connection_resume_body(exchange->connection);
}

static void on_body(struct exchange *exchange, struct bytes data)
{
    size_t size = byte_buffer_size(&exchange->body) + data.size;

    if (size > exchange->proxy->options.body_bytes_max)
        answer_too_large(exchange);
    else if (!exchange_keep_body(exchange, data))
        answer_error(exchange, STATUS_NO_MEMORY, FRONT_EXECUTED_NO, NULL);
    else
        (void)exchange_reserve_body(exchange, UINT64_MAX);
}

static void on_body_end(struct exchange *exchange)
{
    enum http_framing framing =
        exchange->head->framing == HTTP_FRAMING_NONE ? HTTP_FRAMING_NONE : HTTP_FRAMING_LENGTH;
    struct write_lanes *lanes = exchange->proxy->lanes;
    enum status         status;

    exchange_move(exchange, EXCHANGE_WAITING);
    exchange_start_deadline(exchange);
    if (!exchange_write_head(exchange, framing, byte_buffer_size(&exchange->body)))
        status = STATUS_NO_MEMORY;
    else if (lanes != NULL && write_lanes_takes(&exchange->route))
        status = write_lanes_add(lanes, exchange);
    else
        status = exchange_start_transfer(exchange, false);
    if (status != STATUS_OK)
        answer_error(exchange, status, FRONT_EXECUTED_NO,
                     status == STATUS_OVERLOADED
                         ? "queue.requests_max requests wait for Chroma already; retry later"
                         : NULL);
}

/* The coalescer minds the deadline of what it has taken. */
static void on_deadline(struct exchange *exchange)
{
    if (exchange->transfer != NULL)
        give_up_transfer(exchange);
    else if (!exchange->body_ended || write_lanes_give_up(exchange))
        answer_error(exchange, STATUS_TIMED_OUT, FRONT_EXECUTED_NO,
                     "there was no room for the write within deadline.write");
}

static void give_up_transfer(struct exchange *exchange)
{
    bool sent = upstream_transfer_is_sent(exchange->transfer);

    if (exchange->state == EXCHANGE_ANSWERING && upstream_transfer_is_paused(exchange->transfer)) {
        exchange_start_deadline(exchange); /* the client is slow, not Chroma */
        return;
    }
    pass_path_drop_transfer(exchange);
    answer_error(exchange, STATUS_TIMED_OUT, sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO,
                 sent ? "Chroma did not answer within deadline.write; the write may yet be applied"
                      : "the write was not sent within deadline.write: Chroma is too slow or "
                        "backend.connections_max too low");
}

/* The client cannot know whether its complete write was sent: it is, in any case. */
static void on_client_gone(struct exchange *exchange)
{
    if (exchange->transfer != NULL)
        exchange_detach(exchange);
    else if (exchange->member != NULL)
        exchange_move(exchange, EXCHANGE_DETACHED);
    exchange_finish(exchange);
}
