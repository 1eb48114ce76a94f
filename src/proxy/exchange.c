#include "proxy/exchange.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "http/http_writer.h"
#include "io/clock.h"
#include "proxy/access_log.h"
#include "proxy/answer.h"
#include "proxy/pass_path.h"
#include "proxy/write_member.h"
#include "proxy/write_path.h"

/* Exchanges kept for the next requests, with their small buffers. */
enum { spare_max = 64, kept_capacity_max = 4096 };

/* Room for a body is reserved so far ahead of what has arrived: the most that one read brings. */
enum { reserve_ahead = 64 * 1024 };

/* Address space for a body of announced length is asked for at once up to this size; memory is
 * taken as bytes arrive. */
enum { at_once_max = 64 * 1024 * 1024 };

/* A request that has passed this many proxies of our name goes in a circle. Two tiers are usual. */
enum { hops_max = 4 };

#define TO(name) (1u << EXCHANGE_##name)

static const unsigned successors_table[EXCHANGE_STATES] = {
#define STATE(name, successors) [EXCHANGE_##name] = (successors),
#include "proxy/exchange_state.def"
#undef STATE
};

static void *on_request(struct front_connection *connection, const struct http_head *head,
                        void *ctx);
static struct exchange *new_exchange(struct proxy *proxy);
static void             clear(struct exchange *exchange);
static void             begin(struct exchange *exchange);
static bool             is_loop(const struct http_head *head);
static unsigned         count_name(struct bytes value);
static void             on_body(void *request, struct bytes data);
static void             on_body_end(void *request);
static void             on_abort(void *request, enum status why);
static void             on_drained(void *request);
static void     on_refused(const struct front_connection *connection, const struct error *error,
                           void *ctx);
static bool     has_lane_room(struct exchange *exchange, size_t wanted);
static void     on_lane_admitted(struct body_ticket *ticket);
static void     on_admitted(struct body_ticket *ticket);
static uint64_t queued_us(const struct exchange *exchange);
static void     on_release(void *ctx);
static void     free_exchange(struct exchange *exchange);
static void     free_memory(void *object);
static void     trim(struct byte_buffer *buffer);

const struct front_handler exchange_handler = {.on_request = on_request,
                                               .on_body = on_body,
                                               .on_body_end = on_body_end,
                                               .on_abort = on_abort,
                                               .on_drained = on_drained,
                                               .on_refused = on_refused};

static void *on_request(struct front_connection *connection, const struct http_head *head,
                        void *ctx)
{
    struct proxy    *proxy = ctx;
    struct exchange *exchange = new_exchange(proxy);

    if (exchange == NULL)
        return NULL;
    exchange->connection = connection;
    exchange->holds = EXCHANGE_HOLD_CLIENT;
    exchange->head = head;
    exchange->is_head = head->is_head;
    exchange->peer = front_connection_peer(connection);
    exchange->began_us = front_connection_began_us(connection);
    chroma_route_find(head->method, head->path, &exchange->route);
    exchange->path = exchange->route.info->is_write ? &write_path : &pass_path;
    begin(exchange);
    return exchange;
}

static struct exchange *new_exchange(struct proxy *proxy)
{
    struct list_node *node = list_first(&proxy->spare_exchanges);
    struct exchange  *exchange;

    if (node != NULL) {
        list_remove(node);
        proxy->spare_count--;
        exchange = LIST_ITEM(node, struct exchange, node);
    } else {
        exchange = calloc(1, sizeof *exchange);
        if (exchange == NULL)
            return NULL;
        clear(exchange);
    }
    exchange->proxy = proxy;
    list_push_back(&proxy->exchanges, &exchange->node);
    proxy->exchange_count++;
    return exchange;
}

/* As new, but for the memory of its small buffers. */
static void clear(struct exchange *exchange)
{
    struct byte_buffer request_head = exchange->request_head;
    struct byte_buffer answer = exchange->answer;
    struct byte_buffer body = exchange->body;

    memset(exchange, 0, sizeof *exchange);
    exchange->request_head = request_head;
    exchange->answer = answer;
    exchange->body = body;
    list_node_init(&exchange->node);
    body_gate_init_ticket(&exchange->ticket, on_admitted);
    body_gate_init_ticket(&exchange->lane_ticket, on_lane_admitted);
    timeout_queue_init_node(&exchange->deadline);
    timeout_queue_init_node(&exchange->wait_limit);
}

static void begin(struct exchange *exchange)
{
    const struct http_head *head = exchange->head;

    if (is_loop(head))
        answer_error(exchange, STATUS_LOOP_DETECTED, FRONT_EXECUTED_NO,
                     "the request came round to the proxy that sent it: backend.url must name "
                     "Chroma, not this proxy");
    else if (head->has_content_length &&
             head->content_length > exchange->proxy->options.body_bytes_max &&
             exchange->route.info->is_write)
        answer_too_large(exchange);
    else
        exchange->path->begin(exchange);
}

static bool is_loop(const struct http_head *head)
{
    unsigned hops = 0;

    if (http_head_find(head, HTTP_FIELD_VIA) == NULL)
        return false;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == HTTP_FIELD_VIA)
            hops += count_name(head->fields[i].value);
    }
    return hops >= hops_max;
}

/* Proxies between may have joined several Via fields into one. */
static unsigned count_name(struct bytes value)
{
    static const struct bytes name = BYTES_INIT("chromabouncer");
    unsigned                  count = 0;
    const char               *found;

    while ((found = memmem(value.data, value.size, name.data, name.size)) != NULL) {
        value = bytes_skip(value, (size_t)(found - value.data) + name.size);
        count++;
    }
    return count;
}

static void on_body(void *request, struct bytes data)
{
    struct exchange *exchange = request;

    exchange->request_bytes += data.size;
    exchange->path->on_body(exchange, data);
}

static void on_body_end(void *request)
{
    struct exchange *exchange = request;

    exchange->body_ended = true;
    body_gate_stop_waiting(&exchange->ticket);
    body_gate_stop_waiting(&exchange->lane_ticket);
    exchange->body_ended_us = loop_now_us(exchange->proxy->loop);
    exchange->path->on_body_end(exchange);
}

/* Its collection has room; now for the room in all. */
static void on_lane_admitted(struct body_ticket *ticket)
{
    struct exchange *exchange = CONTAINER_OF(ticket, struct exchange, lane_ticket);

    if (body_gate_reserve(&exchange->proxy->bodies, &exchange->ticket, ticket->size))
        on_admitted(&exchange->ticket);
}

static void on_admitted(struct body_ticket *ticket)
{
    struct exchange *exchange = CONTAINER_OF(ticket, struct exchange, ticket);

    exchange->path->on_admitted(exchange);
}

static void on_abort(void *request, enum status why)
{
    struct exchange *exchange = request;

    exchange->end = why == STATUS_CANCELLED ? EXCHANGE_END_PROXY : EXCHANGE_END_CLIENT;
    exchange->code = (unsigned)status_http_code(why);
    exchange->proxy->metrics.aborted++;
    exchange->connection = NULL;
    exchange->path->on_client_gone(exchange);
}

static void on_drained(void *request)
{
    answer_on_drained(request);
}

static void on_refused(const struct front_connection *connection, const struct error *error,
                       void *ctx)
{
    struct proxy *proxy = ctx;

    proxy->metrics.shed[error->status]++;
    access_log_refused(proxy, connection, error);
}

void exchange_move(struct exchange *exchange, enum exchange_state state)
{
    assert(successors_table[exchange->state] & (1u << state));
    exchange->state = state;
}

bool exchange_write_head(struct exchange *exchange, enum http_framing framing,
                         uint64_t content_length)
{
    struct http_writer_options options = {.framing = framing, .content_length = content_length};

    if (exchange->head->field_count < HTTP_FIELDS_MAX) /* Chroma takes no more either */
        options.received_by = BYTES_LITERAL("chromabouncer");
    byte_buffer_clear(&exchange->request_head);
    return http_writer_request(&exchange->request_head, exchange->head, BYTES_LITERAL("localhost"),
                               &options) == STATUS_OK;
}

bool exchange_reserve_body(struct exchange *exchange, uint64_t size_max)
{
    const struct http_head *head = exchange->head;
    uint64_t                wanted = byte_buffer_size(&exchange->body) + reserve_ahead;

    if (head->framing == HTTP_FRAMING_NONE)
        return true;
    if (head->framing == HTTP_FRAMING_LENGTH && wanted > head->content_length)
        wanted = head->content_length;
    if (wanted > size_max)
        wanted = size_max;
    if (has_lane_room(exchange, (size_t)wanted) &&
        (wanted <= exchange->ticket.size ||
         body_gate_reserve(&exchange->proxy->bodies, &exchange->ticket, (size_t)wanted)))
        return true;
    front_connection_pause_body(exchange->connection);
    exchange_start_deadline(exchange); /* it is the room that is slow, not the client */
    return false;
}

/* The one body that may grow beyond the room of all does not wait for its collection's: another of
 * the collection may be let grow there, and wait for the room of all. */
static bool has_lane_room(struct exchange *exchange, size_t wanted)
{
    struct body_ticket *ticket = &exchange->lane_ticket;

    if (exchange->lane_gate == NULL || wanted <= ticket->size)
        return true;
    if (!body_gate_is_beyond(&exchange->proxy->bodies, &exchange->ticket))
        return body_gate_reserve(exchange->lane_gate, ticket, wanted);
    body_gate_add(exchange->lane_gate, ticket, wanted - ticket->size);
    return true;
}

/* Growing would copy the body several times. */
bool exchange_keep_body(struct exchange *exchange, struct bytes data)
{
    struct byte_buffer     *body = &exchange->body;
    const struct http_head *head = exchange->head;

    if (byte_buffer_size(body) == 0 && !exchange->is_streaming &&
        head->framing == HTTP_FRAMING_LENGTH &&
        byte_buffer_reserve(
            body, head->content_length < at_once_max ? (size_t)head->content_length : at_once_max,
            SIZE_MAX) != STATUS_OK)
        return false;
    return byte_buffer_append(body, data, SIZE_MAX) == STATUS_OK;
}

static bool is_bodiless_method(const struct http_head *head)
{
    return head->is_head || bytes_equal(head->method, BYTES_LITERAL("GET"));
}

enum status exchange_start_transfer(struct exchange *exchange, bool streams)
{
    struct proxy           *proxy = exchange->proxy;
    struct upstream_request request = {.head = byte_buffer_bytes(&exchange->request_head),
                                       .body = &exchange->body_part,
                                       .streams_body = streams,
                                       .is_head = exchange->head->is_head,
                                       .is_write = exchange->route.info->is_write,
                                       .body_is_odd = is_bodiless_method(exchange->head)};
    enum status             status;

    exchange->body_part = byte_buffer_bytes(&exchange->body);
    request.body_parts = exchange->body_part.size > 0 && !streams;
    exchange->started_us = loop_now_us(proxy->loop);
    status = upstream_transfer_start(proxy->pool, &request, &answer_events, exchange,
                                     &exchange->transfer);
    if (status == STATUS_OK)
        exchange->overhead_us += clock_now_us() - exchange->started_us;
    return status;
}

void exchange_start_deadline(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;
    bool          is_write = exchange->route.info->is_write;

    timeout_queue_start(is_write ? proxy->write_deadlines : proxy->read_deadlines,
                        &exchange->deadline);
    if (!is_write && exchange->state == EXCHANGE_WAITING &&
        !timeout_queue_is_running(&exchange->wait_limit))
        timeout_queue_start(proxy->wait_limits, &exchange->wait_limit);
}

void exchange_stop_clocks(struct exchange *exchange)
{
    timeout_queue_stop(&exchange->deadline);
    timeout_queue_stop(&exchange->wait_limit);
}

void exchange_finish(struct exchange *exchange)
{
    struct proxy            *proxy = exchange->proxy;
    struct front_connection *connection = exchange->connection;
    uint64_t                 now_us = loop_now_us(proxy->loop), finished_us;

    exchange_stop_clocks(exchange);
    finished_us = clock_now_us();
    exchange->overhead_us += finished_us - now_us;
    request_metrics_count(&proxy->metrics, &exchange->route, exchange->code, exchange->source,
                          finished_us - exchange->began_us);
    metric_histogram_add(&proxy->metrics.overhead, exchange->overhead_us);
    if (exchange->connected_us != 0) {
        if (exchange->member == NULL) /* else the call is counted once for all of its members */
            request_metrics_count_backend(
                &proxy->metrics, &exchange->route,
                exchange->source == REQUEST_METRICS_SOURCE_BACKEND ? exchange->code : 0,
                now_us - exchange->connected_us);
        metric_histogram_add(&proxy->metrics.queue_wait[exchange->route.info->class],
                             queued_us(exchange));
    }
    access_log_exchange(exchange, finished_us);
    exchange->connection = NULL;
    if (connection != NULL)
        front_connection_finish(connection);
    exchange->head = NULL;
    exchange->peer = NULL;
    exchange_let_go(exchange, EXCHANGE_HOLD_CLIENT);
}

/* From the request's last byte to its connection; 0 if its body was streamed. */
static uint64_t queued_us(const struct exchange *exchange)
{
    return exchange->body_ended_us != 0 && exchange->connected_us > exchange->body_ended_us
               ? exchange->connected_us - exchange->body_ended_us
               : 0;
}

void exchange_let_go(struct exchange *exchange, enum exchange_hold hold)
{
    assert(exchange->holds & hold);
    exchange->holds &= ~(unsigned)hold;
    if (exchange->holds == 0)
        free_exchange(exchange);
}

void exchange_detach(struct exchange *exchange)
{
    exchange_stop_clocks(exchange);
    exchange_move(exchange, EXCHANGE_DETACHED);
    exchange->holds |= EXCHANGE_HOLD_TRANSFER;
    upstream_transfer_detach(exchange->transfer, on_release, exchange);
    exchange->transfer = NULL;
}

static void on_release(void *ctx)
{
    exchange_let_go(ctx, EXCHANGE_HOLD_TRANSFER);
}

bool exchange_is_sent(const struct exchange *exchange)
{
    if (exchange->transfer != NULL)
        return upstream_transfer_is_sent(exchange->transfer);
    return (exchange->holds & EXCHANGE_HOLD_TRANSFER) != 0 ||
           (exchange->member != NULL && exchange->member->batch_attempts > 0);
}

/* Its callers up the stack may still look at it: it is reused or freed at the end of the turn. */
static void free_exchange(struct exchange *exchange)
{
    exchange_move(exchange, EXCHANGE_DONE);
    write_member_free(exchange->member);
    exchange->member = NULL;
    exchange_free_room(exchange);
    exchange->proxy->exchange_count--;
    loop_free_later(exchange->proxy->loop, exchange, free_memory);
}

void exchange_free_room(struct exchange *exchange)
{
    struct proxy *proxy = exchange->proxy;

    body_gate_leave(&proxy->bodies, &exchange->ticket);
    if (exchange->lane_gate != NULL)
        body_gate_leave(exchange->lane_gate, &exchange->lane_ticket);
    lane_gates_put(proxy->lane_gates, exchange->lane_gate);
    exchange->lane_gate = NULL;
}

static void free_memory(void *object)
{
    struct exchange *exchange = object;
    struct proxy    *proxy = exchange->proxy;

    if (proxy->spare_count >= spare_max) {
        exchange_free(exchange);
        return;
    }
    list_remove(&exchange->node);
    trim(&exchange->request_head);
    trim(&exchange->answer);
    trim(&exchange->body);
    byte_buffer_done(&exchange->kept);
    clear(exchange);
    list_push_front(&proxy->spare_exchanges, &exchange->node);
    proxy->spare_count++;
}

void exchange_free(struct exchange *exchange)
{
    exchange_stop_clocks(exchange);
    list_remove(&exchange->node);
    write_member_free(exchange->member);
    byte_buffer_done(&exchange->request_head);
    byte_buffer_done(&exchange->answer);
    byte_buffer_done(&exchange->body);
    byte_buffer_done(&exchange->kept);
    free(exchange);
}

/* Keep a small buffer's memory, give a large one's back. */
static void trim(struct byte_buffer *buffer)
{
    if (buffer->capacity > kept_capacity_max)
        byte_buffer_done(buffer);
    byte_buffer_clear(buffer);
}
