#include "proxy/auth_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth_judge.h"
#include "auth/auth_query.h"
#include "calls/request_head.h"
#include "chroma/collection_answer.h"
#include "limits/key_ring.h"
#include "proxy/auth_recheck.h"
#include "proxy/deadline_watch.h"
#include "proxy/exchange.h"
#include "json/json_scan.h"

/* A Chroma of our own is started again, and asked again, unless it dies of it. */
static const uint64_t list_again_us = 100000;
enum { list_deaths_max = 3 };

struct auth_list {
    struct exchange   *exchange;
    struct auth_place  place;
    bool               is_count;
    uint64_t           skip, left, count; /* of those that are seen: to leave out, to give, given */
    uint64_t           offset;            /* of the page */
    struct byte_buffer target, page, out;
    size_t             charged;
    unsigned           deaths; /* of Chroma, under a page */
};

static void auth_list_begin(struct exchange *exchange);
static bool list_new(struct exchange *exchange);
static void auth_list_on_room(struct exchange *exchange);
static void auth_list_on_body(struct exchange *exchange, struct bytes data);
static void auth_list_on_body_end(struct exchange *exchange);
static void ask_for_page(struct exchange *exchange);
static bool list_may_go(struct call *call);
static bool list_write_target(struct auth_list *list);
static void auth_list_on_head(struct answer_sink *sink, const struct http_head *head);
static void auth_list_on_answer_body(struct answer_sink *sink, struct bytes data);
static void auth_list_on_flush(struct answer_sink *sink);
static void auth_list_on_end(struct answer_sink *sink);
static bool take_page(struct auth_list *list, size_t *ret_elements);
static bool is_seen(const struct auth_list *list, struct bytes element);
static bool take_element(struct auth_list *list, struct bytes element);
static void list_reply(struct auth_list *list);
static void auth_list_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void auth_list_on_time(void *ctx);
static void auth_list_on_deadline(struct exchange *exchange);
static void auth_list_on_client_gone(struct exchange *exchange);
static void auth_list_on_finished(struct exchange *exchange);
static void auth_list_free(void *state);

const struct exchange_path auth_list_path = {.begin = auth_list_begin,
                                             .on_room = auth_list_on_room,
                                             .on_body = auth_list_on_body,
                                             .on_body_end = auth_list_on_body_end,
                                             .on_deadline = auth_list_on_deadline,
                                             .on_client_gone = auth_list_on_client_gone,
                                             .on_finished = auth_list_on_finished};

static const struct answer_sink_ops list_ops = {.on_head = auth_list_on_head,
                                                .on_body = auth_list_on_answer_body,
                                                .on_flush = auth_list_on_flush,
                                                .on_end = auth_list_on_end,
                                                .on_failure = auth_list_on_failure};

static void auth_list_begin(struct exchange *exchange)
{
    if (!list_new(exchange)) {
        reply_error(&exchange->reply, STATUS_NO_MEMORY, FRONT_EXECUTED_NO, NULL);
        return;
    }
    exchange->pass.entry = (struct answer_sink){.ops = &list_ops, .next = &exchange->reply.sink};
    exchange_claim_room(exchange, MEMORY_ACCOUNT_READS, 0, false);
}

static bool list_new(struct exchange *exchange)
{
    struct auth_list *list = calloc(1, sizeof *list);
    struct auth_query query;

    exchange->auth.state = list;
    exchange->auth.free_state = auth_list_free;
    if (list != NULL)
        list->exchange = exchange;
    if (list == NULL || !auth_query_read(exchange->head->query, &query) ||
        !auth_judge_place(exchange->head, &exchange->route, &list->place))
        return false; /* the latter two were so before */
    list->is_count = exchange->route.operation == CHROMA_OPERATION_COLLECTION_COUNT;
    list->left = query.has_limit && !list->is_count ? query.limit : UINT64_MAX;
    list->skip = query.has_offset && !list->is_count ? query.offset : 0;
    return list->is_count ||
           byte_buffer_append(&list->out, BYTES_LITERAL("["), SIZE_MAX) == STATUS_OK;
}

static void auth_list_on_room(struct exchange *exchange)
{
    if (exchange->body_ended)
        ask_for_page(exchange);
    else
        front_connection_resume_body(exchange->reply.connection);
}

static void auth_list_on_body(struct exchange *exchange, struct bytes data)
{
    (void)exchange; /* Chroma would not read it */
    (void)data;
}

static void auth_list_on_body_end(struct exchange *exchange)
{
    exchange_move(exchange, EXCHANGE_WAITING);
    if (exchange->wait_began_us == 0) /* else on_room goes on */
        ask_for_page(exchange);
}

/* ---- A page --------------------------------------------------------------------------------- */

static void ask_for_page(struct exchange *exchange)
{
    struct auth_list       *list = exchange->auth.state;
    struct exchange_pass   *pass = &exchange->pass;
    struct proxy           *proxy = exchange->proxy;
    struct upstream_request request = {0};
    enum status             status = STATUS_NO_MEMORY;

    if (!auth_recheck(exchange, NULL))
        return;
    exchange_start_deadline(exchange);
    if (!timeout_queue_is_running(&exchange->wait_limit))
        timeout_queue_start(proxy->wait_limits, &exchange->wait_limit);
    byte_buffer_clear(&list->page);
    pass->question =
        collection_table_ask(proxy->collections, &exchange->route, loop_now_us(proxy->loop));
    if (list_write_target(list) &&
        request_head_write_get(exchange->head, byte_buffer_bytes(&list->target), &pass->head)) {
        request.head = byte_buffer_bytes(&pass->head);
        pass->call.origin = service_ticket_origin(&exchange->service, &exchange->route);
        pass->call.origin.was_held = exchange->admission.was_paused;
        pass->call.origin.may_go = list_may_go;
        status = call_start(&pass->call, proxy, exchange->route.info, &request, &pass->entry, NULL);
    }
    if (status != STATUS_OK)
        reply_error(&exchange->reply, status, FRONT_EXECUTED_NO, NULL);
}

/* Its key may have been revoked while it waited. */
static bool list_may_go(struct call *call)
{
    return auth_recheck_holds(CONTAINER_OF(call, struct exchange, pass.call));
}

static bool list_write_target(struct auth_list *list)
{
    byte_buffer_clear(&list->target);
    return auth_judge_write_path(&list->place, (struct bytes){0}, &list->target) == STATUS_OK &&
           byte_buffer_printf(&list->target, SIZE_MAX, "?limit=%d&offset=%" PRIu64, AUTH_LIST_PAGE,
                              list->offset) == STATUS_OK;
}

/* Whatever else Chroma says than the list is the answer. */
static void auth_list_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct exchange *exchange = CONTAINER_OF(sink, struct exchange, pass.entry);

    timeout_queue_stop(&exchange->wait_limit);
    exchange_start_deadline(exchange);
    exchange->record.first_byte_us = exchange->pass.call.first_byte_us;
    if (exchange->record.connected_us == 0)
        exchange->record.connected_us = exchange->pass.call.connected_us;
    if (head->status == 200)
        return;
    exchange_move(exchange, EXCHANGE_ANSWERING);
    exchange->reply.source = &exchange->pass.call;
    answer_sink_head(sink->next, head);
}

static void auth_list_on_answer_body(struct answer_sink *sink, struct bytes data)
{
    struct exchange  *exchange = CONTAINER_OF(sink, struct exchange, pass.entry);
    struct auth_list *list = exchange->auth.state;

    if (exchange->state == EXCHANGE_ANSWERING) {
        answer_sink_body(sink->next, data);
        return;
    }
    exchange_start_deadline(exchange); /* Chroma lives */
    if (byte_buffer_append(&list->page, data, AUTH_LIST_BYTES_MAX) != STATUS_OK) {
        reply_error(&exchange->reply, STATUS_LIMIT_REACHED, FRONT_EXECUTED_NO,
                    "the list of collections is too large to be filtered");
        return;
    }
    memory_account_charge(&exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS], data.size);
    list->charged += data.size;
}

static void auth_list_on_flush(struct answer_sink *sink)
{
    struct exchange *exchange = CONTAINER_OF(sink, struct exchange, pass.entry);

    if (exchange->state == EXCHANGE_ANSWERING)
        answer_sink_flush(sink->next);
}

static void auth_list_on_end(struct answer_sink *sink)
{
    struct exchange  *exchange = CONTAINER_OF(sink, struct exchange, pass.entry);
    struct auth_list *list = exchange->auth.state;
    size_t            elements = 0;

    if (exchange->state == EXCHANGE_ANSWERING) {
        answer_sink_end(sink->next);
        return;
    }
    if (!take_page(list, &elements)) {
        reply_error(&exchange->reply, STATUS_BACKEND_GARBLED, FRONT_EXECUTED_NO,
                    "Chroma's list of collections could not be read, or is too large to be "
                    "filtered");
        return;
    }
    list->offset += elements;
    if (elements < AUTH_LIST_PAGE || list->left == 0)
        list_reply(list);
    else if (list->offset >= (uint64_t)AUTH_LIST_PAGE * AUTH_LIST_PAGES_MAX)
        reply_error(&exchange->reply, STATUS_LIMIT_REACHED, FRONT_EXECUTED_NO,
                    "the database has too many collections for its list to be filtered; ask for "
                    "fewer with limit and offset, or with a key that may read all of them");
    else
        ask_for_page(exchange);
}

/* False: it is no list of collections, or memory is out. */
static bool take_page(struct auth_list *list, size_t *ret_elements)
{
    struct exchange *exchange = list->exchange;
    struct bytes     page = byte_buffer_bytes(&list->page), element;
    struct json_scan scan;

    json_scan_init(&scan, page);
    if (!json_scan_array(&scan))
        return false;
    while (json_scan_element(&scan)) {
        if (!json_scan_value(&scan, &element))
            return false;
        ++*ret_elements;
        if (list->left > 0 && is_seen(list, element) && !take_element(list, element))
            return false;
    }
    if (!json_scan_end(&scan))
        return false;
    collection_table_learn(exchange->proxy->collections, &exchange->route, exchange->pass.question,
                           page, loop_now_us(exchange->proxy->loop));
    return true;
}

static bool is_seen(const struct auth_list *list, struct bytes element)
{
    const struct key_ring_key *key = list->exchange->auth.key;
    struct key_target          target = {list->place.tenant, list->place.database, {0}};
    struct collection_answer   answer;
    struct json_scan           scan;

    json_scan_init(&scan, element);
    if (!collection_answer_take(&scan, &answer))
        return false;
    target.collection = (struct bytes){answer.name.data, answer.name.size};
    return key_scope_allows(key->scopes, key->scope_count, KEY_VERB_READ, &target);
}

static bool take_element(struct auth_list *list, struct bytes element)
{
    struct memory_account *answers =
        &list->exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS];

    if (list->skip > 0) {
        list->skip--;
        return true;
    }
    list->left--;
    list->count++;
    if (list->is_count)
        return true;
    if ((list->count > 1 &&
         byte_buffer_append(&list->out, BYTES_LITERAL(","), AUTH_LIST_BYTES_MAX) != STATUS_OK) ||
        byte_buffer_append(&list->out, element, AUTH_LIST_BYTES_MAX) != STATUS_OK)
        return false;
    memory_account_charge(answers, element.size);
    list->charged += element.size;
    return true;
}

static void list_reply(struct auth_list *list)
{
    static const struct http_head head = {.status = 200,
                                          .reason = BYTES_INIT("OK"),
                                          .minor_version = 1,
                                          .framing = HTTP_FRAMING_LENGTH,
                                          .field_count = 1,
                                          .fields = {{.name = BYTES_INIT("content-type"),
                                                      .value = BYTES_INIT("application/json"),
                                                      .id = HTTP_FIELD_CONTENT_TYPE}}};
    struct exchange              *exchange = list->exchange;
    enum status                   status = list->is_count
                                               ? byte_buffer_printf(&list->out, SIZE_MAX, "%" PRIu64, list->count)
                                               : byte_buffer_append(&list->out, BYTES_LITERAL("]"), SIZE_MAX);

    if (status != STATUS_OK) {
        reply_error(&exchange->reply, status, FRONT_EXECUTED_NO, NULL);
        return;
    }
    exchange_move(exchange, EXCHANGE_ANSWERING);
    reply_whole(&exchange->reply, &head, byte_buffer_bytes(&list->out));
}

/* ---- Its end -------------------------------------------------------------------------------- */

static void auth_list_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct exchange  *exchange = CONTAINER_OF(sink, struct exchange, pass.entry);
    struct auth_list *list = exchange->auth.state;
    struct loop      *loop = exchange->proxy->loop;

    if (why == STATUS_AGAIN) { /* it may not go any more */
        ask_for_page(exchange);
        return;
    }
    list->deaths += sent;
    if (exchange->proxy->is_supervised && exchange->state != EXCHANGE_ANSWERING &&
        (why == STATUS_BACKEND_RESET || why == STATUS_BACKEND_DOWN) &&
        list->deaths < list_deaths_max)
        exchange->auth.timer = loop_timer_new(loop, auth_list_on_time, exchange);
    if (exchange->auth.timer != NULL)
        loop_timer_set(exchange->auth.timer, loop_now_us(loop) + list_again_us);
    else
        answer_sink_failure(sink->next, why, sent);
}

static void auth_list_on_time(void *ctx)
{
    struct exchange *exchange = ctx;

    loop_timer_free(exchange->auth.timer);
    exchange->auth.timer = NULL;
    ask_for_page(exchange);
}

/* Either clock: that of the wait, or that of Chroma's answer. */
static void auth_list_on_deadline(struct exchange *exchange)
{
    struct limits_refused *refused = &exchange->proxy->refused;
    bool                   sent = call_is_sent(&exchange->pass.call);
    char                   text[EXCHANGE_WAIT_TEXT_SIZE];

    if (exchange->state == EXCHANGE_ANSWERING && call_is_paused(&exchange->pass.call)) {
        exchange_start_deadline(exchange); /* the client is slow, not Chroma */
    } else if (exchange_waits(exchange)) {
        exchange_explain_wait(exchange, "it waited for queue.wait_max, as ", text);
        deadline_watch_answer(exchange, FRONT_EXECUTED_NO, NULL, text);
    } else {
        deadline_watch_answer(
            exchange, sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO,
            sent ? &refused->read_deadlines : &refused->waits,
            sent ? "Chroma did not list its collections within deadline.read"
                 : "Chroma could not be asked for its collections in time: no turn came, or no "
                   "connection; see reads.limit, backend.connections_max and queue.wait_max");
    }
}

static void auth_list_on_client_gone(struct exchange *exchange)
{
    exchange_finish(exchange);
}

static void auth_list_on_finished(struct exchange *exchange)
{
    call_cancel(&exchange->pass.call);
}

static void auth_list_free(void *state)
{
    struct auth_list *list = state;

    memory_account_release(&list->exchange->proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS],
                           list->charged);
    byte_buffer_done(&list->target);
    byte_buffer_done(&list->page);
    byte_buffer_done(&list->out);
    free(list);
}
