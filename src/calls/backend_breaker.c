#include "calls/backend_breaker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metric.h"
#include "limits/breaker_table.h"

/* A heartbeat that was asked for and never told of is asked for again after this. */
static const uint64_t ask_again_us = 1000000;

struct backend_breaker {
    struct loop          *loop;
    struct breaker_table *table;
    bool                  holds_reads, waits;
    void (*want_heartbeat)(void *ctx);
    void *want_ctx;
    void (*tell_recovery)(void *ctx);
    void              *recovery_ctx;
    struct loop_timer *timer; /* for the next heartbeat */
    struct list        waiting;
    struct loop_task   wake_task;
    uint64_t           refused, waited;
};

static bool           is_counted(const struct chroma_operation_info *info);
static const uint8_t *breaker_collection(const uint8_t uuid[16]);
static void breaker_explain(const struct backend_breaker *breaker, const struct breaker_view *by,
                            char message[BACKEND_BREAKER_TEXT_SIZE]);
static void breaker_on_change(void *ctx, const struct breaker_view *view);
static enum log_level breaker_log_level(const struct breaker *breaker);
static void           breaker_set_timer(struct backend_breaker *breaker, uint64_t not_before_us);
static void           breaker_on_timer(void *ctx);
static void           breaker_wake(void *ctx);
static void fill_state(const struct backend_breaker *breaker, const struct breaker_view *view,
                       struct breaker_state_view *ret);
static void print_reason(const struct breaker_view *view, char *out, size_t size);

static const char *const of_names[] = {[BREAKER_OF_READS] = "reads",
                                       [BREAKER_OF_WRITES] = "writes",
                                       [BREAKER_OF_COLLECTION] = "collection"};
static const char *const state_names[] = {
    [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_TRYING] = "trying"};

struct backend_breaker *backend_breaker_new(struct loop *loop, const unsigned char secret[16],
                                            bool waits)
{
    struct backend_breaker *breaker = calloc(1, sizeof *breaker);

    if (breaker == NULL)
        return NULL;
    breaker->loop = loop;
    breaker->waits = waits;
    list_init(&breaker->waiting);
    loop_task_init(&breaker->wake_task, breaker_wake, breaker);
    breaker->timer = loop_timer_new(loop, breaker_on_timer, breaker);
    breaker->table = breaker_table_new(secret, breaker_on_change, breaker);
    if (breaker->timer != NULL && breaker->table != NULL)
        return breaker;
    backend_breaker_free(breaker);
    return NULL;
}

void backend_breaker_free(struct backend_breaker *breaker)
{
    if (breaker == NULL)
        return;
    loop_task_cancel(&breaker->wake_task);
    loop_timer_free(breaker->timer);
    breaker_table_free(breaker->table);
    free(breaker);
}

void backend_breaker_set(struct backend_breaker *breaker, bool holds_reads)
{
    breaker->holds_reads = holds_reads;
    loop_later(breaker->loop, &breaker->wake_task);
}

/* ---- Reads before they are sent ------------------------------------------------------------- */

void backend_breaker_init_ticket(struct breaker_ticket *ticket,
                                 void (*go_on)(struct breaker_ticket *ticket))
{
    *ticket = (struct breaker_ticket){.go_on = go_on};
    list_node_init(&ticket->node);
}

enum status backend_breaker_ask(struct backend_breaker *breaker, struct breaker_ticket *ticket,
                                const struct chroma_operation_info *info, const uint8_t uuid[16],
                                char message[BACKEND_BREAKER_TEXT_SIZE])
{
    struct breaker_view by;

    if (!breaker->holds_reads || !is_counted(info))
        return STATUS_OK;
    ticket->is_let = false; /* of an earlier attempt */
    ticket->collection = breaker_collection(uuid);
    if (list_is_empty(&breaker->waiting)) { /* else it goes behind those */
        ticket->is_let = breaker_table_pass(breaker->table, ticket->collection, &by);
        if (ticket->is_let)
            return STATUS_OK;
        if (!breaker->waits) {
            breaker->refused++;
            breaker_explain(breaker, &by, message);
            return STATUS_BREAKER_OPEN;
        }
    }
    breaker->waited++;
    list_push_back(&breaker->waiting, &ticket->node);
    loop_later(breaker->loop, &breaker->wake_task);
    return STATUS_AGAIN;
}

/* Who asks whether Chroma lives gets its own word, and is not the load. */
static bool is_counted(const struct chroma_operation_info *info)
{
    return info != chroma_route_info(CHROMA_OPERATION_ROOT) &&
           info != chroma_route_info(CHROMA_OPERATION_HEARTBEAT) &&
           info != chroma_route_info(CHROMA_OPERATION_HEALTHCHECK) &&
           info != chroma_route_info(CHROMA_OPERATION_VERSION);
}

/* NULL where there is none: no collection has a UUID of zeros. */
static const uint8_t *breaker_collection(const uint8_t uuid[16])
{
    for (size_t i = 0; i < 16; i++)
        if (uuid[i] != 0)
            return uuid;
    return NULL;
}

static void breaker_explain(const struct backend_breaker *breaker, const struct breaker_view *by,
                            char message[BACKEND_BREAKER_TEXT_SIZE])
{
    struct breaker_state_view state;

    fill_state(breaker, by, &state);
    snprintf(message, BACKEND_BREAKER_TEXT_SIZE,
             "Chroma fails, so the breaker of %s%s is %s: %s. The read was not sent; with "
             "breaker.reads: watch it is",
             by->of == BREAKER_OF_COLLECTION ? "collection " : state.of, state.collection,
             state.state, state.reason);
}

bool backend_breaker_holds(const struct breaker_ticket *ticket)
{
    return list_node_is_linked(&ticket->node);
}

bool backend_breaker_leave(struct breaker_ticket *ticket)
{
    bool was_let = ticket->is_let;

    list_remove(&ticket->node);
    ticket->is_let = false;
    return was_let;
}

/* ---- Outcomes ------------------------------------------------------------------------------- */

void backend_breaker_report(struct backend_breaker             *breaker,
                            const struct chroma_operation_info *info, const uint8_t uuid[16],
                            enum breaker_outcome outcome, uint64_t began_us)
{
    if (!is_counted(info))
        return;
    breaker_table_report(breaker->table, info->is_write, breaker_collection(uuid), outcome,
                         began_us, loop_now_us(breaker->loop));
    if (!list_is_empty(&breaker->waiting))
        loop_later(breaker->loop, &breaker->wake_task);
}

enum breaker_outcome backend_breaker_of_answer(unsigned status, enum chroma_family family)
{
    if (status == 500 && !chroma_family_info(family)->fails_with_500)
        return BREAKER_NOTHING; /* it may be the caller's mistake */
    return status >= 500 && status != 501 ? BREAKER_FAILURE : BREAKER_SUCCESS;
}

enum breaker_outcome backend_breaker_of_failure(enum status why)
{
    switch (why) {
    case STATUS_BACKEND_DOWN:
        return BREAKER_CONNECT_FAILURE;
    case STATUS_BACKEND_RESET:
    case STATUS_BACKEND_GARBLED:
        return BREAKER_FAILURE;
    default:
        return BREAKER_NOTHING; /* our own */
    }
}

void backend_breaker_heartbeat(struct backend_breaker *breaker, bool is_answered)
{
    breaker_table_heartbeat(breaker->table, is_answered, loop_now_us(breaker->loop));
    breaker_set_timer(breaker, 0);
}

void backend_breaker_on_want(struct backend_breaker *breaker, void (*fn)(void *ctx), void *ctx)
{
    breaker->want_heartbeat = fn;
    breaker->want_ctx = ctx;
}

void backend_breaker_on_recovery(struct backend_breaker *breaker, void (*fn)(void *ctx), void *ctx)
{
    breaker->tell_recovery = fn;
    breaker->recovery_ctx = ctx;
}

void backend_breaker_new_incarnation(struct backend_breaker *breaker)
{
    breaker_table_new_incarnation(breaker->table, loop_now_us(breaker->loop));
}

bool backend_breaker_is_calm(const struct backend_breaker *breaker)
{
    return breaker_table_is_calm(breaker->table);
}

bool backend_breaker_is_open(const struct backend_breaker *breaker)
{
    return breaker_table_is_open(breaker->table);
}

static void breaker_on_change(void *ctx, const struct breaker_view *view)
{
    static const char *const  events[] = {[BREAKER_CLOSED] = "breaker_closed",
                                          [BREAKER_OPEN] = "breaker_open",
                                          [BREAKER_TRYING] = "breaker_trying"};
    struct backend_breaker   *breaker = ctx;
    enum breaker_state        state = view->breaker->state;
    struct breaker_state_view shown;
    struct log_line           line;

    fill_state(breaker, view, &shown);
    log_begin(&line, breaker_log_level(view->breaker), events[state]);
    log_text(&line, "of", shown.of);
    if (view->of == BREAKER_OF_COLLECTION)
        log_text(&line, "collection", shown.collection);
    if (state == BREAKER_OPEN)
        log_text(&line, "reason", shown.reason);
    if (state == BREAKER_OPEN && view->of != BREAKER_OF_WRITES)
        log_text(&line, "reads",
                 !breaker->holds_reads ? "are sent all the same"
                 : breaker->waits      ? "wait"
                                       : "are refused");
    log_end(&line);
    if (view->of == BREAKER_OF_READS && state == BREAKER_CLOSED && breaker->tell_recovery != NULL)
        breaker->tell_recovery(breaker->recovery_ctx);
    breaker_set_timer(breaker, 0);
    loop_later(breaker->loop, &breaker->wake_task);
}

/* It opens and closes once for the operator; what is tried meanwhile may be many lines. */
static enum log_level breaker_log_level(const struct breaker *breaker)
{
    if (breaker->state == BREAKER_CLOSED)
        return LOG_INFO;
    return breaker->state == BREAKER_OPEN && breaker->reopened == 0 ? LOG_WARNING : LOG_DEBUG;
}

static void breaker_set_timer(struct backend_breaker *breaker, uint64_t not_before_us)
{
    uint64_t wake_us = breaker_table_wake_us(breaker->table);

    if (wake_us == UINT64_MAX)
        loop_timer_clear(breaker->timer);
    else
        loop_timer_set(breaker->timer, wake_us > not_before_us ? wake_us : not_before_us);
}

static void breaker_on_timer(void *ctx)
{
    struct backend_breaker *breaker = ctx;

    if (breaker->want_heartbeat != NULL)
        breaker->want_heartbeat(breaker->want_ctx);
    breaker_set_timer(breaker, loop_now_us(breaker->loop) + ask_again_us);
}

/* In the order in which they came; who may not go stops none of another collection. */
static void breaker_wake(void *ctx)
{
    struct backend_breaker *breaker = ctx;

    LIST_FOR_EACH(node, &breaker->waiting)
    {
        struct breaker_ticket *ticket = LIST_ITEM(node, struct breaker_ticket, node);
        struct breaker_view    by;

        if (breaker->holds_reads) {
            ticket->is_let = breaker_table_pass(breaker->table, ticket->collection, &by);
            if (!ticket->is_let)
                continue;
        }
        list_remove(&ticket->node);
        ticket->go_on(ticket);
    }
}

/* ---- Seen ----------------------------------------------------------------------------------- */

struct visit {
    const struct backend_breaker *breaker;
    breaker_state_fn             *fn;
    void                         *ctx;
};

static void visit_breaker(void *ctx, const struct breaker_view *view)
{
    const struct visit       *visit = ctx;
    struct breaker_state_view state;

    fill_state(visit->breaker, view, &state);
    visit->fn(visit->ctx, &state);
}

void backend_breaker_each(const struct backend_breaker *breaker, breaker_state_fn *fn, void *ctx)
{
    struct visit visit = {.breaker = breaker, .fn = fn, .ctx = ctx};

    breaker_table_each(breaker->table, visit_breaker, &visit);
}

static void fill_state(const struct backend_breaker *breaker, const struct breaker_view *view,
                       struct breaker_state_view *ret)
{
    uint64_t now_us = loop_now_us(breaker->loop);

    *ret = (struct breaker_state_view){.of = of_names[view->of],
                                       .state = state_names[view->breaker->state],
                                       .is_closed = view->breaker->state == BREAKER_CLOSED};
    if (view->collection != NULL)
        chroma_route_print_uuid(view->collection, ret->collection);
    if (view->breaker->state == BREAKER_OPEN && view->breaker->next_us > now_us)
        ret->next_us = view->breaker->next_us - now_us;
    if (view->breaker->state != BREAKER_CLOSED)
        print_reason(view, ret->reason, sizeof ret->reason);
}

static void print_reason(const struct breaker_view *view, char *out, size_t size)
{
    const struct breaker *breaker = view->breaker;
    int                   used;

    if (breaker->cause_calls == 0)
        used = snprintf(out, size, "%d calls in a row could not connect", BREAKER_CONNECTS_MAX);
    else
        used = snprintf(out, size, "%" PRIu64 " of %" PRIu64 " calls in %d s failed",
                        breaker->cause_failures, breaker->cause_calls, BREAKER_WINDOW_S);
    if (breaker->reopened > 0 && used > 0 && (size_t)used < size)
        snprintf(out + used, size - (size_t)used, ", and %u tries since", breaker->reopened);
}

void backend_breaker_limits(const struct backend_breaker *breaker, struct limits_state *ret)
{
    bool is_open = !breaker_table_is_calm(breaker->table);

    ret->breakers_open = breaker_table_stats(breaker->table)->open_collections + is_open;
    ret->refused.breaker += breaker->refused;
    LIST_FOR_EACH(node, &breaker->waiting)
    {
        ret->breakers_waiting++;
    }
}

struct breaker_metrics {
    uint64_t state[2], opened[3], open_collections, refused, waited;
};

static const struct metric_desc breaker_metric_table[] = {
    METRIC_LABELED(
        GAUGE, breaker_metrics, state[BREAKER_OF_READS], "chromabouncer_breaker_state",
        "of=\"reads\"",
        "0: closed. 1: open, since calls to the backend fail. 2: the backend answers its "
        "heartbeat, and calls try."),
    METRIC_LABELED(GAUGE, breaker_metrics, state[BREAKER_OF_WRITES], "chromabouncer_breaker_state",
                   "of=\"writes\"", ""),
    METRIC(GAUGE, breaker_metrics, open_collections, "chromabouncer_breaker_collections",
           "Collections whose breaker is not closed now, 256 at most."),
    METRIC_LABELED(COUNTER, breaker_metrics, opened[BREAKER_OF_READS],
                   "chromabouncer_breaker_opened_total", "of=\"reads\"",
                   "How often a breaker has opened."),
    METRIC_LABELED(COUNTER, breaker_metrics, opened[BREAKER_OF_WRITES],
                   "chromabouncer_breaker_opened_total", "of=\"writes\"", ""),
    METRIC_LABELED(COUNTER, breaker_metrics, opened[BREAKER_OF_COLLECTION],
                   "chromabouncer_breaker_opened_total", "of=\"collections\"", ""),
    METRIC(COUNTER, breaker_metrics, refused, "chromabouncer_breaker_refused_total",
           "Reads answered 503 by an open breaker (breaker.reads: refuse)."),
    METRIC(COUNTER, breaker_metrics, waited, "chromabouncer_breaker_waited_total",
           "Reads that an open breaker made wait (breaker.reads: refuse, with exec and wrap)."),
};

static void take_metric(void *ctx, const struct breaker_view *view)
{
    struct breaker_metrics *metrics = ctx;

    if (view->of != BREAKER_OF_COLLECTION)
        metrics->state[view->of] = view->breaker->state;
}

enum status backend_breaker_print_metrics(const struct backend_breaker *breaker,
                                          struct byte_buffer           *out)
{
    const struct breaker_table_stats *stats = breaker_table_stats(breaker->table);
    struct breaker_metrics            metrics = {.open_collections = stats->open_collections,
                                                 .refused = breaker->refused,
                                                 .waited = breaker->waited};

    for (size_t i = 0; i < COUNT_OF(metrics.opened); i++)
        metrics.opened[i] = stats->opened[i];
    breaker_table_each(breaker->table, take_metric, &metrics);
    return metric_print(out, breaker_metric_table, COUNT_OF(breaker_metric_table), &metrics);
}
