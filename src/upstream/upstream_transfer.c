#include "upstream/upstream_transfer.h"

#include <assert.h>
#include <stdlib.h>

#include "http/http_retry_after.h"
#include "io/clock.h"
#include "upstream/upstream_pool.h"
#include "upstream/upstream_state.h"

/* Parts given to the stream at once. */
enum { feed_parts_max = 64 };

/* A Retry-After beyond this is no word about an overload. */
static const uint64_t retry_after_max_us = UINT64_C(300) * 1000000;

static void   tell_writable(void *ctx);
static bool   give_parts(struct upstream_transfer *transfer);
static size_t next_parts(struct upstream_transfer *transfer, struct bytes *ret_parts);
static void   note_retry_after(struct upstream_pool *pool, const struct http_head *head);
static bool   may_send_again(const struct upstream_transfer *transfer, enum status why);
static void   send_again(struct upstream_transfer *transfer);
static void   fail(struct upstream_transfer *transfer, enum status why, bool sent);
static void   leave_connection(struct upstream_transfer *transfer, bool reusable);

enum status upstream_transfer_start(struct upstream_pool                  *pool,
                                    const struct upstream_request         *request,
                                    const struct upstream_transfer_events *events, void *ctx,
                                    struct upstream_transfer **ret_transfer)
{
    struct upstream_transfer *transfer;

    if (!upstream_pool_has_room(pool))
        return STATUS_OVERLOADED;
    transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL)
        return STATUS_NO_MEMORY;
    transfer->pool = pool;
    transfer->request = *request;
    transfer->events = events;
    transfer->ctx = ctx;
    transfer->times.started_us = loop_now_us(pool->loop);
    list_node_init(&transfer->node);
    loop_task_init(&transfer->writable_task, tell_writable, transfer);
    *ret_transfer = transfer;
    upstream_pool_place(pool, transfer);
    return STATUS_OK;
}

void upstream_transfer_on_connected(struct upstream_transfer   *transfer,
                                    struct upstream_connection *connection)
{
    transfer->times.connected_us = loop_now_us(transfer->pool->loop);
    transfer->sent_before = socket_stream_sent(connection->stream);
    transfer->next_part = transfer->part_offset = 0;
    transfer->body_given = false;
    if (transfer->is_paused)
        socket_stream_pause(connection->stream);
    if (give_parts(transfer) && transfer->request.streams_body)
        loop_later(transfer->pool->loop, &transfer->writable_task);
}

static void tell_writable(void *ctx)
{
    upstream_transfer_feed(ctx);
}

void upstream_transfer_feed(struct upstream_transfer *transfer)
{
    if (give_parts(transfer) && transfer->request.streams_body && !transfer->body_given)
        transfer->events->on_writable(transfer->ctx);
}

/* Hand the stream what it takes of head and body parts. True when it has all of them. */
static bool give_parts(struct upstream_transfer *transfer)
{
    struct socket_stream *stream = transfer->connection->stream;

    while (transfer->next_part <= transfer->request.body_parts) {
        struct bytes parts[feed_parts_max];
        size_t       count;

        if (socket_stream_is_full(stream))
            return false;
        count = next_parts(transfer, parts);
        if (socket_stream_send(stream, parts, count) == STATUS_OK)
            continue;
        /* Broken: if not a byte went out, it was closed while idle; else the peer may have
         * answered already, and the reading side tells. */
        transfer->next_part = transfer->request.body_parts + 1;
        if (!upstream_transfer_is_sent(transfer))
            upstream_transfer_on_broken(transfer, STATUS_BACKEND_RESET);
        return false;
    }
    if (!transfer->request.streams_body)
        transfer->body_given = true;
    return true;
}

/* The next parts, some SOCKET_STREAM_HIGH bytes at most, so that little is copied when the socket
 * is full. */
static size_t next_parts(struct upstream_transfer *transfer, struct bytes *ret_parts)
{
    const struct upstream_request *request = &transfer->request;
    size_t                         count = 0, size = 0;

    while (count < feed_parts_max && size < SOCKET_STREAM_HIGH &&
           transfer->next_part <= request->body_parts) {
        struct bytes part =
            transfer->next_part == 0 ? request->head : request->body[transfer->next_part - 1];

        part = bytes_skip(part, transfer->part_offset);
        if (part.size > SOCKET_STREAM_HIGH) {
            part.size = SOCKET_STREAM_HIGH;
            transfer->part_offset += part.size;
        } else {
            transfer->part_offset = 0;
            transfer->next_part++;
        }
        ret_parts[count++] = part;
        size += part.size;
    }
    return count;
}

void upstream_transfer_send_body(struct upstream_transfer *transfer, const struct bytes *parts,
                                 size_t count, bool last)
{
    assert(transfer->request.streams_body);
    if (transfer->failure != STATUS_OK)
        return; /* in this very turn: on_failure is about to tell */
    assert(transfer->connection != NULL);
    transfer->body_given = last;
    if (socket_stream_send(transfer->connection->stream, parts, count) != STATUS_OK &&
        !upstream_transfer_is_sent(transfer))
        upstream_transfer_on_broken(transfer, STATUS_BACKEND_RESET);
}

bool upstream_transfer_is_writable(const struct upstream_transfer *transfer)
{
    return transfer->connection != NULL && transfer->connection->state == UPSTREAM_BUSY &&
           transfer->next_part > transfer->request.body_parts &&
           !socket_stream_is_full(transfer->connection->stream);
}

void upstream_transfer_pause(struct upstream_transfer *transfer)
{
    transfer->is_paused = true;
    if (transfer->connection != NULL && transfer->connection->state == UPSTREAM_BUSY)
        socket_stream_pause(transfer->connection->stream);
}

void upstream_transfer_resume(struct upstream_transfer *transfer)
{
    transfer->is_paused = false;
    if (transfer->connection != NULL && transfer->connection->state == UPSTREAM_BUSY)
        socket_stream_resume(transfer->connection->stream);
}

bool upstream_transfer_is_paused(const struct upstream_transfer *transfer)
{
    return transfer->is_paused;
}

bool upstream_transfer_is_sent(const struct upstream_transfer *transfer)
{
    if (transfer->failure != STATUS_OK)
        return transfer->failure_sent;
    if (transfer->was_sent)
        return true;
    return transfer->connection != NULL && transfer->connection->state == UPSTREAM_BUSY &&
           socket_stream_sent(transfer->connection->stream) > transfer->sent_before;
}

void upstream_transfer_on_answer_interim(struct upstream_transfer *transfer,
                                         const struct http_head   *head)
{
    transfer->events->on_interim(head, transfer->ctx);
}

void upstream_transfer_on_answer_head(struct upstream_transfer *transfer,
                                      const struct http_head   *head)
{
    bool has_body = transfer->request.body_parts > 0 || transfer->request.streams_body;

    transfer->is_refused = has_body && (transfer->request.body_is_odd || head->status >= 400);
    note_retry_after(transfer->pool, head);
    transfer->events->on_head(head, transfer->ctx);
}

/* The latest word counts, if it asks for more than those before it. */
static void note_retry_after(struct upstream_pool *pool, const struct http_head *head)
{
    const struct http_field *field;
    uint64_t                 wait_us, now_us = loop_now_us(pool->loop);

    if (head->status != 429 && head->status != 503)
        return;
    field = http_head_find(head, HTTP_FIELD_RETRY_AFTER);
    if (field == NULL || !http_retry_after_parse(field->value, clock_wall_us(), &wait_us))
        return;
    if (wait_us > retry_after_max_us)
        wait_us = retry_after_max_us;
    if (now_us + wait_us > pool->retry_at_us)
        pool->retry_at_us = now_us + wait_us;
}

void upstream_transfer_on_answer_body(struct upstream_transfer *transfer, struct bytes data)
{
    transfer->events->on_body(data, transfer->ctx);
}

void upstream_transfer_on_answer_flush(struct upstream_transfer *transfer)
{
    transfer->events->on_flush(transfer->ctx);
}

void upstream_transfer_on_answer_end(struct upstream_transfer *transfer, bool reusable)
{
    struct upstream_pool       *pool = transfer->pool;
    struct upstream_connection *connection = transfer->connection;
    bool is_early = !transfer->body_given || socket_stream_queued(connection->stream) > 0;

    leave_connection(transfer, reusable && !is_early && !transfer->is_refused);
    transfer->events->on_end(transfer->ctx);
    if (connection->state == UPSTREAM_IDLE) /* until now its head could be asked for */
        http_reader_reset(connection->reader, false);
    loop_free_later(pool->loop, transfer, free);
}

/* Part from the connection, which becomes idle or is closed. */
static void leave_connection(struct upstream_transfer *transfer, bool reusable)
{
    struct upstream_connection *connection = transfer->connection;

    transfer->connection = NULL;
    loop_task_cancel(&transfer->writable_task);
    if (connection == NULL)
        return;
    connection->transfer = NULL;
    if (!reusable || upstream_pool_is_over(transfer->pool)) {
        upstream_connection_close(connection);
        return;
    }
    connection->idle_since_us = loop_now_us(transfer->pool->loop);
    if (transfer->is_paused)
        socket_stream_resume(connection->stream);
    upstream_pool_move(connection, UPSTREAM_IDLE);
    timeout_queue_start(transfer->pool->idle_timeouts, &connection->timeout);
}

void upstream_transfer_on_broken(struct upstream_transfer *transfer, enum status why)
{
    bool sent = upstream_transfer_is_sent(transfer);

    if (may_send_again(transfer, why))
        send_again(transfer);
    else
        fail(transfer, why, sent);
}

static bool may_send_again(const struct upstream_transfer *transfer, enum status why)
{
    bool was_reused = transfer->connection != NULL && transfer->connection->is_reused;
    bool sent = upstream_transfer_is_sent(transfer);

    return why == STATUS_BACKEND_RESET && was_reused && !transfer->is_retry &&
           !transfer->answer_begun && (!sent || !transfer->request.is_write) &&
           !transfer->request.streams_body;
}

/* Once, and on a fresh connection: the old one made room for it. */
static void send_again(struct upstream_transfer *transfer)
{
    struct upstream_pool *pool = transfer->pool;

    transfer->was_sent = upstream_transfer_is_sent(transfer);
    upstream_connection_close(transfer->connection);
    transfer->connection = NULL;
    transfer->is_retry = true;
    pool->stats.retries++;
    if (upstream_connection_open(pool, transfer) == NULL)
        fail(transfer, STATUS_NO_MEMORY, transfer->was_sent);
}

static void fail(struct upstream_transfer *transfer, enum status why, bool sent)
{
    struct upstream_pool *pool = transfer->pool;

    leave_connection(transfer, false);
    transfer->failure = why;
    transfer->failure_sent = sent;
    list_push_back(&pool->failed, &transfer->node);
    loop_later(pool->loop, &pool->failed_task);
}

void upstream_transfer_move(struct upstream_transfer *transfer, const struct bytes *body, void *ctx)
{
    transfer->request.body = body;
    transfer->ctx = ctx;
}

void upstream_transfer_cancel(struct upstream_transfer *transfer)
{
    struct upstream_pool *pool = transfer->pool;

    assert(!transfer->request.is_write || !upstream_transfer_is_sent(transfer));
    list_remove(&transfer->node);
    leave_connection(transfer, false);
    loop_free_later(pool->loop, transfer, free);
}

const struct upstream_transfer_times *
upstream_transfer_times(const struct upstream_transfer *transfer)
{
    return &transfer->times;
}
