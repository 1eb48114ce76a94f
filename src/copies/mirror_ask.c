#include "copies/mirror_ask.h"

#include "calls/backend_breaker.h"
#include "calls/own_flows.h"
#include "copies/mirror_state.h"

static enum status mirror_ask_of(struct mirror_ask *ask, const struct mirror_entry *entry,
                                 const char *before, const char *after,
                                 enum chroma_operation operation, size_t answer_max);
static enum status mirror_ask_post(struct mirror_ask *ask, const struct mirror_entry *entry,
                                   enum chroma_operation operation, struct bytes body,
                                   size_t answer_max, const struct mirror_ask_lane *lane);
static enum status mirror_ask_send(struct mirror_ask *ask, enum chroma_operation operation,
                                   size_t answer_max, const struct mirror_ask_lane *lane);
static void        mirror_ask_on_head(struct answer_sink *sink, const struct http_head *head);
static void        mirror_ask_on_body(struct answer_sink *sink, struct bytes data);
static void        mirror_ask_on_end(struct answer_sink *sink);
static void        mirror_ask_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void        mirror_ask_on_deadline(void *ctx);
static void        mirror_ask_end(struct mirror_ask *ask, enum status failure);

static const struct answer_sink_ops mirror_ask_ops = {.on_head = mirror_ask_on_head,
                                                      .on_body = mirror_ask_on_body,
                                                      .on_end = mirror_ask_on_end,
                                                      .on_failure = mirror_ask_on_failure};

enum status mirror_ask_init(struct mirror_ask *ask, struct proxy *proxy, mirror_ask_fn on_over)
{
    static const struct turn_queue_service last = {.weight = 1,
                                                   .priority = FAIR_QUEUE_PRIORITY_LAST};

    *ask =
        (struct mirror_ask){.proxy = proxy, .on_over = on_over, .sink = {.ops = &mirror_ask_ops}};
    list_node_init(&ask->call.node);
    ask->deadline = loop_timer_new(proxy->loop, mirror_ask_on_deadline, ask);
    turn_queue_set_service(proxy->turns, MIRROR_FLOW, &last);
    return ask->deadline == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void mirror_ask_done(struct mirror_ask *ask)
{
    mirror_ask_cancel(ask);
    loop_timer_free(ask->deadline);
    byte_buffer_done(&ask->head);
}

bool mirror_ask_may(const struct proxy *proxy, size_t size)
{
    return !proxy->admission.is_paused && !backend_breaker_is_open(proxy->breaker) &&
           loop_now_us(proxy->loop) >= upstream_pool_retry_at_us(proxy->pool) &&
           memory_account_has_room(&proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR], size);
}

enum status mirror_ask_description(struct mirror_ask *ask, const struct mirror_entry *entry,
                                   size_t answer_max)
{
    return mirror_ask_of(ask, entry, "by-id/", "", CHROMA_OPERATION_COLLECTION_GET_ID, answer_max);
}

enum status mirror_ask_count(struct mirror_ask *ask, const struct mirror_entry *entry,
                             size_t answer_max)
{
    return mirror_ask_of(ask, entry, "", "/count", CHROMA_OPERATION_COUNT, answer_max);
}

/* A GET of what is in the path `before` and `after` its UUID. */
static enum status mirror_ask_of(struct mirror_ask *ask, const struct mirror_entry *entry,
                                 const char *before, const char *after,
                                 enum chroma_operation operation, size_t answer_max)
{
    char        uuid[CHROMA_ROUTE_UUID_SIZE];
    enum status status;

    chroma_route_print_uuid(entry->uuid, uuid);
    byte_buffer_clear(&ask->head);
    ask->body = (struct bytes){0};
    status = byte_buffer_printf(
        &ask->head, SIZE_MAX, "GET /api/v2/tenants/%s/databases/%s/collections/%s%s%s HTTP/1.1\r\n",
        entry->tenant, entry->database, before, uuid, after);
    return status == STATUS_OK ? mirror_ask_send(ask, operation, answer_max, NULL) : status;
}

enum status mirror_ask_by_name(struct mirror_ask *ask, const struct chroma_route *route,
                               size_t answer_max)
{
    enum status status;

    byte_buffer_clear(&ask->head);
    ask->body = (struct bytes){0};
    status = byte_buffer_printf(
        &ask->head, SIZE_MAX,
        "GET /api/v2/tenants/%.*s/databases/%.*s/collections/%.*s HTTP/1.1\r\n",
        (int)route->tenant.size, route->tenant.data, (int)route->database.size,
        route->database.data, (int)route->collection.size, route->collection.data);
    return status == STATUS_OK ? mirror_ask_send(ask, route->operation, answer_max, NULL) : status;
}

enum status mirror_ask_get(struct mirror_ask *ask, const struct mirror_entry *entry,
                           struct bytes body, size_t answer_max, const struct mirror_ask_lane *lane)
{
    return mirror_ask_post(ask, entry, CHROMA_OPERATION_GET, body, answer_max, lane);
}

enum status mirror_ask_query(struct mirror_ask *ask, const struct mirror_entry *entry,
                             struct bytes body, size_t answer_max)
{
    return mirror_ask_post(ask, entry, CHROMA_OPERATION_QUERY, body, answer_max, NULL);
}

static enum status mirror_ask_post(struct mirror_ask *ask, const struct mirror_entry *entry,
                                   enum chroma_operation operation, struct bytes body,
                                   size_t answer_max, const struct mirror_ask_lane *lane)
{
    char        uuid[CHROMA_ROUTE_UUID_SIZE];
    enum status status;

    chroma_route_print_uuid(entry->uuid, uuid);
    byte_buffer_clear(&ask->head);
    ask->body = body;
    status = byte_buffer_printf(&ask->head, SIZE_MAX,
                                "POST /api/v2/tenants/%s/databases/%s/collections/%s/%s "
                                "HTTP/1.1\r\nContent-Type: application/json\r\n"
                                "Content-Length: %zu\r\n",
                                entry->tenant, entry->database, uuid,
                                operation == CHROMA_OPERATION_GET ? "get" : "query", body.size);
    return status == STATUS_OK ? mirror_ask_send(ask, operation, answer_max, lane) : status;
}

static enum status mirror_ask_send(struct mirror_ask *ask, enum chroma_operation operation,
                                   size_t answer_max, const struct mirror_ask_lane *lane)
{
    struct proxy           *proxy = ask->proxy;
    struct upstream_request request = {.body = &ask->body, .body_parts = ask->body.size > 0};
    enum status             status = byte_buffer_append(
                    &ask->head, BYTES_LITERAL("Host: localhost\r\nUser-Agent: chromabouncer\r\n\r\n"),
                    SIZE_MAX);

    mirror_ask_clear(ask);
    ask->answer_max = answer_max;
    ask->status = 0;
    ask->is_whole = true;
    ask->lacks_memory = false;
    ask->call.origin = (struct call_origin){.flow = lane == NULL ? MIRROR_FLOW : lane->flow,
                                            .is_exempt = lane != NULL};
    request.head = byte_buffer_bytes(&ask->head);
    if (status == STATUS_OK && lane != NULL && lane->turn != NULL)
        status = call_start_with_turn(&ask->call, proxy, chroma_route_info(operation), &request,
                                      &ask->sink, lane->turn);
    else if (status == STATUS_OK)
        status =
            call_start(&ask->call, proxy, chroma_route_info(operation), &request, &ask->sink, NULL);
    ask->is_busy = status == STATUS_OK;
    if (ask->is_busy)
        loop_timer_set(ask->deadline,
                       loop_now_us(proxy->loop) +
                           (lane != NULL ? lane->within_us : proxy->options.deadline_read_us));
    return status;
}

static void mirror_ask_on_head(struct answer_sink *sink, const struct http_head *head)
{
    CONTAINER_OF(sink, struct mirror_ask, sink)->status = head->status;
}

static void mirror_ask_on_body(struct answer_sink *sink, struct bytes data)
{
    struct mirror_ask *ask = CONTAINER_OF(sink, struct mirror_ask, sink);
    size_t             before = ask->answer.capacity;
    enum status        status;

    if (!ask->is_whole)
        return;
    status = byte_buffer_append(&ask->answer, data, ask->answer_max);
    if (status != STATUS_OK) {
        ask->is_whole = false;
        ask->lacks_memory = status == STATUS_NO_MEMORY;
        mirror_ask_clear(ask);
        return;
    }
    memory_account_charge(&ask->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR],
                          ask->answer.capacity - before);
    ask->charged += ask->answer.capacity - before;
}

static void mirror_ask_on_end(struct answer_sink *sink)
{
    struct mirror_ask *ask = CONTAINER_OF(sink, struct mirror_ask, sink);

    mirror_ask_end(ask, ask->lacks_memory ? STATUS_NO_MEMORY : STATUS_OK);
}

static void mirror_ask_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    (void)sent; /* it changes nothing */
    mirror_ask_end(CONTAINER_OF(sink, struct mirror_ask, sink), why);
}

static void mirror_ask_on_deadline(void *ctx)
{
    struct mirror_ask *ask = ctx;

    if (!ask->is_busy)
        return;
    call_cancel(&ask->call);
    mirror_ask_end(ask, STATUS_TIMED_OUT);
}

static void mirror_ask_end(struct mirror_ask *ask, enum status failure)
{
    loop_timer_clear(ask->deadline);
    ask->is_busy = false;
    ask->sent_us = ask->call.connected_us;
    ask->cost_us = ask->call.first_byte_us > ask->sent_us && ask->sent_us != 0
                       ? ask->call.first_byte_us - ask->sent_us
                       : 0;
    ask->on_over(ask, failure);
}

void mirror_ask_cancel(struct mirror_ask *ask)
{
    call_cancel(&ask->call);
    if (ask->deadline != NULL)
        loop_timer_clear(ask->deadline);
    ask->is_busy = false;
    mirror_ask_clear(ask);
}

void mirror_ask_clear(struct mirror_ask *ask)
{
    struct byte_buffer answer = mirror_ask_take(ask);

    byte_buffer_done(&answer);
}

struct byte_buffer mirror_ask_take(struct mirror_ask *ask)
{
    struct byte_buffer answer = ask->answer;

    memory_account_release(&ask->proxy->budget->accounts[MEMORY_ACCOUNT_MIRROR], ask->charged);
    ask->charged = 0;
    ask->answer = (struct byte_buffer){0};
    return answer;
}
