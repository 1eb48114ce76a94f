#include "proxy/exchange.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "calls/read_facts.h"
#include "io/clock.h"

/* Exchanges kept for the next requests, with their small buffers. */
enum { spare_max = 64, kept_capacity_max = 4096 };

/* Address space for a body of announced length is asked for at once up to this size; memory is
 * taken as bytes arrive. */
enum { at_once_max = 64 * 1024 * 1024 };

#define TO(name) (1u << EXCHANGE_##name)

static const unsigned successors_table[EXCHANGE_STATES] = {
#define STATE(name, successors) [EXCHANGE_##name] = (successors),
#include "proxy/exchange_state.def"
#undef STATE
};

static struct exchange *exchange_take_spare(struct proxy *proxy);
static void             exchange_clear(struct exchange *exchange);
static void             exchange_on_admitted(struct admission_ticket *ticket);
static bool             exchange_take_part(struct exchange *exchange);
static void             exchange_on_lane_room(struct lane_ticket *ticket);
static void             exchange_claim(struct exchange *exchange);
static void             exchange_on_room(struct memory_claim *claim);
static void             exchange_begin_wait(struct exchange *exchange);
static void             exchange_end_wait(struct exchange *exchange);
static void             exchange_leave_room(struct exchange *exchange);
static void             exchange_tell(const struct exchange *exchange, uint64_t now_us);
static struct bytes     exchange_answered_body(const struct exchange *exchange);
static void             exchange_on_replied(struct reply *reply);
static void             exchange_free_later(void *object);
static void             exchange_trim(struct byte_buffer *buffer);

struct exchange *exchange_new(struct proxy *proxy, struct front_connection *connection,
                              const struct http_head *head)
{
    struct exchange *exchange = exchange_take_spare(proxy);

    if (exchange == NULL)
        return NULL;
    exchange->proxy = proxy;
    exchange->head = head;
    exchange->peer = front_connection_peer(connection);
    exchange->record.began_us = front_connection_began_us(connection);
    chroma_route_find(head->method, head->path, &exchange->route);
    exchange->reply.proxy = proxy;
    exchange->reply.connection = connection;
    exchange->reply.request = head;
    exchange->reply.record = &exchange->record;
    exchange->reply.on_finished = exchange_on_replied;
    list_push_back(&proxy->exchanges, &exchange->node);
    proxy->exchange_count++;
    return exchange;
}

static struct exchange *exchange_take_spare(struct proxy *proxy)
{
    struct list_node *node = list_first(&proxy->spare_exchanges);
    struct exchange  *exchange;

    if (node != NULL) {
        list_remove(node);
        proxy->spare_count--;
        return LIST_ITEM(node, struct exchange, node);
    }
    exchange = calloc(1, sizeof *exchange);
    if (exchange != NULL)
        exchange_clear(exchange);
    return exchange;
}

/* As new, but for the memory of its small buffers. */
static void exchange_clear(struct exchange *exchange)
{
    struct byte_buffer body = exchange->body;
    struct byte_buffer head = exchange->pass.head;
    struct byte_buffer out = exchange->reply.out;

    memset(exchange, 0, sizeof *exchange);
    exchange->body = body;
    exchange->pass.head = head;
    exchange->reply.out = out;
    reply_init(&exchange->reply);
    list_node_init(&exchange->node);
    list_node_init(&exchange->pass.call.node);
    backend_breaker_init_ticket(&exchange->pass.breaker, NULL);
    admission_init_ticket(&exchange->admission, exchange_on_admitted);
    lane_rooms_init_ticket(&exchange->lane_room, exchange_on_lane_room);
    timeout_queue_init_node(&exchange->deadline);
    timeout_queue_init_node(&exchange->wait_limit);
    timeout_queue_init_node(&exchange->pass.repeat);
}

void exchange_move(struct exchange *exchange, enum exchange_state state)
{
    assert(successors_table[exchange->state] & (1u << state));
    exchange->state = state;
}

void exchange_claim_room(struct exchange *exchange, enum memory_account_id id, size_t size,
                         bool takes_lane_room)
{
    struct memory_account *account = &exchange->proxy->budget->accounts[id];

    memory_account_claim_init(&exchange->room, account, exchange_on_room);
    exchange->room_wanted = size;
    if (takes_lane_room)
        exchange->rooms = exchange->proxy->lane_rooms;
    else if (id == MEMORY_ACCOUNT_READS && exchange->service.is_known)
        exchange->rooms = exchange->proxy->read_rooms;
    if (admission_ask(&exchange->proxy->admission, &exchange->admission))
        exchange_on_admitted(&exchange->admission);
    else
        exchange_begin_wait(exchange);
}

static void exchange_on_admitted(struct admission_ticket *ticket)
{
    struct exchange *exchange = CONTAINER_OF(ticket, struct exchange, admission);

    if (exchange->room_wanted > 0 && exchange->rooms != NULL && !exchange_take_part(exchange))
        exchange_begin_wait(exchange);
    else
        exchange_claim(exchange);
}

/* Of its collection, its service, or both. */
static bool exchange_take_part(struct exchange *exchange)
{
    uint32_t      service = exchange->service.service;
    unsigned char key[LANE_ROOM_KEY_SIZE] = {0};

    if (exchange->rooms == exchange->proxy->lane_rooms)
        memcpy(key, exchange->route.uuid, sizeof exchange->route.uuid);
    memcpy(key + sizeof exchange->route.uuid, &service, sizeof service);
    return lane_rooms_take(exchange->rooms, &exchange->lane_room, key, exchange->room_wanted);
}

static void exchange_on_lane_room(struct lane_ticket *ticket)
{
    exchange_claim(CONTAINER_OF(ticket, struct exchange, lane_room));
}

static void exchange_claim(struct exchange *exchange)
{
    assert(exchange->admission.is_held);
    if (exchange->room_wanted > 0 &&
        memory_account_claim(&exchange->room, exchange->room_wanted) != STATUS_OK)
        exchange_begin_wait(exchange);
    else
        exchange_on_room(&exchange->room);
}

static void exchange_on_room(struct memory_claim *claim)
{
    struct exchange *exchange = CONTAINER_OF(claim, struct exchange, room);

    exchange_end_wait(exchange);
    exchange->path->on_room(exchange);
}

/* It is the room that is slow, not the client. */
static void exchange_begin_wait(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;

    /* Who waits for room holds nothing that comes after it (ARCHITECTURE.md). */
    assert(exchange->write == NULL && !call_is_active(&exchange->pass.call));
    if (exchange->wait_began_us != 0)
        return;
    exchange->wait_began_us = loop_now_us(proxy->loop);
    front_connection_pause_body(exchange->reply.connection);
    if (exchange->route.info->is_write)
        timeout_queue_start(proxy->write_deadlines, &exchange->deadline);
    else
        timeout_queue_start(proxy->options.sheds ? proxy->shed_waits : proxy->wait_limits,
                            &exchange->wait_limit);
}

static void exchange_end_wait(struct exchange *exchange)
{
    if (exchange->wait_began_us == 0)
        return;
    exchange->record.room_us += loop_now_us(exchange->proxy->loop) - exchange->wait_began_us;
    exchange->wait_began_us = 0;
    exchange_stop_clocks(exchange);
}

/* What can never fit goes when it has all of the account. */
bool exchange_grow_room(struct exchange *exchange, uint64_t size)
{
    uint64_t largest = memory_account_largest(exchange->room.account);

    if (memory_account_claim_is_waiting(&exchange->room))
        return false;
    if (size > largest)
        size = largest;
    if (size <= exchange->room.size)
        return true;
    lane_rooms_add(&exchange->lane_room, (size_t)size - exchange->room.size);
    if (memory_account_claim_grow(&exchange->room, (size_t)size) == STATUS_OK)
        return true;
    exchange_begin_wait(exchange);
    return false;
}

void exchange_trim_room(struct exchange *exchange)
{
    size_t size = byte_buffer_size(&exchange->body);

    if (size > exchange->room.size)
        size = exchange->room.size;
    memory_account_claim_shrink(&exchange->room, size);
}

bool exchange_waits(const struct exchange *exchange)
{
    return exchange->wait_began_us != 0;
}

void exchange_explain_wait(struct exchange *exchange, const char *before,
                           char out[EXCHANGE_WAIT_TEXT_SIZE])
{
    static const char            advice[] = ". Nothing was done; the operator can raise that limit";
    struct proxy                *proxy = exchange->proxy;
    struct limits_refused       *refused = &proxy->refused;
    const struct memory_claim   *claim = &exchange->room;
    const struct memory_account *account = claim->account;
    char                         size[TEXT_NUMBER_SIZE];
    uint64_t                    *counter;

    if (!exchange->admission.is_held) {
        counter = &refused->requests;
        snprintf(out, EXCHANGE_WAIT_TEXT_SIZE,
                 "%squeue.requests_max (%zu) requests were held all the time%s", before,
                 proxy->admission.max, advice);
    } else if (list_node_is_linked(&exchange->lane_room.node)) {
        bool is_write = exchange->rooms == proxy->lane_rooms;

        counter = is_write ? &refused->write_bytes : &refused->read_bytes;
        snprintf(out, EXCHANGE_WAIT_TEXT_SIZE,
                 "%s%s held its part of queue.bytes_max (%s) all the time%s", before,
                 !is_write ? "the bodies of the reads of its service"
                 : exchange->service.is_known
                     ? "the writes of its service that wait for this collection"
                     : "the writes that wait for this collection",
                 text_of_size(account->max, size), advice);
    } else if (account->used + (claim->wanted - claim->size) > account->max) {
        counter = exchange->route.info->is_write ? &refused->write_bytes : &refused->read_bytes;
        snprintf(out, EXCHANGE_WAIT_TEXT_SIZE,
                 "%sthe bodies of other requests held queue.bytes_max (%s) all the time%s", before,
                 text_of_size(account->max, size), advice);
    } else {
        counter = &refused->memory;
        snprintf(out, EXCHANGE_WAIT_TEXT_SIZE,
                 "%smemory_max (%s) was in use, or others were before it, all the time%s", before,
                 text_of_size(proxy->budget->max, size), advice);
    }
    *counter += !exchange->client_deadline.is_over;
}

/* Growing would copy the body several times. */
bool exchange_keep_body(struct exchange *exchange, struct bytes data)
{
    struct byte_buffer     *body = &exchange->body;
    const struct http_head *head = exchange->head;

    if (byte_buffer_size(body) == 0 && !exchange->pass.is_streaming &&
        head->framing == HTTP_FRAMING_LENGTH &&
        byte_buffer_reserve(
            body, head->content_length < at_once_max ? (size_t)head->content_length : at_once_max,
            SIZE_MAX) != STATUS_OK)
        return false;
    return byte_buffer_append(body, data, SIZE_MAX) == STATUS_OK;
}

void exchange_start_deadline(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;

    timeout_queue_start(exchange->route.info->is_write ? proxy->write_deadlines
                                                       : proxy->read_deadlines,
                        &exchange->deadline);
}

void exchange_stop_clocks(struct exchange *exchange)
{
    timeout_queue_stop(&exchange->deadline);
    timeout_queue_stop(&exchange->wait_limit);
    timeout_queue_stop(&exchange->pass.repeat);
}

static void exchange_on_replied(struct reply *reply)
{
    exchange_finish(CONTAINER_OF(reply, struct exchange, reply));
}

/* Its callers up the stack may still look at it: it is reused or freed at the end of the turn. */
void exchange_finish(struct exchange *exchange)
{
    struct proxy            *proxy = exchange->proxy;
    struct front_connection *connection = exchange->reply.connection;
    struct access_record    *record = &exchange->record;
    struct access_request    request = {.op = exchange->route.info->metric_op,
                                        .method = exchange->head->method,
                                        .path = exchange->head->path,
                                        .peer = exchange->peer};
    uint64_t                 now_us = loop_now_us(proxy->loop), finished_us;

    exchange_end_wait(exchange);
    exchange_stop_clocks(exchange);
    client_deadline_stop(&exchange->client_deadline);
    exchange->path->on_finished(exchange);
    if (exchange->service.is_known)
        service_ticket_end(&exchange->service, proxy->services, record, &exchange->pass.call,
                           now_us);
    finished_us = clock_now_us();
    record->overhead_us += finished_us - now_us;
    request_metrics_count(&proxy->metrics, exchange->route.info, record->code, record->source,
                          finished_us - record->began_us);
    metric_histogram_add(&proxy->metrics.overhead, record->overhead_us);
    access_log_request(proxy->options.access_log, &request, record, finished_us);
    exchange_tell(exchange, finished_us);
    exchange->reply.connection = NULL;
    if (connection != NULL)
        front_connection_finish(connection);
    exchange_move(exchange, EXCHANGE_DONE);
    exchange_leave_room(exchange);
    auth_ticket_leave(&exchange->auth, proxy->auth);
    proxy->exchange_count--;
    loop_free_later(proxy->loop, exchange, exchange_free_later);
}

/* Whoever counts by client. */
static void exchange_tell(const struct exchange *exchange, uint64_t now_us)
{
    const struct http_field    *agent = http_head_find(exchange->head, HTTP_FIELD_USER_AGENT);
    const struct access_record *record = &exchange->record;
    struct finished_request     request;

    if (exchange->proxy->on_finished == NULL)
        return;
    request = (struct finished_request){
        .route = &exchange->route,
        .peer = exchange->peer,
        .user_agent = agent == NULL ? (struct bytes){0} : agent->value,
        .began_us = record->began_us,
        .ended_us = now_us,
        .code = record->code,
        .records = record->records,
        .answer_bytes = record->answer_bytes,
        .call_writes = record->batch.attempts > 0 ? record->batch.members : 0,
        .at_chroma_us = record->first_byte_us > record->connected_us && record->connected_us > 0
                            ? record->first_byte_us - record->connected_us
                            : 0,
        .is_from_cache = record->source == REQUEST_METRICS_SOURCE_CACHE ||
                         record->source == REQUEST_METRICS_SOURCE_COLLAPSED,
        .facts = read_facts_take(&exchange->proxy->looks, exchange->proxy->secret, &exchange->route,
                                 exchange_answered_body(exchange), now_us)};
    exchange->proxy->on_finished(exchange->proxy->on_finished_ctx, &request);
}

/* Of the request, if all of it is here. What was refused cost nobody much: it does not count. */
static struct bytes exchange_answered_body(const struct exchange *exchange)
{
    if (exchange->record.code != 200 || !exchange->body_ended || exchange->pass.is_streaming)
        return (struct bytes){0};
    return byte_buffer_bytes(&exchange->body);
}

static void exchange_leave_room(struct exchange *exchange)
{
    struct lane_rooms *writes = exchange->proxy->lane_rooms;

    if (exchange->room.account != NULL)
        memory_account_claim_release(&exchange->room);
    lane_rooms_leave(exchange->rooms != NULL ? exchange->rooms : writes, &exchange->lane_room);
    admission_leave(&exchange->proxy->admission, &exchange->admission);
}

static void exchange_free_later(void *object)
{
    struct exchange *exchange = object;
    struct proxy    *proxy = exchange->proxy;

    if (proxy->spare_count >= spare_max) {
        exchange_free(exchange);
        return;
    }
    list_remove(&exchange->node);
    answer_sink_free_behind(&exchange->pass.entry);
    auth_ticket_end(&exchange->auth);
    exchange_trim(&exchange->body);
    exchange_trim(&exchange->pass.head);
    byte_buffer_done(&exchange->pass.raised);
    exchange_trim(&exchange->reply.out);
    exchange_clear(exchange);
    list_push_front(&proxy->spare_exchanges, &exchange->node);
    proxy->spare_count++;
}

void exchange_free(struct exchange *exchange)
{
    exchange_stop_clocks(exchange);
    client_deadline_stop(&exchange->client_deadline);
    mirror_ticket_end(&exchange->mirror);
    list_remove(&exchange->node);
    answer_sink_free_behind(&exchange->pass.entry);
    if (exchange->proxy != NULL) /* a spare one has none */
        auth_ticket_leave(&exchange->auth, exchange->proxy->auth);
    auth_ticket_end(&exchange->auth);
    byte_buffer_done(&exchange->body);
    byte_buffer_done(&exchange->pass.head);
    byte_buffer_done(&exchange->pass.raised);
    byte_buffer_done(&exchange->reply.out);
    free(exchange);
}

/* Keep a small buffer's memory, give a large one's back. */
static void exchange_trim(struct byte_buffer *buffer)
{
    if (buffer->capacity > kept_capacity_max)
        byte_buffer_done(buffer);
    byte_buffer_clear(buffer);
}
