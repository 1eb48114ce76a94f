#include "proxy/cache_join.h"

#include <stdlib.h>

#include "proxy/auth_recheck.h"
#include "proxy/deadline_watch.h"
#include "proxy/exchange.h"

/* 64 copies of the largest answer are 32 MiB. */
static const struct single_flight_options limits = {
    .flights_max = 4096, .waiters_max = 64, .apart_us = 2000000};

struct cache_join {
    struct single_flight *flights;
    struct loop          *loop;
    struct list           asks; /* requests that have to ask after all */
    struct loop_task      task; /* which begins them again */
};

struct join_answer {
    const struct http_head *head;
    struct bytes            body;
};

static struct flight_question join_question(const struct exchange *exchange);
static void                   join_enter(struct cache_join *join, struct exchange *exchange);
static bool                   join_is_sent(const struct flight_member *leader);
static void join_on_end(struct flight_member *member, enum flight_end end, const void *answer);
static void join_ask_again(void *ctx);
static void join_note_wait(struct exchange *exchange);
static void join_let_run(struct exchange *leader);
static void join_on_deadline(struct exchange *exchange);
static void join_on_client_gone(struct exchange *exchange);
static void join_on_finished(struct exchange *exchange);

/* Of one that waits; its body is complete. */
static const struct exchange_path join_path = {.on_deadline = join_on_deadline,
                                               .on_client_gone = join_on_client_gone,
                                               .on_finished = join_on_finished};

static struct exchange *exchange_of(const struct flight_member *member)
{
    return CONTAINER_OF((char *)member, struct exchange, question.flight);
}

struct cache_join *cache_join_new(struct loop *loop, const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct single_flight_options options = limits;
    struct cache_join           *join = calloc(1, sizeof *join);

    if (join == NULL)
        return NULL;
    options.is_sent = join_is_sent;
    options.on_end = join_on_end;
    join->loop = loop;
    list_init(&join->asks);
    loop_task_init(&join->task, join_ask_again, join);
    join->flights = single_flight_new(&options, secret);
    if (join->flights == NULL) {
        free(join);
        return NULL;
    }
    return join;
}

void cache_join_free(struct cache_join *join)
{
    if (join == NULL)
        return;
    loop_task_cancel(&join->task);
    single_flight_free(join->flights);
    free(join);
}

bool cache_join_wait(struct cache_join *join, struct exchange *exchange)
{
    struct proxy          *proxy = exchange->proxy;
    struct cache_question *own = &exchange->question;
    struct flight_question question = join_question(exchange);
    uint64_t               now_us = loop_now_us(join->loop);

    join_enter(join, exchange);
    if (!single_flight_join(join->flights, &question, &own->asked, proxy->is_gateway, now_us,
                            &own->flight))
        return false;
    own->path = exchange->path;
    own->waits_since_us = now_us;
    exchange->path = &join_path;
    if (!timeout_queue_is_running(&exchange->deadline))
        exchange_start_deadline(exchange);
    if (!timeout_queue_is_running(&exchange->wait_limit) && !exchange->route.info->is_write)
        timeout_queue_start(proxy->wait_limits, &exchange->wait_limit);
    join_let_run(exchange_of(single_flight_leader(&own->flight)));
    return true;
}

static struct flight_question join_question(const struct exchange *exchange)
{
    return (struct flight_question){.key = exchange->question.key,
                                    .service = exchange->service.service};
}

static void join_enter(struct cache_join *join, struct exchange *exchange)
{
    if (exchange->question.join == NULL)
        list_node_init(&exchange->question.flight.node);
    exchange->question.join = join;
}

void cache_join_lead(struct cache_join *join, struct exchange *exchange)
{
    struct flight_question question = join_question(exchange);

    join_enter(join, exchange);
    single_flight_lead(join->flights, &question, &exchange->question.asked, loop_now_us(join->loop),
                       &exchange->question.flight);
}

/* A creation counts as sent from the first: it waits among writes, not for a turn. */
static bool join_is_sent(const struct flight_member *leader)
{
    const struct exchange *exchange = exchange_of(leader);

    return exchange->route.info->is_write || call_is_sent(&exchange->pass.call);
}

bool cache_join_is_awaited(struct exchange *exchange)
{
    if (single_flight_waiters(&exchange->question.flight) == 0)
        return false;
    join_let_run(exchange);
    return true;
}

/* Its own client may be slow; what is read ahead of it is one answer of a size that is kept. Before
 * its head is there nothing is held back. */
static void join_let_run(struct exchange *leader)
{
    if (leader->state != EXCHANGE_ANSWERING || leader->route.info->is_write)
        return;
    leader->reply.source = NULL;
    call_resume(&leader->pass.call);
}

void cache_join_answer(struct exchange *exchange, const struct http_head *head, struct bytes body)
{
    const struct join_answer answer = {.head = head, .body = body};
    struct memory_account   *account = &exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];
    struct flight_member    *member = &exchange->question.flight;

    if (memory_account_has_room(account, single_flight_waiters(member) * body.size))
        single_flight_answer(member, &answer);
    else
        single_flight_part(member);
}

void cache_join_refuse(struct cache_join *join, struct exchange *exchange)
{
    struct flight_question question = join_question(exchange);

    single_flight_mark(join->flights, &question, loop_now_us(join->loop),
                       &exchange->question.flight);
}

static void join_on_end(struct flight_member *member, enum flight_end end, const void *answer)
{
    const struct join_answer *given = answer;
    struct exchange          *exchange = exchange_of(member);
    struct cache_join        *join = exchange->question.join;

    if (end == FLIGHT_ANSWERED && auth_recheck_holds(exchange)) {
        join_note_wait(exchange);
        exchange->reply.cache_status = "chromabouncer; fwd=miss; collapsed";
        reply_collapsed(&exchange->reply, given->head, given->body);
    } else {
        list_push_back(&join->asks, &member->node);
        loop_later(join->loop, &join->task);
    }
}

/* Not from within what the one that it waited for does. */
static void join_ask_again(void *ctx)
{
    struct cache_join *join = ctx;
    struct list_node  *node;

    while ((node = list_first(&join->asks)) != NULL) {
        struct exchange *exchange = exchange_of(LIST_ITEM(node, struct flight_member, node));

        list_remove(node);
        join_note_wait(exchange);
        exchange->path = exchange->question.path;
        exchange->path->on_room(exchange);
    }
}

static void join_note_wait(struct exchange *exchange)
{
    exchange->record.queue_us +=
        loop_now_us(exchange->question.join->loop) - exchange->question.waits_since_us;
}

void cache_join_leave(struct exchange *exchange)
{
    struct flight_member *member = &exchange->question.flight;

    if (exchange->question.join == NULL)
        return;
    if (exchange->record.end == ACCESS_END_OK)
        single_flight_part(member);
    else if (exchange->pass.deaths > 0)
        single_flight_fail(member);
    else
        single_flight_leave(member);
    list_remove(&member->node);
}

/* Either clock. The limit of waits is one for a turn: it does not count when the other has its own.
 */
static void join_on_deadline(struct exchange *exchange)
{
    const struct flight_member *leader = single_flight_leader(&exchange->question.flight);
    bool                        waited_for_turn = timeout_queue_is_running(&exchange->deadline);
    const char                 *message = "Chroma did not answer another request, which asks the "
                                          "same, within deadline.read";
    uint64_t                   *counted = &exchange->proxy->refused.read_deadlines;

    if (!exchange->client_deadline.is_over && waited_for_turn &&
        (leader == NULL || join_is_sent(leader)))
        return; /* NULL: it is about to ask */
    if (waited_for_turn) {
        counted = &exchange->proxy->refused.waits;
        message = "it waited for queue.wait_max, as a request did that asks the same and had no "
                  "turn";
    } else if (exchange->route.info->is_write) {
        counted = &exchange->proxy->refused.write_deadlines;
        message = "Chroma did not answer another request, which is the same, within deadline.write";
    }
    deadline_watch_answer(exchange, FRONT_EXECUTED_NO, counted, message);
}

static void join_on_client_gone(struct exchange *exchange)
{
    exchange_finish(exchange);
}

static void join_on_finished(struct exchange *exchange)
{
    cache_join_leave(exchange);
}
