#include "proxy/service_admission.h"

#include <stdlib.h>

#include "proxy/exchange.h"

/* A body up to this size is read before its request is refused. */
enum { read_bytes_max = 64 << 10 };

static bool is_limited(const struct exchange *exchange);
static void service_admission_delay(struct exchange *exchange);
static void delay_on_time(void *ctx);
static void delay_on_body_end(struct exchange *exchange);
static void service_admission_refuse(struct exchange *exchange);
static void refuse_on_body(struct exchange *exchange, struct bytes data);
static void refuse_on_body_end(struct exchange *exchange);
static void service_admission_on_client_gone(struct exchange *exchange);
static void service_admission_on_finished(struct exchange *exchange);

/* Neither is begun, nor does a clock of it run; of who is delayed no body is read. */
static const struct exchange_path delay_path = {.on_body_end = delay_on_body_end,
                                                .on_client_gone = service_admission_on_client_gone,
                                                .on_finished = service_admission_on_finished};
static const struct exchange_path refuse_path = {.on_body = refuse_on_body,
                                                 .on_body_end = refuse_on_body_end,
                                                 .on_client_gone = service_admission_on_client_gone,
                                                 .on_finished = service_admission_on_finished};

void service_admission_begin(struct exchange *exchange)
{
    struct services       *services = exchange->proxy->services;
    struct service_ticket *ticket = &exchange->service;
    uint64_t               now_us = loop_now_us(exchange->proxy->loop);

    if (services == NULL || !services_are_on(services)) {
        exchange->path->begin(exchange);
        return;
    }
    ticket->is_known = true;
    ticket->service = services_recognise(services, exchange->reply.connection, exchange->head,
                                         exchange->auth.key);
    ticket->flow = ticket->lane_flow = services_free_flow(ticket->service);
    ticket->records_max = services_records_max(services, ticket->service);
    exchange->record.service = services_name(services, ticket->service);
    if (!is_limited(exchange)) {
        exchange->path->begin(exchange);
        return;
    }
    ticket->flow = services_flow(ticket->service);
    switch (services_admit(services, ticket->service, exchange->route.operation,
                           exchange->head->has_content_length ? exchange->head->content_length : 0,
                           now_us, &ticket->charge)) {
    case STATUS_OK:
        exchange->path->begin(exchange);
        break;
    case STATUS_AGAIN:
        service_admission_delay(exchange);
        break;
    default:
        service_admission_refuse(exchange);
    }
}

/* Who asks whether Chroma lives, and browsers that ask whether they may ask, are not the load. */
static bool is_limited(const struct exchange *exchange)
{
    switch (exchange->route.operation) {
    case CHROMA_OPERATION_ROOT:
    case CHROMA_OPERATION_HEARTBEAT:
    case CHROMA_OPERATION_HEALTHCHECK:
    case CHROMA_OPERATION_VERSION:
        return false;
    default:
        return !bytes_equal(exchange->head->method, BYTES_LITERAL("OPTIONS"));
    }
}

/* ---- Later ---------------------------------------------------------------------------------- */

/* Where there is no memory for the wait it goes at once. */
static void service_admission_delay(struct exchange *exchange)
{
    struct service_ticket *ticket = &exchange->service;
    struct proxy          *proxy = exchange->proxy;

    ticket->timer = loop_timer_new(proxy->loop, delay_on_time, exchange);
    if (ticket->timer == NULL) {
        exchange->path->begin(exchange);
        return;
    }
    front_connection_pause_body(exchange->reply.connection);
    ticket->path = exchange->path;
    exchange->path = &delay_path;
    loop_timer_set(ticket->timer, loop_now_us(proxy->loop) + ticket->charge.verdict.wait_us);
}

static void delay_on_time(void *ctx)
{
    struct exchange *exchange = ctx;

    loop_timer_free(exchange->service.timer);
    exchange->service.timer = NULL;
    exchange->path = exchange->service.path;
    exchange->record.limit_us = exchange->service.charge.verdict.wait_us;
    exchange->path->begin(exchange);
}

/* It has none. The move is that of the path which it will take. */
static void delay_on_body_end(struct exchange *exchange)
{
    exchange_move(exchange, EXCHANGE_WAITING);
}

/* ---- Never ---------------------------------------------------------------------------------- */

static void service_admission_refuse(struct exchange *exchange)
{
    struct service_ticket  *ticket = &exchange->service;
    const struct http_head *head = exchange->head;
    bool                    is_small = head->framing == HTTP_FRAMING_NONE ||
                    (head->framing == HTTP_FRAMING_LENGTH &&
                     head->content_length <= read_bytes_max && !head->expects_continue);

    exchange->path = &refuse_path;
    ticket->refusal = calloc(1, sizeof *ticket->refusal);
    if (ticket->refusal == NULL) {
        reply_error(&exchange->reply, STATUS_RATE_LIMITED, FRONT_EXECUTED_NO, NULL);
        return;
    }
    services_explain(exchange->proxy->services, ticket->service, &ticket->charge,
                     loop_now_us(exchange->proxy->loop), ticket->refusal);
    if (is_small)
        front_connection_resume_body(exchange->reply.connection);
    else
        reply_rate_limited(&exchange->reply, ticket->refusal->message,
                           ticket->refusal->retry_after_s, ticket->refusal->fields);
}

static void refuse_on_body(struct exchange *exchange, struct bytes data)
{
    (void)exchange;
    (void)data;
}

static void refuse_on_body_end(struct exchange *exchange)
{
    const struct services_refusal *refusal = exchange->service.refusal;

    reply_rate_limited(&exchange->reply, refusal->message, refusal->retry_after_s, refusal->fields);
}

static void service_admission_on_client_gone(struct exchange *exchange)
{
    exchange_finish(exchange);
}

static void service_admission_on_finished(struct exchange *exchange)
{
    (void)exchange; /* nothing was begun */
}
