#include "proxy/deadline_watch.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "calls/backend_breaker.h"

static void     deadline_watch_on_time(void *ctx);
static void     watch_set_alarm(struct exchange *exchange);
static bool     watch_is_unsent(const struct exchange *exchange);
static bool     cannot_suffice(const struct exchange *exchange);
static uint64_t watch_floor(const struct exchange *exchange);
static void     watch_refuse(struct exchange *exchange);

void deadline_watch_begin(struct exchange *exchange)
{
    struct client_deadline  *deadline = &exchange->client_deadline;
    struct client_deadlines *all = &exchange->proxy->client_deadlines;
    uint64_t                 given_us;
    unsigned                 malformed;
    bool is_given = client_deadline_read(exchange->head, &given_us, &deadline->field, &malformed);

    all->malformed += malformed;
    if (!is_given)
        return;
    all->given++;
    deadline->given_us = given_us;
    deadline->at_us = exchange->record.began_us + given_us;
    exchange->record.deadline_us = given_us;
    deadline->timer = loop_timer_new(exchange->proxy->loop, deadline_watch_on_time, exchange);
    if (deadline->timer != NULL) /* else only what is about to be sent is looked at */
        watch_set_alarm(exchange);
}

bool deadline_watch_is_late(const struct exchange *exchange)
{
    return exchange->client_deadline.at_us != 0 && cannot_suffice(exchange);
}

bool deadline_watch_suffices(struct exchange *exchange)
{
    if (!deadline_watch_is_late(exchange))
        return true;
    watch_refuse(exchange);
    return false;
}

void deadline_watch_tell(const struct exchange *exchange, struct write_request *request)
{
    uint64_t at_us = exchange->client_deadline.at_us;

    if (at_us == 0 || at_us >= request->deadline_us)
        return;
    request->deadline_us = at_us;
    request->is_clients_deadline = true;
    request->slack_us = watch_floor(exchange);
}

static bool cannot_suffice(const struct exchange *exchange)
{
    return loop_now_us(exchange->proxy->loop) + watch_floor(exchange) >=
           exchange->client_deadline.at_us;
}

static uint64_t watch_floor(const struct exchange *exchange)
{
    const struct proxy *proxy = exchange->proxy;

    return client_deadline_floor(&proxy->client_deadlines, exchange->route.operation,
                                 loop_now_us(proxy->loop));
}

/* First when an unsent one is too late, then when all are. */
static void watch_set_alarm(struct exchange *exchange)
{
    struct client_deadline *deadline = &exchange->client_deadline;
    uint64_t                floor_us = watch_floor(exchange);
    bool                    is_early = watch_is_unsent(exchange) && floor_us < deadline->at_us;

    loop_timer_set(deadline->timer, deadline->at_us - (is_early ? floor_us : 0));
}

static void deadline_watch_on_time(void *ctx)
{
    struct exchange *exchange = ctx;
    bool is_past = loop_now_us(exchange->proxy->loop) >= exchange->client_deadline.at_us;

    if (!is_past && !(watch_is_unsent(exchange) && cannot_suffice(exchange))) {
        watch_set_alarm(exchange);
        return;
    }
    if (exchange->route.info->is_write && exchange->reply.source != NULL)
        return; /* it is applied, and its answer on the way */
    exchange->client_deadline.is_over = true;
    if (exchange->path->on_deadline != NULL)
        exchange->path->on_deadline(exchange);
    else
        watch_refuse(exchange); /* it is not begun: its service makes it wait */
    exchange->client_deadline.is_over = exchange->state == EXCHANGE_DONE;
}

/* Nothing of it has gone to Chroma, nor would its answer come without that: a write in a lane is
 * the coalescer's, and who waits for another's answer has no call. */
static bool watch_is_unsent(const struct exchange *exchange)
{
    const struct call *call = &exchange->pass.call;

    if (exchange->state == EXCHANGE_ANSWERING)
        return false;
    if (exchange->write != NULL)
        return !exchange->write->is_in_lane && !write_is_sent(exchange->write);
    if (exchange->state == EXCHANGE_RECEIVING)
        return !exchange->pass.is_streaming;
    return exchange_waits(exchange) || backend_breaker_holds(&exchange->pass.breaker) ||
           (call_is_active(call) && !call_is_sent(call));
}

static void watch_refuse(struct exchange *exchange)
{
    char room[DEADLINE_WATCH_TEXT_SIZE];

    exchange->client_deadline.is_over = true;
    reply_error(&exchange->reply, STATUS_TIMED_OUT, FRONT_EXECUTED_NO,
                deadline_watch_explain(exchange, false, NULL, room));
}

const char *deadline_watch_explain(struct exchange *exchange, bool sent, const char *message,
                                   char room[DEADLINE_WATCH_TEXT_SIZE])
{
    const struct client_deadline *deadline = &exchange->client_deadline;
    struct client_deadlines      *all = &exchange->proxy->client_deadlines;
    uint64_t                      now_us = loop_now_us(exchange->proxy->loop);
    uint64_t                      floor_us = watch_floor(exchange);
    uint64_t                      left_us = deadline->at_us > now_us ? deadline->at_us - now_us : 0;

    if (deadline->at_us == 0 || (!deadline->is_over && now_us + floor_us < deadline->at_us))
        return message;
    if (sent)
        all->passed++;
    else
        all->unsent++;
    if (sent)
        snprintf(room, DEADLINE_WATCH_TEXT_SIZE,
                 "Chroma did not answer within the %.1f ms that the client gives (%s)%s",
                 (double)deadline->given_us / 1e3, deadline->field,
                 exchange->route.info->is_write ? "; the write may yet be applied" : "");
    else if (left_us > 0)
        snprintf(
            room, DEADLINE_WATCH_TEXT_SIZE,
            "not sent: of the %.1f ms that the client gives (%s) %.1f ms are left, and no such "
            "request was answered in less than %.1f ms lately",
            (double)deadline->given_us / 1e3, deadline->field, (double)left_us / 1e3,
            (double)floor_us / 1e3);
    else
        snprintf(room, DEADLINE_WATCH_TEXT_SIZE,
                 "not sent within the %.1f ms that the client gives (%s)",
                 (double)deadline->given_us / 1e3, deadline->field);
    return room;
}

/* Who waited too long for whatever is told how long one may wait. */
static const char *deadline_watch_advise(const struct exchange *exchange, const char *message,
                                         char room[DEADLINE_WATCH_TEXT_SIZE])
{
    const struct proxy_options *options = &exchange->proxy->options;
    char                        wait[TEXT_NUMBER_SIZE], time[TEXT_NUMBER_SIZE];

    if (exchange->route.info->is_write)
        snprintf(room, DEADLINE_WATCH_TEXT_SIZE,
                 "%s. The operator can raise deadline.write, which is %s", message,
                 text_of_duration(options->deadline_write_us, time));
    else
        snprintf(room, DEADLINE_WATCH_TEXT_SIZE,
                 "%s. The operator can raise queue.wait_max, which is %s, and deadline.read, which "
                 "is %s",
                 message, text_of_duration(options->queue_wait_max_us, wait),
                 text_of_duration(options->deadline_read_us, time));
    return room;
}

void deadline_watch_answer(struct exchange *exchange, enum front_executed executed, uint64_t *ours,
                           const char *message)
{
    char room[DEADLINE_WATCH_TEXT_SIZE];

    if (exchange->client_deadline.is_over)
        message = deadline_watch_explain(exchange, executed != FRONT_EXECUTED_NO, message, room);
    else if (strstr(message, "operator") == NULL)
        message = deadline_watch_advise(exchange, message, room);
    if (!exchange->client_deadline.is_over && ours != NULL)
        (*ours)++;
    reply_error(&exchange->reply, STATUS_TIMED_OUT, executed, message);
}
