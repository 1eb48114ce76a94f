#include "proxy/write_lanes.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/worker_pool.h"
#include "proxy/answer.h"
#include "proxy/write_call.h"
#include "proxy/write_member.h"
#include "proxy/write_metrics.h"

/* A body above this is scanned on a worker. Vectors take 0.25 ms for a MiB, but bodies made to be
 * slow (a million empty objects) 5 ms: the loop must not be held for a millisecond. */
enum { scan_inline_max = 128 * 1024 };

/* Of a record that may be merged: its decoded id, where its values begin, its id's hash. */
enum { record_bytes = 48 };

/* Distributed Chroma takes 1000 records at once and works on several calls at a time; the
 * single-node server takes 5461 and has one writer. */
enum { distributed_batch_records_max = 1000, distributed_in_flight = 8 };

/* A call without an answer for so long is said in the log, looked for this often. */
static const uint64_t slow_us = 750000, slow_check_us = 250000;

struct write_lanes {
    struct proxy              *proxy;
    struct worker_pool        *workers;
    struct proxy_write_options options;
    bool                       may_merge; /* on this backend */
    struct coalescer          *coalescer;
    struct list                calls; /* started and not freed */
    struct loop_task           pump_task;
    struct loop_timer         *wake_timer;
    uint64_t                   wake_us;    /* for which the timer is set */
    struct loop_timer         *slow_timer; /* while calls are under way */
    bool                       slow_timer_is_set;
    uint64_t                   slow_told_id; /* the call that was said to have no answer */
};

static void        scan_on_worker(struct worker_job *job);
static void        on_scanned(struct worker_job *job);
static enum status offer(struct write_lanes *lanes, struct write_member *member);
static void        pump(void *ctx);
static void        set_wake_timer(struct write_lanes *lanes);
static void        act(struct write_lanes *lanes, const struct coalescer_action *action);
static void        send_batch(struct write_lanes *lanes, struct coalescer_batch *batch);
static void        on_call_over(struct write_call *call, void *ctx);
static void        count_call(const struct write_lanes *lanes, const struct write_call *call);
static void        give_answer(struct exchange *exchange, const struct write_call *call,
                               enum coalescer_executed executed);
static void refuse(struct exchange *exchange, enum status status, enum coalescer_executed executed);
static void watch_calls(struct write_lanes *lanes);
static void on_slow_timer(void *ctx);
static void log_held(const struct coalescer_batch *batch);

static const enum front_executed executed_words[] = {
    [COALESCER_EXECUTED_UNSAID] = FRONT_EXECUTED_UNSAID,
    [COALESCER_EXECUTED_NO] = FRONT_EXECUTED_NO,
    [COALESCER_EXECUTED_MAYBE] = FRONT_EXECUTED_MAYBE};

struct write_lanes *write_lanes_new(struct proxy *proxy, struct worker_pool *workers,
                                    const struct proxy_write_options *options)
{
    struct write_lanes      *lanes = calloc(1, sizeof *lanes);
    struct coalescer_options coalescer = {
        .role = options->is_gateway ? COALESCER_GATEWAY : COALESCER_SIDECAR,
        .in_flight_max = options->in_flight_max == 0 ? 1 : options->in_flight_max,
        .batch_records_max = options->batch_records_max,
        .batch_bytes_max = options->batch_bytes_max,
        .split_oversize = options->split_oversize,
        .patience_us = options->patience_us,
        .members_max = 1 << 16,
        .lanes_max = 1 << 16};

    if (lanes == NULL)
        return NULL;
    memcpy(coalescer.secret, proxy->secret, sizeof coalescer.secret);
    lanes->proxy = proxy;
    lanes->workers = workers;
    lanes->options = *options;
    list_init(&lanes->calls);
    loop_task_init(&lanes->pump_task, pump, lanes);
    lanes->wake_us = UINT64_MAX;
    lanes->coalescer = coalescer_new(&coalescer);
    lanes->wake_timer = loop_timer_new(proxy->loop, pump, lanes);
    lanes->slow_timer = loop_timer_new(proxy->loop, on_slow_timer, lanes);
    if (lanes->coalescer == NULL || lanes->wake_timer == NULL || lanes->slow_timer == NULL) {
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
    loop_timer_free(lanes->slow_timer);
    while ((node = list_first(&lanes->calls)) != NULL)
        write_call_free(write_call_of_node(node));
    coalescer_free(lanes->coalescer);
    free(lanes);
}

/* Writes to records, and what must keep its place among them. What is created has no lane yet (and
 * get_or_create leaves the records of what exists alone), and of an unknown route without a
 * collection nothing can be said: these go by themselves. */
bool write_lanes_takes(const struct chroma_route *route)
{
    switch (route->operation) {
    case CHROMA_OPERATION_RESET:
    case CHROMA_OPERATION_DATABASE_DELETE:
    case CHROMA_OPERATION_COLLECTION_DELETE:
        return true;
    default:
        return route->info->is_write && route->has_uuid;
    }
}

enum status write_lanes_add(struct write_lanes *lanes, struct exchange *exchange)
{
    struct write_member *member = write_member_new(exchange);

    if (member == NULL)
        return STATUS_NO_MEMORY;
    exchange->member = member;
    if (byte_buffer_size(&exchange->body) <= scan_inline_max) {
        write_member_scan(member);
        return offer(lanes, member);
    }
    exchange->holds |= EXCHANGE_HOLD_SCAN;
    member->scan_job = (struct worker_job){.run = scan_on_worker, .done = on_scanned};
    worker_pool_submit(lanes->workers, &member->scan_job);
    return STATUS_OK;
}

static void scan_on_worker(struct worker_job *job)
{
    write_member_scan(CONTAINER_OF(job, struct write_member, scan_job));
}

static void on_scanned(struct worker_job *job)
{
    struct write_member *member = CONTAINER_OF(job, struct write_member, scan_job);
    struct exchange     *exchange = member->exchange;
    enum status          status = STATUS_OK;

    /* A client that got its 504 meanwhile was told that nothing is executed. */
    if (!exchange->is_given_up)
        status = offer(exchange->proxy->lanes, member);
    if (status != STATUS_OK && exchange->connection != NULL)
        answer_error(exchange, status, FRONT_EXECUTED_NO, NULL);
    exchange_let_go(exchange, EXCHANGE_HOLD_SCAN);
}

/* What its records take is held beside its body; the body gate and its collection's room bound
 * both. */
static enum status offer(struct write_lanes *lanes, struct write_member *member)
{
    struct exchange       *exchange = member->exchange;
    size_t                 size = member->records.count * record_bytes;
    struct coalescer_write write;
    enum status            status;

    body_gate_add(&lanes->proxy->bodies, &exchange->ticket, size);
    if (exchange->lane_gate != NULL)
        body_gate_add(exchange->lane_gate, &exchange->lane_ticket, size);
    write_member_describe(member, exchange->body_ended_us + lanes->proxy->options.deadline_write_us,
                          &write);
    if (!lanes->may_merge && write.kind == COALESCER_MERGEABLE)
        write.kind = COALESCER_BARRIER;
    status = coalescer_add(lanes->coalescer, &write, loop_now_us(lanes->proxy->loop));
    if (status == STATUS_OK) {
        exchange_stop_clocks(exchange); /* the coalescer minds the deadline now */
        exchange->holds |= EXCHANGE_HOLD_LANE;
        loop_later(lanes->proxy->loop, &lanes->pump_task);
    }
    return status;
}

bool write_lanes_give_up(struct exchange *exchange)
{
    if (!(exchange->holds & EXCHANGE_HOLD_SCAN))
        return false;
    exchange->is_given_up = true;
    return true;
}

/* Take all actions that are due. */
static void pump(void *ctx)
{
    struct write_lanes     *lanes = ctx;
    struct coalescer_action action;

    lanes->wake_us = UINT64_MAX;
    for (;;) {
        coalescer_next(lanes->coalescer, loop_now_us(lanes->proxy->loop), &action);
        if (action.kind == COALESCER_NONE)
            break;
        act(lanes, &action);
    }
    set_wake_timer(lanes);
}

static void set_wake_timer(struct write_lanes *lanes)
{
    uint64_t wake_us = coalescer_wake_us(lanes->coalescer);

    if (wake_us == lanes->wake_us)
        return;
    lanes->wake_us = wake_us;
    loop_timer_set(lanes->wake_timer, wake_us);
}

static void act(struct write_lanes *lanes, const struct coalescer_action *action)
{
    struct exchange *exchange = action->member;

    switch (action->kind) {
    case COALESCER_SEND:
        send_batch(lanes, action->batch);
        break;
    case COALESCER_ANSWER:
        give_answer(exchange, coalescer_batch_ctx(action->batch), action->executed);
        break;
    case COALESCER_REFUSE:
        refuse(exchange, action->status, action->executed);
        break;
    case COALESCER_RELEASE:
        exchange_let_go(exchange, EXCHANGE_HOLD_LANE);
        break;
    case COALESCER_END:
        write_call_free(coalescer_batch_ctx(action->batch));
        break;
    case COALESCER_HELD:
        log_held(action->batch);
        break;
    case COALESCER_NONE:
        break;
    }
}

static void send_batch(struct write_lanes *lanes, struct coalescer_batch *batch)
{
    static const struct coalescer_outcome not_sent = {.kind = COALESCER_NOT_SENT};
    uint64_t                              now_us = loop_now_us(lanes->proxy->loop);
    size_t                                count = coalescer_batch_count(batch);
    struct write_call *call = write_call_start(lanes->proxy, batch, on_call_over, lanes);

    coalescer_batch_set_ctx(batch, call);
    for (size_t i = 0; i < count; i++) {
        struct write_member *member = ((struct exchange *)coalescer_batch_member(batch, i))->member;

        member->exchange->started_us = now_us;
        member->batch_id = coalescer_batch_id(batch);
        member->batch_members = (uint32_t)count;
        member->batch_index = (uint32_t)i;
        member->batch_attempts = coalescer_batch_attempt(batch) + 1;
        member->batch_sent_us = now_us;
    }
    if (call != NULL) {
        list_push_back(&lanes->calls, write_call_node(call));
        watch_calls(lanes);
    } else {
        coalescer_report(lanes->coalescer, batch, &not_sent, now_us);
    }
}

static void on_call_over(struct write_call *call, void *ctx)
{
    struct write_lanes      *lanes = ctx;
    struct coalescer_outcome outcome = write_call_outcome(call);

    count_call(lanes, call);
    coalescer_report(lanes->coalescer, write_call_batch(call), &outcome,
                     loop_now_us(lanes->proxy->loop));
    loop_later(lanes->proxy->loop, &lanes->pump_task);
}

static void count_call(const struct write_lanes *lanes, const struct write_call *call)
{
    const struct upstream_transfer_times *times = write_call_times(call);
    struct coalescer_outcome              outcome = write_call_outcome(call);
    const struct exchange                *first = coalescer_batch_member(write_call_batch(call), 0);
    uint64_t                              now_us = loop_now_us(lanes->proxy->loop);

    if (times->connected_us != 0)
        request_metrics_count_backend(
            &lanes->proxy->metrics, &first->route,
            outcome.kind == COALESCER_ANSWERED ? (unsigned)outcome.http_status : 0,
            now_us - times->connected_us);
}

/* A client that left gets nothing; its write was done all the same. */
static void give_answer(struct exchange *exchange, const struct write_call *call,
                        enum coalescer_executed executed)
{
    const struct upstream_transfer_times *times = write_call_times(call);

    if (exchange->connection == NULL)
        return;
    exchange->connected_us = times->connected_us;
    exchange->first_byte_us = times->first_byte_us;
    answer_whole(exchange, write_call_answer_head(call), write_call_answer_body(call),
                 executed_words[executed]);
}

static void refuse(struct exchange *exchange, enum status status, enum coalescer_executed executed)
{
    const char *message = NULL;

    if (exchange->connection == NULL)
        return;
    if (status == STATUS_TIMED_OUT)
        message = executed == COALESCER_EXECUTED_NO
                      ? "the write was not sent within deadline.write: Chroma is down or too slow"
                      : "Chroma did not answer within deadline.write; the write may yet be applied";
    else if (status == STATUS_BACKEND_RESET)
        exchange->end = EXCHANGE_END_BACKEND;
    answer_error(exchange, status, executed_words[executed], message);
}

static void watch_calls(struct write_lanes *lanes)
{
    if (lanes->slow_timer_is_set)
        return;
    lanes->slow_timer_is_set = true;
    loop_timer_set(lanes->slow_timer, loop_now_us(lanes->proxy->loop) + slow_check_us);
}

/* The oldest call is the one that others wait for; it is said once. */
static void on_slow_timer(void *ctx)
{
    struct write_lanes           *lanes = ctx;
    const struct coalescer_stats *stats = coalescer_stats(lanes->coalescer);
    struct list_node             *node = list_first(&lanes->calls);
    uint64_t                      now_us = loop_now_us(lanes->proxy->loop), id;
    struct log_line               line;

    lanes->slow_timer_is_set = false;
    if (node == NULL)
        return;
    watch_calls(lanes);
    id = coalescer_batch_id(write_call_batch(write_call_of_node(node)));
    if (stats->oldest_sent_us == 0 || now_us - stats->oldest_sent_us < slow_us ||
        id == lanes->slow_told_id)
        return;
    lanes->slow_told_id = id;
    log_begin(&line, LOG_WARNING, "write_without_answer");
    log_number(&line, "batch", id);
    log_ms(&line, "age_ms", now_us - stats->oldest_sent_us);
    log_number(&line, "waiting_writes", stats->waiting_members);
    log_end(&line);
}

static void log_held(const struct coalescer_batch *batch)
{
    struct log_line line;

    log_begin(&line, LOG_WARNING, "write_hangs");
    log_number(&line, "batch", coalescer_batch_id(batch));
    log_number(&line, "writes", coalescer_batch_count(batch));
    log_end(&line);
}

void write_lanes_set_backend(struct write_lanes *lanes, bool may_merge, uint64_t batch_records_max)
{
    uint32_t in_flight_max = lanes->options.in_flight_max;

    if (may_merge != lanes->may_merge)
        log_event(LOG_INFO, may_merge ? "merging_on" : "merging_off", "reason",
                  may_merge ? "the backend is Chroma 1.0 or later"
                            : "the backend is not known to be Chroma 1.0 or later");
    lanes->may_merge = may_merge;

    if (in_flight_max == 0)
        in_flight_max =
            batch_records_max == distributed_batch_records_max ? distributed_in_flight : 1;
    coalescer_set_backend(lanes->coalescer, in_flight_max, (uint32_t)batch_records_max);
    loop_later(lanes->proxy->loop, &lanes->pump_task);
}

void write_lanes_learn_dimension(struct write_lanes *lanes, const uint8_t uuid[16],
                                 uint32_t dimension)
{
    coalescer_learn_dimension(lanes->coalescer, uuid, dimension);
}

bool write_lanes_splits(const struct write_lanes *lanes)
{
    return lanes->options.split_oversize;
}

enum status write_lanes_print_metrics(struct write_lanes *lanes, struct byte_buffer *out)
{
    return write_metrics_print(coalescer_stats(lanes->coalescer), loop_now_us(lanes->proxy->loop),
                               out);
}
