#include "lanes/write_lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "lanes/guard_look.h"
#include "lanes/lane_order.h"
#include "lanes/write_alone.h"
#include "lanes/write_call.h"
#include "lanes/write_metrics.h"
#include "lanes/write_permit.h"
#include "lanes/write_settle.h"

/* A body above this is scanned on a worker. Vectors take 0.25 ms for a MiB, but bodies made to be
 * slow (a million empty objects) 5 ms: the loop must not be held for a millisecond. */
enum { scan_inline_max = 128 * 1024 };

/* Of a record that may be merged: its decoded id, where its values begin, its id's hash. */
enum { record_bytes = 48 };

/* Distributed Chroma takes 1000 records at once and works on several calls at a time; the
 * single-node server takes 5461 and has one writer. */
enum { distributed_in_flight = 8 };

struct write_lanes {
    struct proxy      *proxy;
    struct coalescer  *coalescer;
    struct lane_order *order;
    struct loop_task   pump_task;
    struct loop_timer *wake_timer;
    uint64_t           wake_us; /* for which the timer is set */
    uint32_t           in_flight_max;
};

static bool write_lanes_takes(const struct write_lanes *lanes, const struct chroma_route *route);
static void write_lanes_scan(struct worker_job *job);
static void write_lanes_on_scanned(struct worker_job *job);
static enum status write_lanes_offer(struct write_lanes *lanes, struct write *write);
static bool     write_lanes_may_merge(const struct write_lanes *lanes, const struct write *write);
static uint32_t write_lanes_find_dimension(void *ctx, const unsigned char lane[16]);
static void     write_lanes_pump(void *ctx);
static void     write_lanes_let_others(struct write_lanes *lanes);
static bool     write_lanes_ask_turn(struct write_lanes *lanes);
static void     write_lanes_set_timer(struct write_lanes *lanes);
static void     write_lanes_act(struct write_lanes *lanes, const struct coalescer_action *action);
static void     write_lanes_send(struct write_lanes *lanes, struct coalescer_batch *batch);
static void     write_lanes_send_guarded(struct write_lanes *lanes, struct coalescer_batch *batch,
                                         struct turn *turn, enum guard_look_answer guard);
static void     write_lanes_on_batch_guarded(struct write *write, enum guard_look_answer guard,
                                             void *ctx);
static bool     write_lanes_permits(struct write_lanes *lanes, struct coalescer_batch *batch);
static void     write_lanes_report(struct write_lanes *lanes, struct coalescer_batch *batch,
                                   const struct coalescer_outcome *outcome, uint64_t cost_us);
static bool     write_lanes_stays(struct write_lanes *lanes, struct coalescer_batch *batch,
                                  struct turn *turn);
static void     write_lanes_on_batch_stayed(struct lane_stay *stay, bool has_ended, void *ctx);
static void     write_lanes_send_now(struct write_lanes *lanes, struct coalescer_batch *batch,
                                     struct turn *turn);
static bool     write_lanes_is_proved(const struct write_lanes     *lanes,
                                      const struct coalescer_batch *batch);
static bool     write_lanes_is_unsettled(const struct coalescer_batch *batch);
static void     write_lanes_on_batch_over(struct write_call *call, void *ctx);
static void     write_lanes_refuse(struct write *write, enum status status,
                                   enum coalescer_executed executed);
static void     write_lanes_release(struct write *write);
static void     write_lanes_log_hang(const struct coalescer_batch *batch);

static const enum front_executed executed_words[] = {
    [COALESCER_EXECUTED_UNSAID] = FRONT_EXECUTED_UNSAID,
    [COALESCER_EXECUTED_NO] = FRONT_EXECUTED_NO,
    [COALESCER_EXECUTED_MAYBE] = FRONT_EXECUTED_MAYBE};

struct write_lanes *write_lanes_new(struct proxy *proxy)
{
    const struct proxy_write_options *options = &proxy->write_options;
    struct write_lanes               *lanes = calloc(1, sizeof *lanes);
    struct coalescer_options          coalescer = {
                 .role = options->is_gateway ? COALESCER_GATEWAY : COALESCER_SIDECAR,
                 .backend = {.in_flight_max = options->in_flight_max == 0 ? 1 : options->in_flight_max},
                 .batch_records_max = options->batch_records_max,
                 .batch_bytes_max = options->batch_bytes_max,
                 .split_oversize = options->split_oversize,
                 .is_supervised = options->is_supervised,
                 .patience_us = options->patience_us,
                 .members_max = UINT32_MAX, /* bounded by room for bodies and by admission */
                 .lanes_max = 1 << 16,
                 .dimension = write_lanes_find_dimension,
                 .dimension_ctx = proxy};

    if (lanes == NULL)
        return NULL;
    memcpy(coalescer.secret, proxy->secret, sizeof coalescer.secret);
    lanes->proxy = proxy;
    loop_task_init(&lanes->pump_task, write_lanes_pump, lanes);
    proxy->lanes_task = &lanes->pump_task;
    proxy->lanes_turn.class = TURN_WRITE;
    lanes->wake_us = UINT64_MAX;
    lanes->in_flight_max = coalescer.backend.in_flight_max;
    lanes->coalescer = coalescer_new(&coalescer);
    lanes->order = lane_order_new();
    lanes->wake_timer = loop_timer_new(proxy->loop, write_lanes_pump, lanes);
    proxy->alone = write_alone_new(proxy);
    if (lanes->coalescer == NULL || lanes->order == NULL || lanes->wake_timer == NULL ||
        proxy->alone == NULL) {
        write_lanes_free(lanes);
        return NULL;
    }
    return lanes;
}

void write_lanes_free(struct write_lanes *lanes)
{
    struct list_node *node;

    if (lanes == NULL)
        return;
    loop_task_cancel(&lanes->pump_task);
    loop_timer_free(lanes->wake_timer);
    coalescer_free(lanes->coalescer);
    lane_order_free(lanes->order);
    while ((node = list_first(&lanes->proxy->write_calls)) != NULL)
        write_call_free(write_call_of_node(node));
    while ((node = list_first(&lanes->proxy->writes)) != NULL) {
        struct write *write = LIST_ITEM(node, struct write, node);

        write_settle_cancel(write);
        write_leave(write);
        write_free(write);
    }
    write_alone_free(lanes->proxy->alone);
    lanes->proxy->alone = NULL;
    free(lanes);
}

enum status write_lanes_submit(struct write_lanes *lanes, struct write *write)
{
    write_settle_enter(write);
    if (!write_lanes_takes(lanes, &write->route))
        return write_alone_send(lanes->proxy->alone, write);
    if (byte_buffer_size(&write->body) <= scan_inline_max) {
        write_scan(write);
        guard_look_scan(write);
        return write_lanes_offer(lanes, write);
    }
    write->scan_job = (struct worker_job){.run = write_lanes_scan, .done = write_lanes_on_scanned};
    worker_pool_submit(lanes->proxy->workers, &write->scan_job);
    return STATUS_OK;
}

/* Writes to records, and what must keep its place among them. What is created has no lane yet (and
 * get_or_create leaves the records of what exists alone), and of an unknown route without a
 * collection nothing can be said: these go by themselves. */
static bool write_lanes_takes(const struct write_lanes *lanes, const struct chroma_route *route)
{
    if (!lanes->proxy->write_options.is_coalescing)
        return false;
    switch (route->operation) {
    case CHROMA_OPERATION_RESET:
    case CHROMA_OPERATION_DATABASE_DELETE:
    case CHROMA_OPERATION_COLLECTION_DELETE:
        return true;
    default:
        return route->has_uuid;
    }
}

static void write_lanes_scan(struct worker_job *job)
{
    struct write *write = CONTAINER_OF(job, struct write, scan_job);

    write_scan(write);
    guard_look_scan(write);
}

static void write_lanes_on_scanned(struct worker_job *job)
{
    struct write *write = CONTAINER_OF(job, struct write, scan_job);
    enum status   status;

    if (write->is_given_up) { /* its client was told that nothing is executed */
        write_free(write);
        return;
    }
    status = write_lanes_offer(write->proxy->lanes, write);
    if (status == STATUS_OK)
        return;
    write_tell_refused(write, status, FRONT_EXECUTED_NO, NULL);
    write_free(write);
}

/* What its records take is held beside its body, and charged with it. */
static enum status write_lanes_offer(struct write_lanes *lanes, struct write *write)
{
    struct coalescer_write offered;
    enum status            status;

    write_charge(write, write->records.count * record_bytes);
    write_describe(write, loop_now_us(lanes->proxy->loop), &offered);
    if (offered.kind == COALESCER_MERGEABLE && !write_lanes_may_merge(lanes, write))
        offered.kind = COALESCER_BARRIER;
    status = coalescer_add(lanes->coalescer, &offered, loop_now_us(lanes->proxy->loop));
    if (status == STATUS_OK) {
        write->is_in_lane = true;
        lane_order_enter(lanes->order, write->lane_flow);
        loop_later(lanes->proxy->loop, &lanes->pump_task);
    }
    return status;
}

/* What this family takes together. Of a family that is not known nothing; what waits is judged when
 * it is known, so here the question is what might be merged on some. */
static bool write_lanes_may_merge(const struct write_lanes *lanes, const struct write *write)
{
    enum chroma_family family = lanes->proxy->family;
    const char        *reason;

    return chroma_family_may_merge(family == CHROMA_FAMILY_UNKNOWN ? CHROMA_FAMILY_RUST : family,
                                   &write->route, &write->records, &reason);
}

static uint32_t write_lanes_find_dimension(void *ctx, const unsigned char lane[16])
{
    const struct proxy *proxy = ctx;

    return collection_table_dimension(proxy->collections, lane);
}

/* Take all actions that are due. A batch is formed when it has its turn, not before: until then
 * later writes may join it, and nothing of it is sent when a deadline passes. */
static void write_lanes_pump(void *ctx)
{
    struct write_lanes     *lanes = ctx;
    struct proxy           *proxy = lanes->proxy;
    uint64_t                now_us = loop_now_us(proxy->loop);
    struct coalescer_action action;

    lanes->wake_us = UINT64_MAX;
    for (;;) {
        coalescer_set_may_send(lanes->coalescer, proxy->lanes_turn.state == TURN_OPEN);
        coalescer_next(lanes->coalescer, now_us, &action);
        if (action.kind != COALESCER_NONE)
            write_lanes_act(lanes, &action);
        else if (!write_lanes_ask_turn(lanes))
            break;
    }
    if (proxy->lanes_turn.state == TURN_OPEN) { /* there is nothing to send after all */
        turn_queue_done(proxy->turns, &proxy->lanes_turn, 0);
        call_run_turns(proxy);
        write_lanes_let_others(lanes);
    }
    write_lanes_set_timer(lanes);
}

/* The service that had the turn has nothing to send any more. */
static void write_lanes_let_others(struct write_lanes *lanes)
{
    const struct write *head;

    coalescer_set_flow(lanes->coalescer, COALESCER_ANY_FLOW);
    head = coalescer_wants_to_send(lanes->coalescer, loop_now_us(lanes->proxy->loop));
    if (head != NULL && head->lane_flow != lanes->proxy->lanes_turn.service)
        loop_later(lanes->proxy->loop, &lanes->pump_task);
}

/* Ask for a turn if one is needed, for the service whose lane goes next. True: it was granted at
 * once. */
static bool write_lanes_ask_turn(struct write_lanes *lanes)
{
    struct proxy       *proxy = lanes->proxy;
    struct turn        *turn = &proxy->lanes_turn;
    uint64_t            now_us = loop_now_us(proxy->loop);
    const struct write *head;
    uint32_t            flow;

    if (turn->state == TURN_OPEN)
        return false;
    flow = lane_order_choose(lanes->order, lanes->coalescer, now_us);
    coalescer_set_flow(lanes->coalescer, flow);
    head = coalescer_wants_to_send(lanes->coalescer, now_us);
    if (head != NULL && flow == COALESCER_ANY_FLOW)
        flow = head->lane_flow;
    if (turn->state == TURN_WAITING && (head == NULL || flow != turn->service))
        turn_queue_leave(proxy->turns, turn, now_us);
    if (turn->state != TURN_IDLE || head == NULL)
        return false;
    turn->service = flow;
    return turn_queue_ask(proxy->turns, turn, now_us) == STATUS_OK;
}

static void write_lanes_set_timer(struct write_lanes *lanes)
{
    uint64_t wake_us = coalescer_wake_us(lanes->coalescer);

    if (wake_us == lanes->wake_us)
        return;
    lanes->wake_us = wake_us;
    loop_timer_set(lanes->wake_timer, wake_us);
}

static void write_lanes_act(struct write_lanes *lanes, const struct coalescer_action *action)
{
    switch (action->kind) {
    case COALESCER_SEND:
        write_lanes_send(lanes, action->batch);
        break;
    case COALESCER_ANSWER:
        write_alone_tell(coalescer_batch_ctx(action->batch), action->member,
                         executed_words[action->executed]);
        break;
    case COALESCER_REFUSE:
        write_lanes_refuse(action->member, action->status, action->executed);
        break;
    case COALESCER_RELEASE:
        write_lanes_release(action->member);
        break;
    case COALESCER_END:
        if (coalescer_batch_ctx(action->batch) != NULL)
            write_call_end(coalescer_batch_ctx(action->batch));
        break;
    case COALESCER_HELD:
        write_lanes_log_hang(action->batch);
        break;
    case COALESCER_NONE:
        break;
    }
}

static void write_lanes_send(struct write_lanes *lanes, struct coalescer_batch *batch)
{
    static const struct coalescer_outcome apart = {.kind = COALESCER_APART};
    static const struct coalescer_outcome lost = {.kind = COALESCER_RESET};
    struct proxy                         *proxy = lanes->proxy;
    struct write                         *first = coalescer_batch_member(batch, 0);
    enum guard_look_answer                guard;

    coalescer_batch_set_ctx(batch, NULL);
    lane_order_take(lanes->order, proxy->lanes_turn.service, batch, loop_now_us(proxy->loop));
    if (!write_lanes_permits(lanes, batch))
        return;
    if (write_lanes_is_unsettled(batch)) { /* it stays lost */
        write_lanes_report(lanes, batch, &lost, 0);
        return;
    }
    if (!write_lanes_is_proved(lanes, batch)) {
        write_lanes_report(lanes, batch, &apart, 0);
        return;
    }
    guard = guard_look(first, &proxy->lanes_turn, write_lanes_on_batch_guarded, batch);
    if (guard != GUARD_LOOK_ASKS)
        write_lanes_send_guarded(lanes, batch, &proxy->lanes_turn, guard);
}

/* The guard has said what becomes of it: only what may be sent is. Without a `turn` it waits for
 * one. */
static void write_lanes_send_guarded(struct write_lanes *lanes, struct coalescer_batch *batch,
                                     struct turn *turn, enum guard_look_answer guard)
{
    static const struct coalescer_outcome not_sent = {.kind = COALESCER_NOT_SENT};
    static const struct coalescer_outcome refused = {.kind = COALESCER_ANSWERED,
                                                     .http_status = 403};

    if (guard == GUARD_LOOK_REFUSED) {
        write_lanes_report(lanes, batch, &refused, 0);
        return;
    }
    if (guard != GUARD_LOOK_PASSES) {
        write_lanes_report(lanes, batch, &not_sent, 0);
        return;
    }
    if (turn == NULL && !write_lanes_permits(lanes, batch)) /* it has waited once more */
        return;
    if (!write_lanes_stays(lanes, batch, turn))
        write_lanes_send_now(lanes, batch, turn != NULL && turn->state == TURN_OPEN ? turn : NULL);
}

/* By the keys of its members; else it was reported. */
static bool write_lanes_permits(struct write_lanes *lanes, struct coalescer_batch *batch)
{
    const struct coalescer_outcome *outcome = write_permit_ask_batch(batch);

    if (outcome != NULL)
        write_lanes_report(lanes, batch, outcome, 0);
    return outcome == NULL;
}

/* `cost_us`: what it took of Chroma's time. */
static void write_lanes_report(struct write_lanes *lanes, struct coalescer_batch *batch,
                               const struct coalescer_outcome *outcome, uint64_t cost_us)
{
    lane_order_settle(lanes->order, batch, cost_us);
    coalescer_report(lanes->coalescer, batch, outcome, loop_now_us(lanes->proxy->loop));
}

/* Does somebody want to ask Chroma something before? */
static bool write_lanes_stays(struct write_lanes *lanes, struct coalescer_batch *batch,
                              struct turn *turn)
{
    struct write *first = coalescer_batch_member(batch, 0);
    bool          is_alone = coalescer_batch_count(batch) == 1;

    first->stay.route = &first->route;
    first->stay.body = is_alone ? byte_buffer_bytes(&first->body) : (struct bytes){0};
    first->stay.flow = first->lane_flow;
    first->stay.deadline_us = first->deadline_us;
    return lane_stay_begin(&first->stay, lanes->proxy, turn, write_lanes_on_batch_stayed, batch);
}

/* It has waited while Chroma was asked something: if Chroma has ended meanwhile, who sends the
 * batch would take that for the end of its own call. */
static void write_lanes_on_batch_stayed(struct lane_stay *stay, bool has_ended, void *ctx)
{
    static const struct coalescer_outcome not_sent = {.kind = COALESCER_NOT_SENT};
    struct write                         *write = CONTAINER_OF(stay, struct write, stay);
    struct write_lanes                   *lanes = write->proxy->lanes;

    if (stay->found.capacity > 0)
        write_charge(write, stay->found.capacity);
    if (has_ended)
        write_lanes_report(lanes, ctx, &not_sent, 0);
    else if (write_lanes_permits(lanes, ctx))
        write_lanes_send_now(lanes, ctx, NULL);
    loop_later(lanes->proxy->loop, &lanes->pump_task);
}

static void write_lanes_send_now(struct write_lanes *lanes, struct coalescer_batch *batch,
                                 struct turn *turn)
{
    static const struct coalescer_outcome not_sent = {.kind = COALESCER_NOT_SENT};
    uint64_t                              now_us = loop_now_us(lanes->proxy->loop);
    size_t                                count = coalescer_batch_count(batch);
    struct write_call                    *call =
        write_call_start_batch(lanes->proxy, batch, turn, write_lanes_on_batch_over, lanes);

    coalescer_batch_set_ctx(batch, call);
    for (size_t i = 0; i < count; i++) {
        struct write *write = coalescer_batch_member(batch, i);

        write->batch = (struct access_batch){.id = coalescer_batch_id(batch),
                                             .members = (uint32_t)count,
                                             .index = (uint32_t)i,
                                             .attempts = coalescer_batch_attempt(batch) + 1,
                                             .sent_us = now_us};
    }
    if (call == NULL)
        write_lanes_report(lanes, batch, &not_sent, 0);
}

static void write_lanes_on_batch_guarded(struct write *write, enum guard_look_answer guard,
                                         void *ctx)
{
    struct write_lanes *lanes = write->proxy->lanes;

    write_lanes_send_guarded(lanes, ctx, NULL, guard);
    loop_later(lanes->proxy->loop, &lanes->pump_task);
}

/* Members that waited while the backend became one of another family may not share a call there. */
static bool write_lanes_is_proved(const struct write_lanes     *lanes,
                                  const struct coalescer_batch *batch)
{
    size_t count = coalescer_batch_count(batch);

    for (size_t i = 0; i < count && count > 1; i++) {
        if (!write_lanes_may_merge(lanes, coalescer_batch_member(batch, i)))
            return false;
    }
    return true;
}

/* A deletion that was lost, and meanwhile somebody else may have created or deleted the same. */
static bool write_lanes_is_unsettled(const struct coalescer_batch *batch)
{
    const struct write *write = coalescer_batch_member(batch, 0);

    return write->can_settle && write->losses > 0 && !write_settle_may(write);
}

static void write_lanes_on_batch_over(struct write_call *call, void *ctx)
{
    struct write_lanes      *lanes = ctx;
    struct coalescer_outcome outcome = write_call_outcome(call);

    if (outcome.kind == COALESCER_RESET && write_call_write(call) != NULL)
        write_alone_note_loss(write_call_write(call));
    outcome.retry_at_us = upstream_pool_retry_at_us(lanes->proxy->pool);
    if (outcome.kind != COALESCER_NOT_SENT)
        write_permit_note_sent(write_call_batch(call));
    write_lanes_report(lanes, write_call_batch(call), &outcome, write_call_cost_us(call));
    loop_later(lanes->proxy->loop, &lanes->pump_task);
}

static void write_lanes_refuse(struct write *write, enum status status,
                               enum coalescer_executed executed)
{
    const char *message = NULL;

    if (status == STATUS_TIMED_OUT)
        message = executed == COALESCER_EXECUTED_NO
                      ? "the write was not sent within deadline.write: Chroma is down or too slow"
                      : "Chroma did not answer within deadline.write; the write may yet be applied";
    write_tell_refused(write, status, executed_words[executed], message);
}

bool write_lanes_give_up(struct write *write, enum front_executed *ret_executed)
{
    if (write->is_in_lane)
        return false;
    *ret_executed = write_alone_give_up(write);
    return true;
}

/* Its answer may still pass. */
static void write_lanes_release(struct write *write)
{
    lane_order_leave(write->proxy->lanes->order, write->lane_flow);
    if (write->call != NULL)
        write_call_adopt(write->call, write);
    else
        write_free(write);
}

static void write_lanes_log_hang(const struct coalescer_batch *batch)
{
    struct log_line line;

    log_begin(&line, LOG_WARNING, "write_hangs");
    log_number(&line, "batch", coalescer_batch_id(batch));
    log_number(&line, "writes", coalescer_batch_count(batch));
    log_end(&line);
}

void write_lanes_set_backend(struct write_lanes *lanes, uint64_t batch_records_max)
{
    const struct chroma_family_info *family = chroma_family_info(lanes->proxy->family);
    struct coalescer_backend backend = {.in_flight_max = lanes->proxy->write_options.in_flight_max,
                                        .records_max = (uint32_t)batch_records_max,
                                        .may_merge = family->merges,
                                        .same_columns_only = family->same_columns};

    if (backend.in_flight_max == 0)
        backend.in_flight_max =
            batch_records_max == PROXY_DISTRIBUTED_BATCH_RECORDS ? distributed_in_flight : 1;
    lanes->in_flight_max = backend.in_flight_max;
    coalescer_set_backend(lanes->coalescer, &backend);
    loop_later(lanes->proxy->loop, &lanes->pump_task);
}

void write_lanes_backend_ended(struct write_lanes *lanes)
{
    coalescer_backend_ended(lanes->coalescer, loop_now_us(lanes->proxy->loop));
    loop_later(lanes->proxy->loop, &lanes->pump_task);
}

void write_lanes_set_weights(struct write_lanes *lanes)
{
    lane_order_weigh(lanes->order, lanes->proxy->turns);
}

void write_lanes_set_gateway(struct write_lanes *lanes, bool is_gateway)
{
    coalescer_set_role(lanes->coalescer, is_gateway ? COALESCER_GATEWAY : COALESCER_SIDECAR);
}

uint32_t write_lanes_in_flight_max(const struct write_lanes *lanes)
{
    return lanes->in_flight_max;
}

bool write_lanes_splits(const struct write_lanes *lanes)
{
    return lanes->proxy->write_options.is_coalescing && lanes->proxy->write_options.split_oversize;
}

enum status write_lanes_print_metrics(struct write_lanes *lanes, struct byte_buffer *out)
{
    return write_metrics_print(coalescer_stats(lanes->coalescer), lanes->proxy->deletes_lost,
                               loop_now_us(lanes->proxy->loop), out);
}
