#include "calls/call.h"

#include <assert.h>

#include "base/log.h"
#include "calls/backend_breaker.h"
#include "calls/client_deadline.h"
#include "calls/services.h"

static void        call_init(struct call *call, struct proxy *proxy,
                             const struct chroma_operation_info *info,
                             const struct upstream_request *request, struct answer_sink *sink);
static bool        call_is_exempt(const struct call *call);
static enum status call_send(struct call *call);
static bool        call_is_let(struct call *call);
static void        call_shed(struct proxy *proxy);
static void        call_set_shed_timer(struct proxy *proxy);
static void        call_on_interim(const struct http_head *head, void *ctx);
static void        call_on_head(const struct http_head *head, void *ctx);
static void        call_on_body(struct bytes data, void *ctx);
static void        call_on_flush(void *ctx);
static void        call_on_end(void *ctx);
static void        call_on_failure(enum status why, bool sent, void *ctx);
static void        call_on_writable(void *ctx);
static void        call_close(struct call *call, enum concurrency_outcome outcome);
static void call_end_turn(struct call *call, enum concurrency_outcome outcome, uint64_t now_us);
static enum concurrency_outcome call_outcome(const struct call *call);
static void                     call_leave_gate(struct call *call);
static enum concurrency_outcome call_given_up(const struct call *call);
static void                     call_log_hung(const struct call *call, uint64_t age_us);

static const struct upstream_transfer_events call_events = {.on_interim = call_on_interim,
                                                            .on_head = call_on_head,
                                                            .on_body = call_on_body,
                                                            .on_flush = call_on_flush,
                                                            .on_end = call_on_end,
                                                            .on_failure = call_on_failure,
                                                            .on_writable = call_on_writable};

enum status call_start(struct call *call, struct proxy *proxy,
                       const struct chroma_operation_info *info,
                       const struct upstream_request *request, struct answer_sink *sink,
                       void (*on_writable)(struct call *call))
{
    enum status status;

    call_init(call, proxy, info, request, sink);
    call->on_writable = on_writable;
    call->turn.class = request->is_write ? TURN_WRITE : TURN_READ;
    call->turn.service = call->origin.flow;
    call->turn.cost_us = call->origin.cost_us;
    call->turn.is_exempt = call_is_exempt(call);
    call->turn.was_held = call->origin.was_held;
    if (call->origin.has_collection && proxy->services != NULL)
        call->turn.gate = services_gate(proxy->services, call->origin.service, call->turn.class,
                                        call->origin.collection);
    status = turn_queue_ask(proxy->turns, &call->turn, call->asked_us);
    if (status == STATUS_OK)
        status = call_send(call);
    if (status == STATUS_AGAIN) {
        call->held_by = turn_queue_bound(proxy->turns, &call->turn);
        call_set_shed_timer(proxy);
    }
    if (status == STATUS_OK || status == STATUS_AGAIN) {
        call->is_active = true;
        return STATUS_OK;
    }
    call_leave_gate(call);
    return status;
}

/* Who asks whether Chroma lives is not the load. */
static bool call_is_exempt(const struct call *call)
{
    static const enum chroma_operation exempt[] = {
        CHROMA_OPERATION_ROOT, CHROMA_OPERATION_HEARTBEAT, CHROMA_OPERATION_HEALTHCHECK,
        CHROMA_OPERATION_VERSION};
    bool is_exempt = call->origin.is_exempt;

    for (size_t i = 0; i < COUNT_OF(exempt) && call->info->class == CHROMA_CLASS_OTHER; i++)
        is_exempt |= call->info == chroma_route_info(exempt[i]);
    return is_exempt && !call->request.is_write;
}

enum status call_start_with_turn(struct call *call, struct proxy *proxy,
                                 const struct chroma_operation_info *info,
                                 const struct upstream_request *request, struct answer_sink *sink,
                                 struct turn *granted)
{
    enum status status;

    call_init(call, proxy, info, request, sink);
    turn_queue_move(&call->turn, granted);
    status = call_send(call);
    call->is_active = status == STATUS_OK;
    return status;
}

static void call_init(struct call *call, struct proxy *proxy,
                      const struct chroma_operation_info *info,
                      const struct upstream_request *request, struct answer_sink *sink)
{
    assert(!call->is_active);
    *call = (struct call){.origin = call->origin,
                          .proxy = proxy,
                          .info = info,
                          .request = *request,
                          .sink = sink,
                          .asked_us = loop_now_us(proxy->loop)};
    list_node_init(&call->node);
}

/* It has its turn, and with it room for a connection. */
static enum status call_send(struct call *call)
{
    struct proxy *proxy = call->proxy;
    enum status   status;

    assert(call->turn.state == TURN_OPEN);
    status =
        upstream_transfer_start(proxy->pool, &call->request, &call_events, call, &call->transfer);
    if (status != STATUS_OK) {
        turn_queue_done(proxy->turns, &call->turn, 0);
        return status;
    }
    list_push_back(&proxy->calls, &call->node);
    call->is_counted = call->turn.class == TURN_READ && !call->turn.is_exempt;
    if (call->is_counted)
        read_limit_sent(proxy->read_limit);
    return STATUS_OK;
}

void call_on_shed_time(void *ctx)
{
    struct proxy *proxy = ctx;

    proxy->shed_us = UINT64_MAX;
    call_run_turns(proxy);
}

void call_run_turns(struct proxy *proxy)
{
    struct turn *turn;

    call_shed(proxy);
    while ((turn = turn_queue_next(proxy->turns, loop_now_us(proxy->loop))) != NULL) {
        struct call *call = CONTAINER_OF(turn, struct call, turn);
        enum status  status;

        if (turn->class == TURN_CONTROL)
            continue; /* who waits for it looks at it */
        if (turn == &proxy->lanes_turn) {
            loop_later(proxy->loop, proxy->lanes_task);
            continue;
        }
        status = call_is_let(call) ? call_send(call) : STATUS_AGAIN;
        if (status == STATUS_OK)
            continue;
        call->is_active = false;
        call_leave_gate(call);
        answer_sink_failure(call->sink, status, false);
    }
    call_set_shed_timer(proxy);
}

/* By its owner; else its turn is given back. */
static bool call_is_let(struct call *call)
{
    if (call->origin.may_go == NULL || call->origin.may_go(call))
        return true;
    turn_queue_done(call->proxy->turns, &call->turn, 1); /* it cost Chroma 1 us: nothing */
    return false;
}

/* Only reads wait with a time-out, and each is of a call. */
static void call_shed(struct proxy *proxy)
{
    struct turn *turn;

    while ((turn = turn_queue_shed(proxy->turns, loop_now_us(proxy->loop))) != NULL) {
        struct call *call = CONTAINER_OF(turn, struct call, turn);

        call->is_active = false;
        answer_sink_failure(call->sink, STATUS_OVERLOADED, false);
        call_leave_gate(call);
    }
}

void call_explain_refusal(const struct call *call, bool is_early, char out[READ_LIMIT_TEXT_SIZE])
{
    struct proxy   *proxy = call->proxy;
    enum turn_bound by = is_early || call->turn.state == TURN_WAITING
                             ? turn_queue_bound(proxy->turns, &call->turn)
                             : call->held_by;

    read_limit_refuse(proxy->read_limit, &call->turn,
                      proxy->services == NULL ? ""
                                              : services_name(proxy->services, call->turn.service),
                      by, is_early, out);
    if (proxy->services != NULL)
        services_note_refused(proxy->services, call->turn.service, call->turn.class, by);
}

/* One that wakes too soon does no harm, so it is moved only to an earlier time. */
static void call_set_shed_timer(struct proxy *proxy)
{
    uint64_t wake_us = turn_queue_wake_us(proxy->turns);

    if (wake_us >= proxy->shed_us)
        return;
    proxy->shed_us = wake_us;
    loop_timer_set(proxy->shed_timer, wake_us);
}

static void call_on_interim(const struct http_head *head, void *ctx)
{
    struct call *call = ctx;

    answer_sink_interim(call->sink, head);
}

static void call_on_head(const struct http_head *head, void *ctx)
{
    struct call                          *call = ctx;
    struct proxy                         *proxy = call->proxy;
    const struct upstream_transfer_times *times = upstream_transfer_times(call->transfer);

    if (call->request.is_write || head->status != 500) /* else it may be one that goes away */
        call_report(call, backend_breaker_of_answer(head->status, proxy->family));
    call->status = head->status;
    call->connected_us = times->connected_us;
    call->first_byte_us = times->first_byte_us;
    client_deadline_learn(&proxy->client_deadlines, call->info, head->status,
                          times->first_byte_us - times->connected_us, loop_now_us(proxy->loop));
    list_remove(&call->node);
    turn_queue_answered(proxy->turns, &call->turn);
    call_end_turn(call, call_outcome(call), loop_now_us(proxy->loop));
    answer_sink_head(call->sink, head);
    call_run_turns(proxy);
}

static void call_on_body(struct bytes data, void *ctx)
{
    struct call *call = ctx;

    answer_sink_body(call->sink, data);
}

static void call_on_flush(void *ctx)
{
    struct call *call = ctx;

    if (call->status != 0)
        answer_sink_flush(call->sink);
}

static void call_on_end(void *ctx)
{
    struct call  *call = ctx;
    struct proxy *proxy = call->proxy;

    call_close(call, CONCURRENCY_NOTHING);
    answer_sink_end(call->sink);
    call_run_turns(proxy);
}

static void call_on_failure(enum status why, bool sent, void *ctx)
{
    struct call  *call = ctx;
    struct proxy *proxy = call->proxy;

    if (call->status == 0) /* else the head has told */
        call_report(call, backend_breaker_of_failure(why));
    call->connected_us = upstream_transfer_times(call->transfer)->connected_us;
    call->status = 0;
    call_close(call, why == STATUS_BACKEND_DOWN ? CONCURRENCY_DROPPED : CONCURRENCY_NOTHING);
    answer_sink_failure(call->sink, why, sent);
    call_run_turns(proxy);
}

void call_report(const struct call *call, enum breaker_outcome outcome)
{
    struct proxy *proxy = call->proxy;

    backend_breaker_report(proxy->breaker, call->info, call->origin.collection, outcome,
                           call->asked_us);
}

void call_note_answer(const struct call *call, unsigned status)
{
    if (status < 500 && call->proxy->is_lost && call->connected_us > call->proxy->lost_us)
        proxy_state_note_reached(call->proxy);
}

bool call_is_of_ended(const struct call *call)
{
    return call->connected_us != 0 && call->connected_us <= call->proxy->ended_us;
}

static void call_on_writable(void *ctx)
{
    struct call *call = ctx;

    call->on_writable(call);
}

/* Give back what it holds, and count it. `outcome`: if there was no answer. */
static void call_close(struct call *call, enum concurrency_outcome outcome)
{
    struct proxy *proxy = call->proxy;
    uint64_t      now_us = loop_now_us(proxy->loop);
    uint64_t      cost_us = 0;

    call->transfer = NULL;
    call->is_active = false;
    list_remove(&call->node);
    if (call->connected_us != 0) {
        cost_us = (call->first_byte_us != 0 ? call->first_byte_us : now_us) - call->connected_us;
        request_metrics_count_backend(&proxy->metrics, call->info, call->status,
                                      now_us - call->connected_us);
        metric_histogram_add(&proxy->metrics.queue_wait[call->info->class],
                             call->connected_us - call->asked_us);
    }
    turn_queue_done(proxy->turns, &call->turn, cost_us);
    call_end_turn(call, outcome, now_us);
    call_leave_gate(call);
}

/* Once, after the queue of turns has been told. */
static void call_end_turn(struct call *call, enum concurrency_outcome outcome, uint64_t now_us)
{
    struct read_limit      *limit = call->proxy->read_limit;
    uint64_t                ended_us = call->first_byte_us != 0 ? call->first_byte_us : now_us;
    struct concurrency_read read = {.class = call->origin.read_class,
                                    .group = call->origin.collection[15] % CONCURRENCY_GROUPS,
                                    .outcome = outcome,
                                    .took_us = ended_us - call->connected_us};

    if (call->turn.class == TURN_WRITE && !call->is_ended)
        read_limit_write_ended(limit, now_us);
    if (call->is_counted)
        read_limit_ended(limit, read, call->connected_us, now_us);
    call->is_counted = false;
    call->is_ended = true;
}

/* Of its answer's head. Refusals are quick, whatever the load; so are looks that are no reads of
 * records, and when Chroma began on a streamed one is not known. */
static enum concurrency_outcome call_outcome(const struct call *call)
{
    if (call->status == 429 || call->status == 503 || call->status == 504)
        return CONCURRENCY_DROPPED;
    return call->status >= 200 && call->status <= 299 && call->info->class == CHROMA_CLASS_READ &&
                   !call->request.streams_body
               ? CONCURRENCY_ANSWERED
               : CONCURRENCY_NOTHING;
}

/* Its turn is over, or never came. */
static void call_leave_gate(struct call *call)
{
    if (call->turn.gate != NULL)
        services_drop_gate(call->proxy->services, call->turn.gate);
    call->turn.gate = NULL;
}

void call_cancel(struct call *call)
{
    struct proxy             *proxy = call->proxy;
    struct upstream_transfer *transfer = call->transfer;

    if (!call->is_active)
        return;
    if (transfer == NULL) {
        call->is_active = false;
        turn_queue_leave(proxy->turns, &call->turn, loop_now_us(proxy->loop));
        call_leave_gate(call);
        call_set_shed_timer(proxy);
        return;
    }
    call->connected_us = upstream_transfer_times(transfer)->connected_us;
    call_close(call, call_given_up(call));
    upstream_transfer_cancel(transfer);
    call_run_turns(proxy);
}

/* What no answer within the deadline says, and what a client says that does not wait so long. */
static enum concurrency_outcome call_given_up(const struct call *call)
{
    uint64_t age_us = loop_now_us(call->proxy->loop) - call->asked_us;

    if (call->info->class != CHROMA_CLASS_READ || call->request.streams_body)
        return CONCURRENCY_NOTHING;
    return age_us >= call->proxy->options.deadline_read_us ? CONCURRENCY_DROPPED : CONCURRENCY_LEFT;
}

/* It keeps its place among the calls, which are in the order in which they had their turns. */
void call_move(struct call *to, struct call *from, struct answer_sink *sink,
               const struct bytes *body)
{
    assert(from->transfer != NULL && from->status == 0 && !from->request.is_write &&
           !to->is_active);
    *to = *from;
    to->turn = (struct turn){.class = from->turn.class};
    turn_queue_move(&to->turn, &from->turn);
    to->sink = sink;
    to->request.body = body;
    to->on_writable = NULL;
    list_node_init(&to->node);
    list_insert_after(&from->node, &to->node);
    list_remove(&from->node);
    upstream_transfer_move(to->transfer, body, to);
    from->connected_us = upstream_transfer_times(to->transfer)->connected_us;
    from->transfer = NULL;
    from->is_active = from->is_counted = false;
}

bool call_is_sent(const struct call *call)
{
    return call->transfer != NULL && upstream_transfer_is_sent(call->transfer);
}

void call_pause(struct call *call)
{
    if (call->transfer != NULL)
        upstream_transfer_pause(call->transfer);
}

void call_resume(struct call *call)
{
    if (call->transfer != NULL)
        upstream_transfer_resume(call->transfer);
}

bool call_is_paused(const struct call *call)
{
    return call->transfer != NULL && upstream_transfer_is_paused(call->transfer);
}

void call_send_body(struct call *call, const struct bytes *parts, size_t count, bool last)
{
    upstream_transfer_send_body(call->transfer, parts, count, last);
}

bool call_is_writable(const struct call *call)
{
    return call->transfer != NULL && upstream_transfer_is_writable(call->transfer);
}

size_t call_count_hung(struct proxy *proxy)
{
    uint64_t now_us = loop_now_us(proxy->loop);
    size_t   count = 0;

    LIST_FOR_EACH(node, &proxy->calls)
    {
        struct call *call = LIST_ITEM(node, struct call, node);
        uint64_t     age_us = now_us - call->turn.granted_us;

        if (age_us < CALL_HUNG_US)
            break;
        count++;
        if (!call->is_hung)
            call_log_hung(call, age_us);
        call->is_hung = true;
    }
    return count;
}

bool call_has_hung_read(const struct proxy *proxy)
{
    uint64_t now_us = loop_now_us(proxy->loop);

    LIST_FOR_EACH(node, &proxy->calls)
    {
        const struct call *call = LIST_ITEM(node, struct call, node);

        if (now_us - call->turn.granted_us < CALL_HUNG_US)
            return false;
        if (call->info->class == CHROMA_CLASS_READ && !call->request.streams_body &&
            call->origin.flow < SERVICES_FLOWS)
            return true;
    }
    return false;
}

static void call_log_hung(const struct call *call, uint64_t age_us)
{
    struct log_line line;

    log_begin(&line, LOG_WARNING, "backend_hangs");
    log_text(&line, "op", call->info->metric_op);
    log_ms(&line, "age_ms", age_us);
    log_flag(&line, "sent", call_is_sent(call));
    log_end(&line);
}
