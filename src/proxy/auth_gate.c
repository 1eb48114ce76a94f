#include "proxy/auth_gate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/auth_credentials.h"
#include "auth/auth_judge.h"
#include "proxy/auth_get.h"
#include "proxy/auth_list.h"
#include "proxy/auth_recheck.h"
#include "proxy/auth_verdict.h"
#include "proxy/deadline_watch.h"
#include "proxy/exchange.h"
#include "proxy/service_admission.h"

/* A body up to this size is read before its request is refused: the connection can be used on. */
enum { auth_read_bytes_max = 64 << 10, message_size = 640 };

static bool auth_gate_change_head(struct exchange *exchange);
static void auth_gate_judge(struct exchange *exchange, const struct auth_names *names);
static void auth_gate_pass(struct exchange *exchange);
static void auth_gate_wait(struct exchange *exchange);
static void wait_on_body_end(struct exchange *exchange);
static void wait_on_deadline(struct exchange *exchange);
static void auth_gate_on_known(struct auth_look_ticket *look, enum status status,
                               const struct auth_names *names);
static void refuse_verdict(struct exchange *exchange, enum auth_verdict verdict, const char *why);
static void auth_gate_refuse(struct exchange *exchange, enum auth_refusal refusal,
                             enum status status, const char *format, ...) PRINTF_LIKE(4, 5);
static void answer_refusal(struct exchange *exchange, enum status status, uint64_t wait_us,
                           const char *message);
static void auth_refuse_on_time(void *ctx);
static void auth_refuse_on_body(struct exchange *exchange, struct bytes data);
static void auth_refuse_on_body_end(struct exchange *exchange);
static void auth_gate_on_client_gone(struct exchange *exchange);
static void auth_gate_on_finished(struct exchange *exchange);

static const struct exchange_path look_path = {.begin = auth_gate_wait};
static const struct exchange_path wait_path = {.on_body_end = wait_on_body_end,
                                               .on_deadline = wait_on_deadline,
                                               .on_client_gone = auth_gate_on_client_gone,
                                               .on_finished = auth_gate_on_finished};
static const struct exchange_path auth_refuse_path = {.on_body = auth_refuse_on_body,
                                                      .on_body_end = auth_refuse_on_body_end,
                                                      .on_client_gone = auth_gate_on_client_gone,
                                                      .on_finished = auth_gate_on_finished};

void auth_gate_begin(struct exchange *exchange)
{
    struct auth            *auth = exchange->proxy->auth;
    struct auth_ticket     *ticket = &exchange->auth;
    struct auth_credentials shown;
    bool                    is_open = auth_judge_is_open(exchange->head, &exchange->route);

    list_node_init(&ticket->look.node);
    ticket->rules = auth_hold_rules(auth);
    auth_credentials_read(exchange->head, &shown);
    if (shown.text.size > 0)
        ticket->key = auth_find_key(auth, ticket->rules, shown.text);
    if (ticket->key == NULL && shown.are_two) /* neither is one of Chroma's, then */
        ticket->key = auth_find_key(auth, ticket->rules, shown.other);
    if (ticket->key != NULL)
        exchange->record.key = ticket->key->name;
    if (!auth_gate_change_head(exchange))
        auth_gate_refuse(exchange, AUTH_REFUSAL_INVALID, STATUS_HEADERS_TOO_LARGE,
                         "no room for the field of auth.backend_credential_file: the request has "
                         "%d fields, and they are all that are taken",
                         HTTP_FIELDS_MAX);
    else if (is_open || !ticket->rules->is_required)
        service_admission_begin(exchange);
    else if (shown.are_two)
        auth_gate_refuse(exchange, AUTH_REFUSAL_TWO_KEYS, STATUS_INVALID,
                         "the request shows two different keys; send one, in Authorization: Bearer "
                         "or X-Chroma-Token");
    else if (shown.text.size == 0)
        auth_gate_refuse(
            exchange, AUTH_REFUSAL_NO_KEY, STATUS_UNAUTHENTICATED,
            "a key is needed here (auth.required): send it in Authorization: Bearer or "
            "X-Chroma-Token; the operator makes one with `chromabouncer key add`");
    else if (ticket->key == NULL)
        auth_gate_refuse(exchange, AUTH_REFUSAL_UNKNOWN_KEY, STATUS_UNAUTHENTICATED,
                         "the key is not known, or was revoked; the operator makes one with "
                         "`chromabouncer key add`");
    else
        auth_gate_judge(exchange, NULL);
}

/* What leaves for Chroma: without the caller's credentials, unless they are meant for it, and with
 * ours. So the head is the same whoever asked, and whoever goes by the head sees one identity. */
static bool auth_gate_change_head(struct exchange *exchange)
{
    const struct auth_ticket *ticket = &exchange->auth;
    const struct auth_rules  *rules = ticket->rules;
    const struct http_head   *head = exchange->head;
    struct front_connection  *connection = exchange->reply.connection;
    bool                      has_credential = rules->credential_name.size > 0;

    if (rules->forwards || (ticket->key == NULL && !rules->is_required && !has_credential))
        return true;
    for (size_t i = 0; i < head->field_count; i++)
        if (auth_credentials_is_field(&head->fields[i]))
            front_connection_drop_field(connection, i);
    return !has_credential ||
           front_connection_add_field(connection, rules->credential_name, rules->credential_value);
}

/* ---- Judging -------------------------------------------------------------------------------- */

static void auth_gate_judge(struct exchange *exchange, const struct auth_names *names)
{
    char              why[AUTH_JUDGE_WHY_SIZE];
    enum auth_verdict verdict = auth_verdict_find(exchange, names, NULL, why);

    switch (verdict) {
    case AUTH_NEEDS_NAMES: /* a question to Chroma, as others, so its service has a word first */
        exchange->auth.path = exchange->path;
        exchange->path = &look_path;
        service_admission_begin(exchange);
        break;
    case AUTH_FILTERED:
        exchange->path = &auth_list_path;
        auth_gate_pass(exchange);
        break;
    case AUTH_NEEDS_BODY:
        exchange->auth.needs_body = true;
        auth_gate_pass(exchange);
        break;
    case AUTH_ALLOWED:
        if (exchange->route.has_uuid)
            exchange->auth.judged_us = loop_now_us(exchange->proxy->loop);
        auth_gate_pass(exchange);
        break;
    default:
        refuse_verdict(exchange, verdict, why);
    }
}

/* Who has asked was let pass by its service before. */
static void auth_gate_pass(struct exchange *exchange)
{
    if (exchange->service.has_asked)
        exchange->path->begin(exchange);
    else
        service_admission_begin(exchange);
}

bool auth_gate_check_body(struct exchange *exchange)
{
    struct bytes      body = byte_buffer_bytes(&exchange->body);
    char              why[AUTH_JUDGE_WHY_SIZE];
    enum auth_verdict verdict;

    if (!auth_recheck(exchange, NULL))
        return false;
    exchange->auth.needs_body |= auth_recheck_is_due(exchange);
    if (!exchange->auth.needs_body)
        return true;
    verdict = auth_verdict_find(exchange, exchange->auth.names, &body, why);
    if (verdict == AUTH_ALLOWED) {
        exchange->auth.needs_body = false;
        if (exchange->route.has_uuid)
            exchange->auth.judged_us = loop_now_us(exchange->proxy->loop);
        return true;
    }
    if (verdict == AUTH_AS_GET) {
        auth_get_begin(exchange);
    } else if (verdict == AUTH_NEEDS_NAMES) {
        exchange->auth.path = exchange->path;
        auth_gate_wait(exchange);
    } else {
        refuse_verdict(exchange, verdict, why);
    }
    return false;
}

/* ---- Waiting for names ---------------------------------------------------------------------- */

static void auth_gate_wait(struct exchange *exchange)
{
    struct auth_ticket *ticket = &exchange->auth;

    front_connection_pause_body(exchange->reply.connection);
    exchange->path = &wait_path;
    exchange->service.has_asked = true;
    ticket->look.head = exchange->head;
    ticket->look.route = &exchange->route;
    ticket->look.on_known = auth_gate_on_known;
    timeout_queue_start(exchange->proxy->wait_limits, &exchange->wait_limit);
    auth_look_ask(auth_looks(exchange->proxy->auth), &ticket->look);
}

/* It has none. The move is that of the path which it will take. */
static void wait_on_body_end(struct exchange *exchange)
{
    exchange_move(exchange, EXCHANGE_WAITING);
}

static void wait_on_deadline(struct exchange *exchange)
{
    deadline_watch_answer(
        exchange, FRONT_EXECUTED_NO, &exchange->proxy->refused.waits,
        "Chroma did not say within queue.wait_max which collection this is, on which the "
        "scope of the key rests");
}

static void auth_gate_on_known(struct auth_look_ticket *look, enum status status,
                               const struct auth_names *names)
{
    struct exchange *exchange = CONTAINER_OF(look, struct exchange, auth.look);

    exchange_stop_clocks(exchange);
    if (!exchange->body_ended)
        front_connection_resume_body(exchange->reply.connection);
    if (status != STATUS_OK) {
        exchange->service.has_asked = false; /* it had nothing */
        answer_refusal(exchange, status, 0,
                       "Chroma did not say which collection this is, on which the scope of the "
                       "key rests");
        return;
    }
    exchange->path = exchange->auth.path;
    if (exchange->auth.needs_body) { /* its path is begun, and complete but for this */
        exchange->auth.names = names;
        exchange->path->on_room(exchange);
        exchange->auth.names = NULL;
        return;
    }
    auth_gate_judge(exchange, names);
}

/* ---- Refusing ------------------------------------------------------------------------------- */

static void refuse_verdict(struct exchange *exchange, enum auth_verdict verdict, const char *why)
{
    struct auth_verdict_told told;

    auth_verdict_explain(&exchange->route, exchange->auth.key, verdict, why, &told);
    auth_gate_refuse(exchange, told.refusal, told.status, "%s", told.message);
}

static void auth_gate_refuse(struct exchange *exchange, enum auth_refusal refusal,
                             enum status status, const char *format, ...)
{
    struct proxy *proxy = exchange->proxy;
    uint64_t      wait_us = auth_count(proxy->auth, refusal, socket_address_host(exchange->peer),
                                       loop_now_us(proxy->loop));
    char          message[message_size];
    va_list       arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    answer_refusal(exchange, status, wait_us, message);
}

/* In `wait_us`; at once if the body is there, or too large to be read for nothing. */
static void answer_refusal(struct exchange *exchange, enum status status, uint64_t wait_us,
                           const char *message)
{
    struct auth_ticket     *ticket = &exchange->auth;
    struct proxy           *proxy = exchange->proxy;
    const struct http_head *head = exchange->head;
    bool                    is_small = head->framing == HTTP_FRAMING_NONE ||
                    (head->framing == HTTP_FRAMING_LENGTH &&
                     head->content_length <= auth_read_bytes_max && !head->expects_continue);

    exchange->path = &auth_refuse_path;
    ticket->status = status;
    ticket->message = strdup(message); /* NULL: the status' own words */
    if (wait_us > 0)
        ticket->timer = loop_timer_new(proxy->loop, auth_refuse_on_time, exchange);
    if (ticket->timer != NULL) {
        front_connection_pause_body(exchange->reply.connection);
        loop_timer_set(ticket->timer, loop_now_us(proxy->loop) + wait_us);
    } else if (!is_small || exchange->body_ended) {
        reply_error(&exchange->reply, status, FRONT_EXECUTED_NO, ticket->message);
    }
}

static void auth_refuse_on_time(void *ctx)
{
    struct exchange *exchange = ctx;

    loop_timer_free(exchange->auth.timer);
    exchange->auth.timer = NULL;
    reply_error(&exchange->reply, exchange->auth.status, FRONT_EXECUTED_NO, exchange->auth.message);
}

static void auth_refuse_on_body(struct exchange *exchange, struct bytes data)
{
    (void)exchange;
    (void)data;
}

static void auth_refuse_on_body_end(struct exchange *exchange)
{
    if (exchange->auth.timer == NULL)
        reply_error(&exchange->reply, exchange->auth.status, FRONT_EXECUTED_NO,
                    exchange->auth.message);
}

/* ---- The end -------------------------------------------------------------------------------- */

static void auth_gate_on_client_gone(struct exchange *exchange)
{
    exchange_finish(exchange);
}

static void auth_gate_on_finished(struct exchange *exchange)
{
    (void)exchange; /* nothing was begun */
}
