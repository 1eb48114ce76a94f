#include "proxy/dispatch.h"

#include "calls/request_head.h"
#include "proxy/auth_gate.h"
#include "proxy/deadline_watch.h"
#include "proxy/exchange.h"
#include "proxy/guard_gate.h"
#include "proxy/pass_path.h"
#include "proxy/service_admission.h"
#include "proxy/write_path.h"

static void *dispatch_on_request(struct front_connection *connection, const struct http_head *head,
                                 void *ctx);
static void  dispatch_on_body(void *request, struct bytes data);
static void  dispatch_on_body_end(void *request);
static void  dispatch_on_abort(void *request, enum status why);
static void  dispatch_on_drained(void *request);
static void  dispatch_on_refused(const struct front_connection *connection,
                                 const struct error *error, void *ctx);
static bool  is_held_by_pause(const struct exchange *exchange);

const struct front_handler dispatch_handler = {.on_request = dispatch_on_request,
                                               .on_body = dispatch_on_body,
                                               .on_body_end = dispatch_on_body_end,
                                               .on_abort = dispatch_on_abort,
                                               .on_drained = dispatch_on_drained,
                                               .on_refused = dispatch_on_refused};

static void *dispatch_on_request(struct front_connection *connection, const struct http_head *head,
                                 void *ctx)
{
    struct exchange *exchange = exchange_new(ctx, connection, head);

    if (exchange == NULL)
        return NULL;
    guard_gate_take_confirm(exchange);
    exchange->path = exchange->route.info->is_write ? &write_path : &pass_path;
    if (exchange->proxy->options.takes_client_deadlines)
        deadline_watch_begin(exchange);
    if (request_head_is_loop(head))
        reply_error(&exchange->reply, STATUS_LOOP_DETECTED, FRONT_EXECUTED_NO,
                    "the request came round to the proxy that sent it: backend.url must name "
                    "Chroma, not this proxy");
    else if (exchange->proxy->auth != NULL)
        auth_gate_begin(exchange);
    else
        service_admission_begin(exchange);
    return exchange;
}

static void dispatch_on_body(void *request, struct bytes data)
{
    struct exchange *exchange = request;

    exchange->record.request_bytes += data.size;
    exchange->path->on_body(exchange, data);
}

static void dispatch_on_body_end(void *request)
{
    struct exchange *exchange = request;

    exchange->body_ended = true;
    exchange->record.body_ended_us = loop_now_us(exchange->proxy->loop);
    exchange->path->on_body_end(exchange);
}

static void dispatch_on_abort(void *request, enum status why)
{
    struct exchange *exchange = request;

    exchange->record.end = why == STATUS_CANCELLED ? ACCESS_END_PROXY : ACCESS_END_CLIENT;
    if (exchange->state != EXCHANGE_ANSWERING)
        exchange->record.code = (unsigned)status_http_code(why);
    exchange->proxy->metrics.aborted++;
    exchange->reply.connection = NULL;
    exchange->path->on_client_gone(exchange);
}

static void dispatch_on_drained(void *request)
{
    struct exchange *exchange = request;

    if (exchange->state == EXCHANGE_ANSWERING) {
        exchange_start_deadline(exchange);
        reply_on_drained(&exchange->reply);
    }
}

static void dispatch_on_refused(const struct front_connection *connection,
                                const struct error *error, void *ctx)
{
    struct proxy *proxy = ctx;

    proxy->metrics.shed[error->status]++;
    access_log_refused(proxy->options.access_log, connection, error);
}

void dispatch_on_deadline(struct timeout *timeout)
{
    struct exchange *exchange = CONTAINER_OF(timeout, struct exchange, deadline);

    if (is_held_by_pause(exchange))
        exchange_start_deadline(exchange);
    else
        exchange->path->on_deadline(exchange);
}

/* Counts only while it waits for its turn, or for room. */
void dispatch_on_wait_limit(struct timeout *timeout)
{
    struct exchange *exchange = CONTAINER_OF(timeout, struct exchange, wait_limit);

    if (is_held_by_pause(exchange))
        timeout_queue_start(exchange->proxy->wait_limits, timeout);
    else if (!call_is_sent(&exchange->pass.call))
        exchange->path->on_deadline(exchange);
}

/* It waits for admission or room, where reads are refused early. */
void dispatch_on_shed_wait(struct timeout *timeout)
{
    struct exchange *exchange = CONTAINER_OF(timeout, struct exchange, wait_limit);
    char             message[EXCHANGE_WAIT_TEXT_SIZE];

    if (is_held_by_pause(exchange)) {
        timeout_queue_start(exchange->proxy->shed_waits, timeout);
        return;
    }
    if (exchange->admission.was_paused) { /* the pause is why so many wait */
        timeout_queue_start(exchange->proxy->wait_limits, timeout);
        return;
    }
    exchange_explain_wait(exchange, "", message);
    reply_error(&exchange->reply, STATUS_OVERLOADED, FRONT_EXECUTED_NO, message);
}

/* Its clocks begin anew when the pause has ended. */
static bool is_held_by_pause(const struct exchange *exchange)
{
    return exchange->proxy->admission.is_paused && !exchange->admission.is_held;
}
