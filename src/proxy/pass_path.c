#include "proxy/pass_path.h"

#include <stdio.h>
#include <string.h>

#include "calls/backend_breaker.h"
#include "calls/hold_sink.h"
#include "calls/learn_sink.h"
#include "calls/read_class.h"
#include "calls/read_repeats.h"
#include "calls/request_head.h"
#include "chroma/chroma_answer.h"
#include "http/http_writer.h"
#include "io/clock.h"
#include "lanes/write_lanes.h"
#include "proxy/auth_recheck.h"
#include "proxy/cache_path.h"
#include "proxy/deadline_watch.h"
#include "proxy/mirror_path.h"

/* Chroma's descriptions of collections are learned from up to this size. */
enum { learned_bytes_max = 256 * 1024 };

/* An answer of a Chroma that may die and be started again is held up to this size: as long as
 * nothing of it was passed on, it can be asked for again. */
enum { held_bytes_max = 1 << 20 };

/* Errors that go away, and the limits, are some hundred bytes. */
enum { small_bytes_max = 4096 };

/* What clients are told to send at once where larger requests are split: the number that Chroma
 * itself told them up to version 0.4, and that libraries have built in. */
enum { split_records_told = 41666 };

/* Deaths of Chroma under one read. */
enum { deaths_max = 3 };

/* A turn that came so shortly before the deadline came too late. */
static const uint64_t too_late_us = 10000;

static void                pass_begin(struct exchange *exchange);
static void                pass_on_room(struct exchange *exchange);
static void                pass_on_body(struct exchange *exchange, struct bytes data);
static void                pass_begin_streaming(struct exchange *exchange);
static void                pass_on_body_end(struct exchange *exchange);
static void                pass_ask(struct exchange *exchange);
static void                pass_ask_after_all(struct exchange *exchange);
static void                pass_send(struct exchange *exchange);
static bool                pass_is_let(struct exchange *exchange);
static void                pass_on_let(struct breaker_ticket *ticket);
static void                pass_call(struct exchange *exchange);
static bool                pass_may_go(struct call *call);
static void                pass_fail_start(struct exchange *exchange);
static void                pass_on_writable(struct call *call);
static void                pass_stream(struct exchange *exchange, struct bytes data, bool last);
static void                pass_on_head(struct answer_sink *sink, const struct http_head *head);
static struct answer_sink *pass_choose_sink(struct exchange        *exchange,
                                            const struct http_head *head);
static void                pass_keep(struct exchange *exchange, const struct http_head *head);
static bool                pass_describes(enum chroma_operation operation);
static bool pass_ask_again(void *ctx, const struct http_head *head, struct bytes *body);
static void pass_report_error(const struct exchange *exchange, bool goes_away);
static bool pass_may_take_repeat(struct proxy *proxy);
static bool pass_raise_batch_limit(void *ctx, const struct http_head *head, struct bytes *body);
static void pass_learn(void *ctx, unsigned status, struct bytes body);
static bool pass_may_ask_again(const struct exchange *exchange, const struct http_head *head);
static void pass_note_life(struct exchange *exchange);
static void pass_on_answer_body(struct answer_sink *sink, struct bytes data);
static void pass_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void pass_fail(struct exchange *exchange);
static bool pass_may_repeat(const struct exchange *exchange, enum status why);
static void pass_note_times(struct exchange *exchange);
static void pass_on_deadline(struct exchange *exchange);
static void pass_miss_deadline(struct exchange *exchange);
static bool pass_is_bounded(const struct exchange *exchange);
static bool pass_was_silent(const struct exchange *exchange);
static void pass_on_client_gone(struct exchange *exchange);
static void pass_on_finished(struct exchange *exchange);

const struct exchange_path pass_path = {.begin = pass_begin,
                                        .on_room = pass_on_room,
                                        .on_body = pass_on_body,
                                        .on_body_end = pass_on_body_end,
                                        .on_deadline = pass_on_deadline,
                                        .on_client_gone = pass_on_client_gone,
                                        .on_finished = pass_on_finished};

/* The head of every chain: notes times and chooses who comes next. */
static const struct answer_sink_ops pass_entry_ops = {
    .on_head = pass_on_head, .on_body = pass_on_answer_body, .on_failure = pass_on_failure};

static void pass_begin(struct exchange *exchange)
{
    const struct http_head *head = exchange->head;
    uint64_t                size = 0;

    if (head->framing == HTTP_FRAMING_LENGTH)
        size =
            head->content_length < PASS_PATH_KEPT_MAX ? head->content_length : PASS_PATH_KEPT_MAX;
    else if (head->framing == HTTP_FRAMING_CHUNKED)
        size = PASS_PATH_KEPT_MAX;
    exchange->pass.entry =
        (struct answer_sink){.ops = &pass_entry_ops, .next = &exchange->reply.sink};
    backend_breaker_init_ticket(&exchange->pass.breaker, pass_on_let);
    exchange_claim_room(exchange, MEMORY_ACCOUNT_READS, size, false);
}

/* A request without a body may be complete already. */
static void pass_on_room(struct exchange *exchange)
{
    if (exchange->body_ended) {
        pass_ask(exchange);
        return;
    }
    if (exchange->head->expects_continue)
        front_connection_continue(exchange->reply.connection);
    front_connection_resume_body(exchange->reply.connection);
}

static void pass_on_body(struct exchange *exchange, struct bytes data)
{
    /* While it is streamed, `body` holds what came after Chroma's side was full. */
    if (exchange->pass.is_streaming && byte_buffer_size(&exchange->body) == 0 &&
        call_is_writable(&exchange->pass.call)) {
        pass_stream(exchange, data, false);
        return;
    }
    if (!exchange_keep_body(exchange, data))
        reply_error(&exchange->reply, STATUS_NO_MEMORY, FRONT_EXECUTED_NO, NULL);
    else if (exchange->pass.is_streaming)
        front_connection_pause_body(exchange->reply.connection);
    else if (byte_buffer_size(&exchange->body) > PASS_PATH_KEPT_MAX)
        pass_begin_streaming(exchange);
}

/* The body is too large to be kept: take a turn now, and read on when Chroma takes bytes. */
static void pass_begin_streaming(struct exchange *exchange)
{
    exchange->pass.is_streaming = true;
    front_connection_pause_body(exchange->reply.connection);
    if (auth_recheck(exchange, pass_send))
        pass_send(exchange);
}

static void pass_on_body_end(struct exchange *exchange)
{
    if (exchange->state == EXCHANGE_RECEIVING) /* else Chroma answers early */
        exchange_move(exchange, EXCHANGE_WAITING);
    if (exchange->wait_began_us != 0)
        return; /* a request without a body, not admitted yet: on_room sends it */
    if (!exchange->pass.is_streaming) {
        pass_ask(exchange);
        return;
    }
    exchange_start_deadline(exchange);
    if (byte_buffer_size(&exchange->body) == 0 && call_is_active(&exchange->pass.call))
        pass_stream(exchange, (struct bytes){0}, true);
}

void pass_path_take_over(struct exchange *exchange, struct answer_sink *sink)
{
    exchange->pass.entry = (struct answer_sink){.ops = &pass_entry_ops, .next = sink};
    pass_ask(exchange);
}

/* The request is complete. */
static void pass_ask(struct exchange *exchange)
{
    if (!auth_recheck(exchange, pass_ask))
        return;
    mirror_path_note_read(exchange);
    if (!cache_path_answer(exchange) && !mirror_path_answer(exchange, pass_ask_after_all))
        pass_send(exchange);
}

/* The copy of the collection has no answer. */
static void pass_ask_after_all(struct exchange *exchange)
{
    if (auth_recheck(exchange, pass_ask_after_all))
        pass_send(exchange);
}

static void pass_send(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;

    if ((deadline_watch_is_late(exchange) && mirror_path_stand_in(exchange, pass_send)) ||
        !deadline_watch_suffices(exchange))
        return;
    if (!timeout_queue_is_running(&exchange->deadline)) /* else it goes on */
        exchange_start_deadline(exchange);
    if (!exchange->record.was_retried)
        retry_budget_count(&proxy->repeats_made.budget, loop_now_us(proxy->loop));
    if (!timeout_queue_is_running(&exchange->wait_limit))
        timeout_queue_start(proxy->wait_limits, &exchange->wait_limit);
    if (pass_is_let(exchange))
        pass_call(exchange);
}

/* By the breaker; else it was refused, or waits. */
static bool pass_is_let(struct exchange *exchange)
{
    char        message[BACKEND_BREAKER_TEXT_SIZE];
    enum status status = backend_breaker_ask(exchange->proxy->breaker, &exchange->pass.breaker,
                                             exchange->route.info, exchange->route.uuid, message);

    if (status == STATUS_BREAKER_OPEN && !mirror_path_stand_in(exchange, pass_send))
        reply_error(&exchange->reply, status, FRONT_EXECUTED_NO, message);
    return status == STATUS_OK;
}

static void pass_on_let(struct breaker_ticket *ticket)
{
    struct exchange *exchange = CONTAINER_OF(ticket, struct exchange, pass.breaker);

    exchange->pass.was_held = true;
    pass_call(exchange);
}

static void pass_call(struct exchange *exchange)
{
    struct exchange_pass   *pass = &exchange->pass;
    struct proxy           *proxy = exchange->proxy;
    enum http_framing       framing = exchange->head->framing;
    uint64_t                length = exchange->head->content_length;
    struct upstream_request request = {.body = &pass->body,
                                       .streams_body = pass->is_streaming,
                                       .is_head = exchange->head->is_head,
                                       .body_is_odd = request_head_is_bodiless(exchange->head)};
    enum status             status = STATUS_NO_MEMORY;
    uint64_t                now_us = loop_now_us(proxy->loop);

    if (!auth_recheck(exchange, pass_call))
        return;
    if (!pass->is_streaming && framing != HTTP_FRAMING_NONE) {
        framing = HTTP_FRAMING_LENGTH;
        length = byte_buffer_size(&exchange->body);
    }
    if (pass_describes(exchange->route.operation))
        pass->question = collection_table_ask(proxy->collections, &exchange->route, now_us);
    pass->body = byte_buffer_bytes(&exchange->body);
    if (request_head_write(exchange->head, framing, length, &pass->head)) {
        request.head = byte_buffer_bytes(&pass->head);
        request.body_parts = pass->body.size > 0 && !pass->is_streaming;
        pass->call.origin = service_ticket_origin(&exchange->service, &exchange->route);
        pass->call.origin.was_held = pass->was_held || exchange->admission.was_paused;
        pass->call.origin.may_go = exchange->auth.key == NULL ? NULL : pass_may_go;
        pass->call.origin.read_class =
            read_class_find(exchange->route.operation, pass->body, pass->is_streaming);
        status = call_start(&pass->call, proxy, exchange->route.info, &request, &pass->entry,
                            pass_on_writable);
    }
    exchange->reply.source = &pass->call;
    if (status == STATUS_OK) {
        exchange->record.overhead_us += clock_now_us() - now_us;
        mirror_path_hedge(exchange);
        cache_path_lead(exchange);
        return;
    }
    pass->why = status;
    if (!mirror_path_stand_in(exchange, pass_fail_start))
        pass_fail_start(exchange);
}

/* Its key and its collection's name may have changed while it waited. */
static bool pass_may_go(struct call *call)
{
    return auth_recheck_holds(CONTAINER_OF(call, struct exchange, pass.call));
}

static void pass_fail_start(struct exchange *exchange)
{
    reply_error(&exchange->reply, exchange->pass.why, FRONT_EXECUTED_NO, NULL);
}

/* The request's head is out. First what is kept, then the client may go on. */
static void pass_on_writable(struct call *call)
{
    struct exchange   *exchange = CONTAINER_OF(call, struct exchange, pass.call);
    struct byte_buffer kept = exchange->body;

    exchange->body = (struct byte_buffer){0};
    if (byte_buffer_size(&kept) > 0)
        pass_stream(exchange, byte_buffer_bytes(&kept), exchange->body_ended);
    byte_buffer_done(&kept);
    if (exchange->body_ended || !call_is_active(call))
        return;
    if (call_is_writable(call)) {
        exchange_stop_clocks(exchange);
        front_connection_resume_body(exchange->reply.connection);
    }
}

/* Hand `data` to Chroma's side in the framing of its head. */
static void pass_stream(struct exchange *exchange, struct bytes data, bool last)
{
    bool         is_chunked = exchange->head->framing == HTTP_FRAMING_CHUNKED;
    struct call *call = &exchange->pass.call;
    char         line[HTTP_WRITER_CHUNK_LINE_MAX];
    struct bytes parts[4];
    size_t       count = 0;

    if (is_chunked && data.size > 0)
        parts[count++] =
            (struct bytes){.data = line, .size = http_writer_chunk_line(line, data.size)};
    if (data.size > 0)
        parts[count++] = data;
    if (is_chunked && data.size > 0)
        parts[count++] = BYTES_LITERAL("\r\n");
    if (is_chunked && last)
        parts[count++] = http_writer_last_chunk;
    call_send_body(call, parts, count, last);
    if (last || call_is_writable(call))
        return;
    front_connection_pause_body(exchange->reply.connection);
    exchange_start_deadline(exchange); /* Chroma must go on reading */
}

static void pass_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct exchange       *exchange = CONTAINER_OF(sink, struct exchange, pass.entry);
    struct answer_sink    *chosen;
    struct memory_account *answers = &exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];

    timeout_queue_stop(&exchange->wait_limit);
    mirror_path_on_head(exchange, head);
    exchange->pass.keeps_deadline = pass_may_ask_again(exchange, head);
    if (head->status == 500 && !exchange->pass.keeps_deadline)
        pass_report_error(exchange, false);
    pass_note_life(exchange);
    exchange_move(exchange, EXCHANGE_ANSWERING);
    pass_note_times(exchange);
    if (exchange->route.info->class == CHROMA_CLASS_READ && exchange->route.has_uuid &&
        head->status == 200)
        collection_table_note_read(exchange->proxy->collections, exchange->route.uuid);
    answer_sink_free_behind(sink); /* of the first attempt */
    exchange->pass.is_held = false;
    pass_keep(exchange, head);
    chosen = pass_choose_sink(exchange, head);
    if (chosen != NULL)
        answer_sink_insert(sink, chosen);
    if (exchange->proxy->is_supervised && hold_sink_fits(head, held_bytes_max) &&
        (chosen = hold_sink_new(answers, held_bytes_max, NULL, NULL)) != NULL) {
        answer_sink_insert(sink, chosen);
        exchange->pass.is_held = true;
    }
    answer_sink_head(sink->next, head);
}

static bool pass_may_ask_again(const struct exchange *exchange, const struct http_head *head)
{
    return !exchange->pass.is_streaming && exchange->body_ended &&
           exchange->route.info->is_retry_safe && !exchange->record.was_retried &&
           head->status == 500 && hold_sink_fits(head, small_bytes_max);
}

/* Chroma lives, and has all the time again for its next sign of life. */
static void pass_note_life(struct exchange *exchange)
{
    if (!exchange->pass.keeps_deadline)
        exchange_start_deadline(exchange);
}

/* NULL: the answer just passes. */
static struct answer_sink *pass_choose_sink(struct exchange *exchange, const struct http_head *head)
{
    const struct chroma_route *route = &exchange->route;
    struct memory_account     *answers = &exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];

    if (exchange->pass.is_streaming || !exchange->body_ended)
        return NULL;
    if (exchange->pass.keeps_deadline)
        return hold_sink_new(answers, small_bytes_max, pass_ask_again, exchange);
    if (pass_describes(route->operation) && head->status == 200)
        return learn_sink_new(answers, learned_bytes_max, pass_learn, exchange);
    if (route->operation == CHROMA_OPERATION_PRE_FLIGHT &&
        write_lanes_splits(exchange->proxy->lanes) && head->status == 200 &&
        hold_sink_fits(head, small_bytes_max))
        return hold_sink_new(answers, small_bytes_max, pass_raise_batch_limit, exchange);
    return NULL;
}

/* In the cache, and for while Chroma is down; as it is handed on to the client, so this comes
 * behind whoever changes it. */
static void pass_keep(struct exchange *exchange, const struct http_head *head)
{
    struct answer_sink *keepers[] = {cache_path_sink(exchange, head),
                                     mirror_path_sink(exchange, head)};

    for (size_t i = 0; i < COUNT_OF(keepers); i++)
        if (keepers[i] != NULL)
            answer_sink_insert(&exchange->pass.entry, keepers[i]);
}

/* Does the answer describe collections? */
static bool pass_describes(enum chroma_operation operation)
{
    return operation == CHROMA_OPERATION_COLLECTION_GET ||
           operation == CHROMA_OPERATION_COLLECTION_GET_ID ||
           operation == CHROMA_OPERATION_COLLECTION_LIST;
}

/* `Error finding id` is what reads get while others delete (metadata and index are changed one
 * after the other); asked again, within the deadline that the first attempt began, they succeed. */
static bool pass_ask_again(void *ctx, const struct http_head *head, struct bytes *body)
{
    static const char transient[] = "Error finding id";
    struct exchange  *exchange = ctx;
    bool              goes_away;

    (void)head;
    goes_away =
        body->size > 0 && memmem(body->data, body->size, transient, sizeof transient - 1) != NULL;
    pass_report_error(exchange, goes_away);
    if (!goes_away || !pass_may_take_repeat(exchange->proxy))
        return false;
    exchange->record.was_retried = true;
    exchange_move(exchange, EXCHANGE_WAITING);
    pass_send(exchange);
    return true;
}

/* A 500: what it shows of Chroma. */
static void pass_report_error(const struct exchange *exchange, bool goes_away)
{
    call_report(&exchange->pass.call,
                goes_away ? BREAKER_NOTHING
                          : backend_breaker_of_answer(500, exchange->proxy->family));
}

static bool pass_may_take_repeat(struct proxy *proxy)
{
    return read_repeats_take(&proxy->repeats_made, backend_breaker_is_calm(proxy->breaker),
                             upstream_pool_retry_at_us(proxy->pool), loop_now_us(proxy->loop));
}

static bool pass_raise_batch_limit(void *ctx, const struct http_head *head, struct bytes *body)
{
    struct exchange *exchange = ctx;

    (void)head;
    if (chroma_answer_raise_batch_limit(*body, split_records_told, &exchange->pass.raised))
        *body = byte_buffer_bytes(&exchange->pass.raised);
    return false;
}

static void pass_learn(void *ctx, unsigned status, struct bytes body)
{
    struct exchange *exchange = ctx;

    (void)status;
    collection_table_learn(exchange->proxy->collections, &exchange->route, exchange->pass.question,
                           body, loop_now_us(exchange->proxy->loop));
}

static void pass_on_answer_body(struct answer_sink *sink, struct bytes data)
{
    pass_note_life(CONTAINER_OF(sink, struct exchange, pass.entry));
    answer_sink_body(sink->next, data);
}

static void pass_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct exchange *exchange = CONTAINER_OF(sink, struct exchange, pass.entry);

    if (why == STATUS_AGAIN) { /* it may not go yet, or no more */
        pass_call(exchange);
        return;
    }
    if (exchange->state != EXCHANGE_ANSWERING)
        pass_note_times(exchange);
    exchange->pass.deaths += sent;
    exchange->pass.why = why;
    exchange->pass.was_sent = sent;
    if ((exchange->state == EXCHANGE_ANSWERING && !exchange->pass.is_held) ||
        !mirror_path_stand_in(exchange, pass_fail))
        pass_fail(exchange);
}

static void pass_fail(struct exchange *exchange)
{
    enum status why = exchange->pass.why;
    bool        sent = exchange->pass.was_sent;

    if (!pass_may_repeat(exchange, why)) {
        answer_sink_failure(exchange->pass.entry.next, why, sent);
        return;
    }
    exchange->record.was_retried |= sent; /* if it ends here, it may have been executed */
    timeout_queue_start(exchange->proxy->repeats, &exchange->pass.repeat);
}

/* A Chroma of our own is started again. What was passed on cannot be taken back, and what has
 * killed it three times is not sent for ever. */
static bool pass_may_repeat(const struct exchange *exchange, enum status why)
{
    return exchange->proxy->is_supervised && !exchange->pass.is_streaming &&
           (why == STATUS_BACKEND_RESET || why == STATUS_BACKEND_DOWN) &&
           (exchange->state != EXCHANGE_ANSWERING || exchange->pass.is_held) &&
           exchange->pass.deaths < deaths_max;
}

/* Within the deadline that runs: the first attempt, or Chroma's last sign of life, began it. */
void pass_path_on_repeat(struct timeout *timeout)
{
    struct exchange *exchange = CONTAINER_OF(timeout, struct exchange, pass.repeat);

    exchange->record.was_retried = true; /* it is no first attempt */
    if (exchange->state == EXCHANGE_ANSWERING)
        exchange_move(exchange, EXCHANGE_WAITING);
    pass_send(exchange);
}

/* Waiting for a turn counts for every attempt, the time at Chroma from the first one on. */
static void pass_note_times(struct exchange *exchange)
{
    const struct call    *call = &exchange->pass.call;
    struct access_record *record = &exchange->record;

    if (call->connected_us == 0)
        return;
    record->queue_us += call->connected_us - call->asked_us;
    record->first_byte_us = call->first_byte_us;
    if (record->connected_us == 0)
        record->connected_us = call->connected_us;
}

static void pass_on_deadline(struct exchange *exchange)
{
    bool is_ours = !exchange->client_deadline.is_over;

    if (is_ours && exchange->state == EXCHANGE_ANSWERING && call_is_paused(&exchange->pass.call)) {
        exchange_start_deadline(exchange); /* the client is slow, not Chroma */
        return;
    }
    if (is_ours && pass_was_silent(exchange))
        call_report(&exchange->pass.call, BREAKER_FAILURE);
    exchange->pass.is_ours = is_ours;
    if (exchange->state == EXCHANGE_ANSWERING ||
        !mirror_path_stand_in(exchange, pass_miss_deadline))
        pass_miss_deadline(exchange);
}

static void pass_miss_deadline(struct exchange *exchange)
{
    struct limits_refused *refused = &exchange->proxy->refused;
    bool                   sent = call_is_sent(&exchange->pass.call);
    uint64_t              *counter = NULL; /* NULL: who explains it counts it */
    char                   text[READ_LIMIT_TEXT_SIZE];
    const char            *message = text;

    exchange->client_deadline.is_over |= !exchange->pass.is_ours;
    if (exchange_waits(exchange)) {
        exchange_explain_wait(exchange, "it waited for queue.wait_max, as ", text);
    } else if (pass_is_bounded(exchange)) {
        call_explain_refusal(&exchange->pass.call, false, text);
    } else if (backend_breaker_holds(&exchange->pass.breaker)) {
        counter = &refused->breaker;
        message = "Chroma fails, and the breaker held the read back (breaker.reads: refuse)";
    } else if (sent) {
        counter = &refused->read_deadlines;
        message = "Chroma did not answer within deadline.read";
    } else {
        counter = &refused->waits;
        message = "no connection to Chroma became free in time; see backend.connections_max, "
                  "queue.wait_max and deadline.read";
    }
    deadline_watch_answer(exchange, sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO, counter,
                          message);
}

/* It waits for its turn, and for no Chroma that is known not to run; or its turn came when its time
 * was over: as it does when those that had theirs are over by the same deadline. */
static bool pass_is_bounded(const struct exchange *exchange)
{
    const struct call *call = &exchange->pass.call;
    const struct turn *turn = &call->turn;

    if (!exchange->pass.is_ours || turn_queue_is_held(exchange->proxy->turns))
        return false;
    return turn->state == TURN_WAITING ||
           (turn->state == TURN_OPEN && !call_is_sent(call) && turn->granted_us != call->asked_us &&
            loop_now_us(exchange->proxy->loop) - turn->granted_us < too_late_us);
}

/* The deadline counts from the last byte of the request: who waited for a turn for most of it has
 * not seen Chroma fail. */
static bool pass_was_silent(const struct exchange *exchange)
{
    const struct proxy *proxy = exchange->proxy;
    const struct call  *call = &exchange->pass.call;

    return call_is_sent(call) && call->status == 0 &&
           loop_now_us(proxy->loop) - call->turn.granted_us >= proxy->options.deadline_read_us / 2;
}

static void pass_on_client_gone(struct exchange *exchange)
{
    exchange_finish(exchange);
}

static void pass_on_finished(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    unsigned      status = exchange->pass.call.status;

    /* What it tried may not have been told: no answer, or a 500 that could not be looked at. */
    if (backend_breaker_leave(&exchange->pass.breaker) && (status == 0 || status == 500))
        backend_breaker_report(proxy->breaker, exchange->route.info, exchange->route.uuid,
                               BREAKER_NOTHING, loop_now_us(proxy->loop));
    mirror_ticket_end(&exchange->mirror);
    call_cancel(&exchange->pass.call);
    cache_path_leave(exchange);
}
