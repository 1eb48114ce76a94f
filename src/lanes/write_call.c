#include "lanes/write_call.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chroma/chroma_batch.h"
#include "chroma/collection_table.h"
#include "lanes/write_permit.h"

/* Answers to merged writes are some bytes, errors some hundred. */
enum { merged_answer_max = 1 << 20 };

/* A lone write's longer answer is no error that the call could be repeated for: it passes. */
enum { held_answer_max = 64 << 10 };

struct write_call {
    struct proxy           *proxy;
    struct coalescer_batch *batch; /* NULL: `lone` goes by itself */
    struct write           *lone;  /* the only member, not in parts; NULL: there are several */
    write_call_fn           on_over;
    void                   *ctx;
    struct call             call;
    struct answer_sink      sink;
    struct list_node        node;   /* in proxy->write_calls */
    struct chroma_route     route;  /* of the first write */
    struct write_notice     notice; /* to those who want to know that something may change */

    /* What is sent, if it is merged. */
    struct byte_buffer   head;
    struct chroma_batch *splice;

    /* What comes back. */
    struct http_head         answer_head;
    struct byte_buffer       answer_head_bytes, answer_body;
    size_t                   charged; /* to the account of answers */
    struct coalescer_outcome outcome;
    enum status              failure;
    bool                     is_streaming; /* the answer passes as it comes, */
    bool                     is_told;      /* to who was told */
    bool                     is_ended;     /* the owner let go */
    struct write            *adopted;      /* freed with it */
};

static struct write_call  *write_call_new(struct proxy *proxy, struct write *lone,
                                          write_call_fn on_over, void *ctx);
static bool                write_call_splice(struct write_call *call);
static bool                write_call_write_head(struct write_call *call);
static bool                write_call_start(struct write_call *call, struct turn *turn);
static bool                write_call_may_go(struct call *call);
static void                write_call_notice(struct write_call *call, const struct write *first);
static bool                write_call_leaves_description(const struct write_call *call);
static bool                write_call_names_ids(struct write_call *call);
static const struct write *write_call_member(const struct write_call *call, size_t index);
static void                write_call_over(struct write_call *call);
static void                write_call_tell_observers(struct write_call *call);
static bool                write_call_may_live(unsigned status);
static void write_call_on_interim(struct answer_sink *sink, const struct http_head *head);
static void write_call_on_head(struct answer_sink *sink, const struct http_head *head);
static void write_call_on_body(struct answer_sink *sink, struct bytes data);
static void write_call_begin_streaming(struct write_call *call);
static void write_call_on_flush(struct answer_sink *sink);
static void write_call_on_end(struct answer_sink *sink);
static bool write_call_is_admission_refusal(const struct write_call *call);
static bool write_call_says(struct bytes text, const char *part);
static void write_call_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void write_call_note_times(const struct write_call *call, const struct write *write);
static void write_call_charge(struct write_call *call);
static void write_call_free_later(void *object);

static const struct answer_sink_ops write_call_ops = {.on_interim = write_call_on_interim,
                                                      .on_head = write_call_on_head,
                                                      .on_body = write_call_on_body,
                                                      .on_flush = write_call_on_flush,
                                                      .on_end = write_call_on_end,
                                                      .on_failure = write_call_on_failure};

struct write_call *write_call_start_batch(struct proxy *proxy, struct coalescer_batch *batch,
                                          struct turn *turn, write_call_fn on_over, void *ctx)
{
    uint32_t part_first, part_count;
    bool     is_lone = coalescer_batch_count(batch) == 1 &&
                   !coalescer_batch_is_part(batch, &part_first, &part_count);
    struct write_call *call =
        write_call_new(proxy, is_lone ? coalescer_batch_member(batch, 0) : NULL, on_over, ctx);

    if (call == NULL)
        return NULL;
    call->batch = batch;
    if ((is_lone || (write_call_splice(call) && write_call_write_head(call))) &&
        write_call_start(call, turn))
        return call;
    write_call_free(call);
    return NULL;
}

struct write_call *write_call_start_one(struct write *write, write_call_fn on_over, void *ctx)
{
    struct write_call *call = write_call_new(write->proxy, write, on_over, ctx);

    if (call == NULL)
        return NULL;
    if (write_call_start(call, NULL))
        return call;
    write_call_free(call);
    return NULL;
}

static struct write_call *write_call_new(struct proxy *proxy, struct write *lone,
                                         write_call_fn on_over, void *ctx)
{
    struct write_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return NULL;
    call->proxy = proxy;
    call->lone = lone;
    call->on_over = on_over;
    call->ctx = ctx;
    call->sink.ops = &write_call_ops;
    list_node_init(&call->call.node);
    list_push_back(&proxy->write_calls, &call->node);
    return call;
}

static bool write_call_splice(struct write_call *call)
{
    size_t                      count = coalescer_batch_count(call->batch);
    struct chroma_batch_member *members = calloc(count, sizeof *members);
    uint32_t                    part_first, part_count;

    if (members == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct write          *write = coalescer_batch_member(call->batch, i);
        const struct chroma_records *records = &write->records;

        members[i] = (struct chroma_batch_member){.records = records, .count = records->count};
    }
    if (coalescer_batch_is_part(call->batch, &part_first, &part_count)) {
        members[0].first = part_first;
        members[0].count = part_count;
    }
    call->splice = chroma_batch_new(members, count);
    free(members);
    return call->splice != NULL;
}

/* A trace context of its own: the members' differ, and the call belongs to none of them. */
static bool write_call_write_head(struct write_call *call)
{
    const struct write *first = coalescer_batch_member(call->batch, 0);
    uint64_t            id = coalescer_batch_id(call->batch);

    return byte_buffer_append(&call->head, byte_buffer_bytes(&first->shared_head), SIZE_MAX) ==
               STATUS_OK &&
           byte_buffer_printf(&call->head, SIZE_MAX,
                              "User-Agent: chromabouncer\r\nVia: 1.1 chromabouncer\r\n"
                              "traceparent: 00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-00\r\n"
                              "Content-Length: %zu\r\n\r\n",
                              call->proxy->trace_prefix, id, id, call->splice->size) == STATUS_OK;
}

static bool write_call_start(struct write_call *call, struct turn *turn)
{
    struct write           *lone = call->lone;
    const struct write     *first = lone != NULL ? lone : coalescer_batch_member(call->batch, 0);
    struct upstream_request request = {.is_write = true};
    enum status             status;

    if (lone != NULL) {
        lone->body_part = byte_buffer_bytes(&lone->body);
        request.head = byte_buffer_bytes(&lone->head);
        request.body = &lone->body_part;
        request.body_parts = lone->body_part.size > 0;
        lone->call = call;
        call->call.origin = lone->origin;
    } else {
        request.head = byte_buffer_bytes(&call->head);
        request.body = call->splice->parts;
        request.body_parts = call->splice->part_count;
    }
    call->notice.body = request.body;
    call->notice.body_parts = request.body_parts;
    write_call_notice(call, first);
    call->call.origin.may_go = write_call_may_go;
    if (turn != NULL)
        status = call_start_with_turn(&call->call, call->proxy, first->route.info, &request,
                                      &call->sink, turn);
    else
        status =
            call_start(&call->call, call->proxy, first->route.info, &request, &call->sink, NULL);
    return status == STATUS_OK;
}

/* It has waited for its turn. */
static bool write_call_may_go(struct call *call)
{
    struct write_call *of = CONTAINER_OF(call, struct write_call, call);

    return of->batch != NULL ? write_permit_ask_batch(of->batch) == NULL
                             : write_permit_ask(of->lone) == WRITE_PERMITTED;
}

/* Before the first byte leaves. */
static void write_call_notice(struct write_call *call, const struct write *first)
{
    enum chroma_operation operation = first->route.operation;

    call->route = first->route;
    call->notice.route = &call->route;
    if (first->is_eligible &&
        (operation == CHROMA_OPERATION_ADD || operation == CHROMA_OPERATION_UPSERT))
        call->notice.dimension = (uint32_t)first->records.dimension;
    call->notice.found = call->lone != NULL ? &call->lone->stay.found : NULL;
    call->notice.leaves_description = write_call_leaves_description(call);
    call->notice.names_ids = write_call_names_ids(call);
    write_observer_sent(&call->proxy->observers, &call->notice, loop_now_us(call->proxy->loop));
}

/* Each of its writes does. */
static bool write_call_leaves_description(const struct write_call *call)
{
    const struct write *write;

    for (size_t i = 0; (write = write_call_member(call, i)) != NULL; i++)
        if (!collection_table_is_left(call->proxy->collections, &write->route,
                                      write->is_eligible ? &write->records : NULL))
            return false;
    return true;
}

/* NULL: that was the last. */
static const struct write *write_call_member(const struct write_call *call, size_t index)
{
    size_t count = call->lone != NULL ? 1 : coalescer_batch_count(call->batch);

    if (index >= count)
        return NULL;
    return call->lone != NULL ? call->lone : coalescer_batch_member(call->batch, index);
}

static bool write_call_names_ids(struct write_call *call)
{
    const struct write *write;

    call->notice.ids = (struct record_ids){0};
    for (size_t i = 0; (write = write_call_member(call, i)) != NULL; i++)
        if (!write->is_eligible ||
            !record_ids_add(&call->notice.ids, call->proxy->secret, &write->records))
            return false;
    return true;
}

/* Before anybody is answered. */
static void write_call_over(struct write_call *call)
{
    struct proxy *proxy = call->proxy;

    call->outcome.is_refusal = call->outcome.kind == COALESCER_ANSWERED &&
                               chroma_family_is_refusal(proxy->family, call->answer_head.status,
                                                        byte_buffer_bytes(&call->answer_body));
    write_call_tell_observers(call);
    if (proxy->family == CHROMA_FAMILY_UNKNOWN && proxy->on_write_answer != NULL &&
        call->lone != NULL && call->outcome.kind == COALESCER_ANSWERED)
        proxy->on_write_answer(proxy->write_answer_ctx, call->route.operation,
                               call->answer_head.status, byte_buffer_bytes(&call->answer_body));
    call->on_over(call, call->ctx);
}

/* An answer that came, whatever it says, is the last that this call does. */
static void write_call_tell_observers(struct write_call *call)
{
    struct write_observers *observers = &call->proxy->observers;
    uint64_t                now_us = loop_now_us(call->proxy->loop);
    struct bytes            body = byte_buffer_bytes(&call->answer_body);
    unsigned                status = call->answer_head.status;
    bool                    is_answered = call->outcome.kind == COALESCER_ANSWERED;
    enum write_outcome      outcome = WRITE_OUTCOME_UNKNOWN;

    call->notice.is_unsent = call->outcome.kind == COALESCER_NOT_SENT;
    if (call->notice.is_unsent ||
        (is_answered && (call->outcome.admission_refusal || call->outcome.is_refusal)))
        outcome = WRITE_OUTCOME_REFUSED;
    else if (is_answered && status >= 200 && status <= 299)
        outcome = WRITE_OUTCOME_APPLIED;
    if (is_answered)
        call_note_answer(&call->call, status);
    if (outcome == WRITE_OUTCOME_APPLIED && call->lone != NULL && !call->is_streaming)
        call->notice.spare_body = &call->lone->body; /* it is neither sent nor read again */
    write_observer_known(observers, &call->notice, outcome,
                         outcome == WRITE_OUTCOME_APPLIED ? body : (struct bytes){0}, now_us);
    if (outcome != WRITE_OUTCOME_UNKNOWN)
        return;
    if ((is_answered && !write_call_may_live(status)) || call_is_of_ended(&call->call))
        write_observer_settled(observers, &call->notice, now_us);
    else
        write_observer_lost(observers, &call->notice, now_us);
}

/* Does somebody answer so who stands before Chroma, while Chroma may work on? */
static bool write_call_may_live(unsigned status)
{
    return status == 408 || status == 429 || (status >= 502 && status <= 504);
}

/* Of several writes, whose would it be? */
static void write_call_on_interim(struct answer_sink *sink, const struct http_head *head)
{
    struct write_call *call = CONTAINER_OF(sink, struct write_call, sink);

    if (call->lone != NULL && call->lone->waiter != NULL)
        call->lone->waiter->ops->on_interim(call->lone->waiter, head);
}

static void write_call_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct write_call *call = CONTAINER_OF(sink, struct write_call, sink);

    call->outcome.kind = http_head_copy(&call->answer_head, head, &call->answer_head_bytes)
                             ? COALESCER_ANSWERED
                             : COALESCER_RESET;
    call->outcome.http_status = (int)head->status;
    write_call_charge(call);
}

static void write_call_on_body(struct answer_sink *sink, struct bytes data)
{
    struct write_call *call = CONTAINER_OF(sink, struct write_call, sink);

    if (call->is_told) {
        if (call->lone->stream_to != NULL)
            answer_sink_body(call->lone->stream_to, data);
        return;
    }
    /* What cannot be kept cannot be given to the client: the outcome is then unknown to it. */
    if (call->outcome.kind != COALESCER_ANSWERED ||
        byte_buffer_append(&call->answer_body, data,
                           call->lone != NULL ? SIZE_MAX : (size_t)merged_answer_max) != STATUS_OK)
        call->outcome.kind = COALESCER_RESET;
    write_call_charge(call);
    if (call->lone != NULL && !call->is_streaming && call->outcome.kind == COALESCER_ANSWERED &&
        byte_buffer_size(&call->answer_body) > held_answer_max)
        write_call_begin_streaming(call);
}

/* Chroma has done its work: what comes now only passes. */
static void write_call_begin_streaming(struct write_call *call)
{
    call->is_streaming = true;
    call->outcome.is_passing = true;
    call_pause(&call->call); /* until somebody takes it */
    write_call_over(call);
}

static void write_call_on_flush(struct answer_sink *sink)
{
    struct write_call *call = CONTAINER_OF(sink, struct write_call, sink);

    if (call->is_told && call->lone->stream_to != NULL)
        answer_sink_flush(call->lone->stream_to);
}

static void write_call_on_end(struct answer_sink *sink)
{
    struct write_call *call = CONTAINER_OF(sink, struct write_call, sink);
    struct bytes       body = byte_buffer_bytes(&call->answer_body);

    if (call->is_told) {
        if (call->lone->stream_to != NULL)
            answer_sink_end(call->lone->stream_to);
        if (call->is_ended)
            write_call_end(call);
        return;
    }
    if (call->is_streaming) { /* it is complete before anybody was told */
        call->is_streaming = false;
        return;
    }
    call->outcome.admission_refusal = write_call_is_admission_refusal(call);
    call->outcome.quota_refusal =
        call->answer_head.status == 422 && write_call_says(body, "uota exceeded");
    write_call_over(call);
}

/* Refusals that are known to be given before anything is applied: Chroma's circuit breaker and
 * its limit of concurrent requests, and a proxy of our kind that says so. */
static bool write_call_is_admission_refusal(const struct write_call *call)
{
    struct bytes             body = byte_buffer_bytes(&call->answer_body);
    const struct http_field *executed =
        http_head_find(&call->answer_head, HTTP_FIELD_X_CHROMABOUNCER_EXECUTED);

    if (call->answer_head.status < 429 || call->answer_head.status == 500)
        return false;
    if (executed != NULL)
        return bytes_equal(executed->value, BYTES_LITERAL("no"));
    return write_call_says(body, "You have been rate limited.") ||
           write_call_says(body, "Too many requests; backoff and try again");
}

static bool write_call_says(struct bytes text, const char *part)
{
    return text.size > 0 && memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static void write_call_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct write_call *call = CONTAINER_OF(sink, struct write_call, sink);

    call->failure = why == STATUS_AGAIN ? STATUS_BACKEND_DOWN : why; /* it might not go yet */
    if (call->is_streaming) {
        if (call->is_told && call->lone->stream_to != NULL)
            answer_sink_failure(call->lone->stream_to, why, sent);
        if (call->is_ended)
            write_call_end(call);
        return;
    }
    call->outcome.kind = sent ? COALESCER_RESET : COALESCER_NOT_SENT;
    write_call_over(call);
}

void write_call_tell(struct write_call *call, struct write *write, enum front_executed executed)
{
    write_call_note_times(call, write);
    if (!call->is_streaming) {
        write_tell_answer(write, &call->answer_head, byte_buffer_bytes(&call->answer_body),
                          executed);
        return;
    }
    call->is_told = true;
    call_resume(&call->call); /* the sink may pause it again */
    write_tell_stream(write, &call->call, executed);
    if (write->stream_to != NULL)
        answer_sink_head(write->stream_to, &call->answer_head);
    if (write->stream_to != NULL)
        answer_sink_body(write->stream_to, byte_buffer_bytes(&call->answer_body));
    if (write->stream_to != NULL && call->failure != STATUS_OK)
        answer_sink_failure(write->stream_to, call->failure, true);
    byte_buffer_done(&call->answer_body);
    write_call_charge(call);
}

static void write_call_note_times(const struct write_call *call, const struct write *write)
{
    struct access_record *record = write->waiter == NULL ? NULL : write->waiter->record;

    if (record == NULL)
        return;
    record->connected_us = call->call.connected_us;
    record->first_byte_us = call->call.first_byte_us;
    record->queue_us = call->call.connected_us > write->arrived_us
                           ? call->call.connected_us - write->arrived_us
                           : 0;
}

void write_call_tell_deleted(struct write_call *call, struct write *write)
{
    struct http_head head = call->answer_head;

    head.status = 200;
    head.reason = BYTES_LITERAL("OK");
    write_call_note_times(call, write);
    write_tell_answer(write, &head, BYTES_LITERAL("{}"), FRONT_EXECUTED_UNSAID);
}

/* What is kept of the answer is charged, what is given back is released. */
static void write_call_charge(struct write_call *call)
{
    struct memory_account *account = &call->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];
    size_t                 size = call->answer_head_bytes.capacity + call->answer_body.capacity;

    if (size > call->charged)
        memory_account_charge(account, size - call->charged);
    else if (size < call->charged)
        memory_account_release(account, call->charged - size);
    call->charged = size;
}

struct coalescer_outcome write_call_outcome(const struct write_call *call)
{
    return call->outcome;
}

enum status write_call_failure(const struct write_call *call)
{
    return call->failure;
}

struct write *write_call_write(const struct write_call *call)
{
    return call->lone;
}

struct write_call *write_call_of_node(struct list_node *node)
{
    return LIST_ITEM(node, struct write_call, node);
}

struct coalescer_batch *write_call_batch(const struct write_call *call)
{
    return call->batch;
}

uint64_t write_call_cost_us(const struct write_call *call)
{
    uint64_t began_us = call->call.connected_us, ended_us = call->call.first_byte_us;

    if (began_us == 0)
        return 0;
    return (ended_us != 0 ? ended_us : loop_now_us(call->proxy->loop)) - began_us;
}

bool write_call_is_sent(const struct write_call *call)
{
    return call_is_sent(&call->call) || call->call.status != 0;
}

bool write_call_explain_bound(const struct write_call *call, char out[READ_LIMIT_TEXT_SIZE])
{
    const struct turn *turn = &call->call.turn;
    enum turn_bound    bound = turn_queue_bound(call->proxy->turns, turn);

    if (turn->state != TURN_WAITING || turn_queue_is_held(call->proxy->turns) ||
        (bound != TURN_BOUND_SERVICE && bound != TURN_BOUND_GATE))
        return false;
    call_explain_refusal(&call->call, false, out);
    return true;
}

void write_call_cancel(struct write_call *call)
{
    call_cancel(&call->call);
}

void write_call_adopt(struct write_call *call, struct write *write)
{
    call->adopted = write;
}

void write_call_end(struct write_call *call)
{
    call->is_ended = true;
    if (call->is_streaming && !call->is_told) { /* nobody waits: the rest is thrown away */
        call->is_told = true;
        call_resume(&call->call);
    }
    if (call_is_active(&call->call))
        return;
    if (call->lone != NULL && call->adopted == NULL) {
        if (call->lone->call == call)
            call->lone->call = NULL;
        call->lone = NULL;
    }
    loop_free_later(call->proxy->loop, call, write_call_free_later);
}

static void write_call_free_later(void *object)
{
    write_call_free(object);
}

void write_call_free(struct write_call *call)
{
    if (call == NULL)
        return;
    if (call->notice.state == WRITE_NOTICE_SENT) { /* it was not sent, or the program ends */
        call->outcome.kind = call_is_sent(&call->call) ? COALESCER_RESET : COALESCER_NOT_SENT;
        write_call_tell_observers(call);
    }
    call_cancel(&call->call); /* one that waits for its turn */
    list_remove(&call->node);
    if (call->lone != NULL && call->lone->call == call)
        call->lone->call = NULL;
    write_free(call->adopted);
    byte_buffer_done(&call->head);
    byte_buffer_done(&call->answer_head_bytes);
    byte_buffer_done(&call->answer_body);
    write_call_charge(call);
    chroma_batch_free(call->splice);
    free(call);
}
