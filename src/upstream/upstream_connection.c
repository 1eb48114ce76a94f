#include <assert.h>
#include <stdlib.h>

#include "upstream/upstream_pool.h"
#include "upstream/upstream_state.h"

/* An idle connection is asked whether it is still open before it is used again, unless it was busy
 * just now: then the loop would have told, since what these connections have to say comes before
 * what clients ask in the same turn, and a system call per request is saved. What cannot be sent
 * again, a write and a body that is streamed, asks sooner. */
static const uint64_t fresh_us = 100000, fresh_once_us = 1000;

static void   try_next_address(struct upstream_connection *connection);
static bool   wait_for_connect(struct upstream_connection *connection);
static void   on_connecting(unsigned ready, void *ctx);
static void   stop_connecting(struct upstream_connection *connection, bool close_fd);
static void   on_connected(struct upstream_connection *connection);
static size_t on_data(struct bytes data, void *ctx);
static bool   read_answer(struct upstream_connection *connection, struct bytes *input);
static void   on_answer_end(struct upstream_connection *connection, struct bytes rest);
static void   on_end(enum status status, void *ctx);
static void   on_drained(void *ctx);
static void   free_connection(void *object);

static const struct socket_stream_events stream_events = {
    .on_data = on_data, .on_end = on_end, .on_drained = on_drained};

struct upstream_connection *upstream_connection_open(struct upstream_pool     *pool,
                                                     struct upstream_transfer *transfer)
{
    struct upstream_connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL)
        return NULL;
    connection->pool = pool;
    connection->connect_fd = -1;
    connection->transfer = transfer;
    connection->state = UPSTREAM_CLOSED;
    list_node_init(&connection->node);
    timeout_queue_init_node(&connection->timeout);
    transfer->connection = connection;
    upstream_pool_move(connection, UPSTREAM_CONNECTING);
    try_next_address(connection);
    return connection;
}

static void try_next_address(struct upstream_connection *connection)
{
    struct upstream_pool        *pool = connection->pool;
    const struct socket_address *addresses;
    size_t                       count = upstream_resolver_addresses(pool->resolver, &addresses);

    if (count == 0 && upstream_resolver_is_busy(pool->resolver)) {
        upstream_pool_move(connection, UPSTREAM_RESOLVING);
        return;
    }
    if (count == 0) {
        upstream_pool_set_problem(pool, NULL, upstream_resolver_problem(pool->resolver));
        upstream_resolver_refresh(pool->resolver);
        upstream_transfer_on_broken(connection->transfer, STATUS_BACKEND_DOWN);
        return;
    }
    while (connection->addresses_tried < count) {
        size_t      index = (pool->good_address + connection->addresses_tried++) % count;
        enum status status = socket_connect(&addresses[index], &connection->connect_fd);

        if (status == STATUS_OK) {
            pool->good_address = index;
            on_connected(connection);
            return;
        }
        if (status == STATUS_AGAIN && wait_for_connect(connection))
            return;
        pool->stats.connect_failures++;
        upstream_pool_set_problem(pool, &addresses[index],
                                  status == STATUS_LIMIT_REACHED ? "out of file descriptors"
                                                                 : "connection refused");
    }
    upstream_resolver_refresh(pool->resolver);
    upstream_transfer_on_broken(connection->transfer, STATUS_BACKEND_DOWN);
}

static bool wait_for_connect(struct upstream_connection *connection)
{
    connection->watch =
        loop_watch_new(connection->pool->loop, connection->connect_fd, on_connecting, connection);
    if (connection->watch == NULL) {
        stop_connecting(connection, true);
        return false;
    }
    loop_watch_set(connection->watch, LOOP_WRITE);
    timeout_queue_start(connection->pool->connect_timeouts, &connection->timeout);
    return true;
}

static void on_connecting(unsigned ready, void *ctx)
{
    struct upstream_connection  *connection = ctx;
    struct upstream_pool        *pool = connection->pool;
    const struct socket_address *addresses;
    size_t                       count = upstream_resolver_addresses(pool->resolver, &addresses);
    size_t index = count == 0 ? 0 : (pool->good_address + connection->addresses_tried - 1) % count;
    enum status status = socket_connect_result(connection->connect_fd);

    (void)ready;
    if (status == STATUS_AGAIN)
        return;
    stop_connecting(connection, status != STATUS_OK);
    if (status == STATUS_OK) {
        pool->good_address = index;
        on_connected(connection);
        return;
    }
    pool->stats.connect_failures++;
    upstream_pool_set_problem(pool, count == 0 ? NULL : &addresses[index], "connection refused");
    try_next_address(connection);
}

static void stop_connecting(struct upstream_connection *connection, bool close_fd)
{
    timeout_queue_stop(&connection->timeout);
    loop_watch_free(connection->watch);
    connection->watch = NULL;
    if (close_fd && connection->connect_fd >= 0) {
        socket_close(connection->connect_fd);
        connection->connect_fd = -1;
    }
}

void upstream_connection_on_connect_timeout(struct timeout *timeout)
{
    struct upstream_connection *connection =
        CONTAINER_OF(timeout, struct upstream_connection, timeout);

    stop_connecting(connection, true);
    connection->pool->stats.connect_failures++;
    upstream_pool_set_problem(connection->pool, NULL, "no answer to the connection attempt");
    try_next_address(connection);
}

void upstream_connection_on_resolved(struct upstream_connection *connection)
{
    upstream_pool_move(connection, UPSTREAM_CONNECTING);
    try_next_address(connection);
}

static void on_connected(struct upstream_connection *connection)
{
    struct upstream_pool *pool = connection->pool;

    connection->stream =
        socket_stream_new(pool->loop, &pool->budget->accounts[MEMORY_ACCOUNT_OTHER],
                          connection->connect_fd, &stream_events, connection);
    connection->reader = http_reader_new(HTTP_READER_RESPONSE, &pool->limits);
    if (connection->stream != NULL)
        connection->connect_fd = -1;
    if (connection->stream == NULL || connection->reader == NULL) {
        upstream_transfer_on_broken(connection->transfer, STATUS_NO_MEMORY);
        return;
    }
    pool->stats.opened++;
    upstream_pool_clear_problem(pool, UINT64_MAX);
    upstream_pool_move(connection, UPSTREAM_BUSY);
    socket_stream_go_first(connection->stream, true);
    socket_stream_resume(connection->stream);
    http_reader_reset(connection->reader, connection->transfer->request.is_head);
    upstream_transfer_on_connected(connection->transfer, connection);
}

bool upstream_connection_use(struct upstream_connection *connection,
                             struct upstream_transfer   *transfer)
{
    struct upstream_pool *pool = connection->pool;
    bool                  is_once = transfer->request.is_write || transfer->request.streams_body;
    uint64_t              idle_us = loop_now_us(pool->loop) - connection->idle_since_us;

    assert(connection->state == UPSTREAM_IDLE);
    if ((connection->is_long || idle_us >= (is_once ? fresh_once_us : fresh_us)) &&
        socket_stream_peek(connection->stream) != STATUS_AGAIN) {
        upstream_connection_close(connection);
        return false;
    }
    timeout_queue_stop(&connection->timeout);
    upstream_pool_move(connection, UPSTREAM_BUSY);
    connection->is_reused = true;
    if (connection->is_long)
        socket_stream_go_first(connection->stream, true);
    connection->is_long = false;
    connection->transfer = transfer;
    transfer->connection = connection;
    pool->stats.reused++;
    http_reader_reset(connection->reader, transfer->request.is_head);
    upstream_transfer_on_connected(transfer, connection);
    return true;
}

static size_t on_data(struct bytes data, void *ctx)
{
    struct upstream_connection *connection = ctx;
    struct bytes                input = data;

    if (connection->transfer == NULL) {
        connection->pool->stats.unsolicited++;
        upstream_connection_close(connection);
        return data.size;
    }
    if (!connection->transfer->answer_begun) {
        connection->transfer->answer_begun = true;
        connection->transfer->times.first_byte_us = loop_now_us(connection->pool->loop);
    }
    while (read_answer(connection, &input))
        continue;
    /* The rest of a long answer takes its turn with everybody else: nothing else would have one. */
    if (connection->transfer != NULL && connection->transfer->answer_begun &&
        !connection->is_long) {
        connection->is_long = true;
        socket_stream_go_first(connection->stream, false);
    }
    return data.size;
}

/* One event of the answer; false when the input is used up or the connection has moved on. */
static bool read_answer(struct upstream_connection *connection, struct bytes *input)
{
    struct upstream_transfer *transfer = connection->transfer;
    const struct http_head   *head = http_reader_head(connection->reader);
    struct bytes              body;

    switch (http_reader_feed(connection->reader, input, &body)) {
    case HTTP_READER_MORE:
        upstream_transfer_on_answer_flush(transfer);
        return false;
    case HTTP_READER_HEAD:
        if (head->status >= 200)
            upstream_transfer_on_answer_head(transfer, head);
        else if (head->status != 100)
            upstream_transfer_on_answer_interim(transfer, head);
        break;
    case HTTP_READER_BODY:
        upstream_transfer_on_answer_body(transfer, body);
        break;
    case HTTP_READER_END:
        if (head->status >= 200) {
            on_answer_end(connection, *input);
            return false;
        }
        http_reader_reset(connection->reader, transfer->request.is_head);
        break;
    case HTTP_READER_ERROR:
        if (http_reader_error(connection->reader)->status == STATUS_BACKEND_GARBLED)
            connection->pool->stats.garbled++;
        upstream_transfer_on_broken(transfer, http_reader_error(connection->reader)->status);
        return false;
    }
    return connection->transfer == transfer;
}

/* What follows a complete answer was not asked for: the connection cannot be trusted. */
static void on_answer_end(struct upstream_connection *connection, struct bytes rest)
{
    bool keep_alive = http_reader_head(connection->reader)->keep_alive;

    if (rest.size > 0)
        connection->pool->stats.unsolicited++;
    upstream_transfer_on_answer_end(connection->transfer, keep_alive && rest.size == 0);
}

static void on_end(enum status status, void *ctx)
{
    struct upstream_connection *connection = ctx;
    struct upstream_transfer   *transfer = connection->transfer;

    if (transfer == NULL)
        upstream_connection_close(connection);
    else if (status == STATUS_CLOSED && transfer->answer_begun &&
             http_reader_end_of_input(connection->reader) == HTTP_READER_END)
        upstream_transfer_on_answer_end(transfer, false);
    else
        upstream_transfer_on_broken(transfer, STATUS_BACKEND_RESET);
}

static void on_drained(void *ctx)
{
    struct upstream_connection *connection = ctx;

    if (connection->transfer != NULL)
        upstream_transfer_feed(connection->transfer);
}

void upstream_connection_on_idle_timeout(struct timeout *timeout)
{
    upstream_connection_close(CONTAINER_OF(timeout, struct upstream_connection, timeout));
}

void upstream_connection_close(struct upstream_connection *connection)
{
    if (connection->state == UPSTREAM_CLOSED)
        return;
    stop_connecting(connection, true);
    socket_stream_free(connection->stream);
    connection->stream = NULL;
    connection->transfer = NULL;
    upstream_pool_move(connection, UPSTREAM_CLOSED);
    loop_free_later(connection->pool->loop, connection, free_connection);
}

static void free_connection(void *object)
{
    struct upstream_connection *connection = object;

    http_reader_free(connection->reader);
    free(connection);
}
