#include "front/front_connection.h"

#include <assert.h>
#include <stdlib.h>

#include "front/front_error.h"
#include "front/front_state.h"
#include "io/clock.h"

/* What a client still sends after an early answer is read and thrown away, this much of it, so
 * that closing does not make its system discard the answer (RFC 9112 section 9.6). */
static const uint64_t linger_bytes_max = 64 << 20;
/* Timeouts of two seconds in which it still sends something. */
enum { linger_rounds_max = 15 };

static size_t on_data(struct bytes data, void *ctx);
static bool   may_read(const struct front_connection *connection, size_t size);
static bool   read_request(struct front_connection *connection, struct bytes *input);
static void   begin_head(struct front_connection *connection);
static void   on_head(struct front_connection *connection);
static void   on_body(struct front_connection *connection, struct bytes body);
static void   on_body_end(struct front_connection *connection);
static void   on_bad_request(struct front_connection *connection, const struct error *error);
static void   answer_error(struct front_connection *connection, enum status status,
                           const char *message);
static bool   is_for_head(const struct front_connection *connection);
static void   forget_request(struct front_connection *connection);
static void   become_idle(struct front_connection *connection);
static void   begin_closing(struct front_connection *connection);
static void   on_end(enum status status, void *ctx);
static void   on_drained(void *ctx);
static void   watch_sending(struct front_connection *connection);
static void   free_connection(void *object);

static const struct socket_stream_events stream_events = {
    .on_data = on_data, .on_end = on_end, .on_drained = on_drained};

void front_connection_open(struct front *front, int fd, const struct socket_address *peer,
                           bool is_beyond_limit)
{
    struct front_connection *connection = calloc(1, sizeof *connection);

    if (connection != NULL)
        connection->stream =
            socket_stream_new(front->loop, &front->budget->accounts[MEMORY_ACCOUNT_ANSWERS], fd,
                              &stream_events, connection);
    if (connection == NULL || connection->stream == NULL) {
        free(connection);
        socket_close(fd);
        return;
    }
    connection->front = front;
    connection->peer = *peer;
    connection->is_beyond_limit = is_beyond_limit;
    timeout_queue_init_node(&connection->timeout);
    timeout_queue_init_node(&connection->send_timeout);
    list_push_back(&front->connections, &connection->node);
    socket_stream_resume(connection->stream);
    if (is_beyond_limit) {
        front->linger_count++;
        answer_error(connection, STATUS_TOO_MANY_CONNECTIONS,
                     "listen.connections_max connections are open; close some or raise it");
    } else {
        front->stats.connections++;
        timeout_queue_start(front->idle_timeouts, &connection->timeout);
    }
}

static size_t on_data(struct bytes data, void *ctx)
{
    struct front_connection *connection = ctx;
    struct bytes             input = data;

    connection->received_bytes += data.size;
    while (may_read(connection, input.size) && read_request(connection, &input))
        continue;
    if (connection->state == FRONT_CLOSING) {
        connection->linger_bytes += input.size;
        if (connection->linger_bytes > linger_bytes_max)
            front_connection_close(connection, STATUS_CLOSED);
        return data.size;
    }
    connection->received_bytes -= input.size; /* offered again */
    if (connection->state == FRONT_WAITING && input.size > 0)
        timeout_queue_start(connection->front->probe_timeouts, &connection->timeout);
    return connection->state == FRONT_CLOSED ? data.size : data.size - input.size;
}

/* A request may end without a further byte; a next one begins with one, and only when the client
 * takes the answers that it has asked for. */
static bool may_read(const struct front_connection *connection, size_t size)
{
    switch (connection->state) {
    case FRONT_IDLE:
        return size > 0 && !socket_stream_is_full(connection->stream);
    case FRONT_HEAD:
        return size > 0;
    case FRONT_BODY:
        return size == 0 || !connection->is_body_paused;
    default:
        return false;
    }
}

/* One event of the request; false when the input is used up or nothing more is to be read now. */
static bool read_request(struct front_connection *connection, struct bytes *input)
{
    struct bytes body;

    if (connection->state == FRONT_IDLE && connection->reader == NULL) {
        connection->began_us = loop_now_us(connection->front->loop);
        connection->reader = front_take_reader(connection->front);
        if (connection->reader == NULL) {
            answer_error(connection, STATUS_NO_MEMORY, NULL);
            return false;
        }
    }
    switch (http_reader_feed(connection->reader, input, &body)) {
    case HTTP_READER_MORE:
        if (connection->state == FRONT_IDLE)
            begin_head(connection);
        return false;
    case HTTP_READER_HEAD:
        on_head(connection);
        return true;
    case HTTP_READER_BODY:
        on_body(connection, body);
        return true;
    case HTTP_READER_END:
        on_body_end(connection);
        return true;
    case HTTP_READER_ERROR:
        break;
    }
    on_bad_request(connection, http_reader_error(connection->reader));
    return false;
}

/* Only empty lines so far do not make a request; the idle timeout goes on then. */
static void begin_head(struct front_connection *connection)
{
    if (!http_reader_has_begun(connection->reader))
        return;
    connection->state = FRONT_HEAD;
    timeout_queue_start(connection->front->head_timeouts, &connection->timeout);
}

static void on_head(struct front_connection *connection)
{
    struct front           *front = connection->front;
    const struct http_head *head = http_reader_head(connection->reader);
    void                   *request;

    connection->state = FRONT_BODY;
    connection->close_after = !head->keep_alive;
    connection->answer_begun = false;
    connection->is_body_paused = false;
    connection->is_until_close = false;
    connection->body_bytes = connection->received_bytes;
    timeout_queue_start(front->body_timeouts, &connection->timeout);
    front->active_requests++;
    front->last_activity_us = loop_now_us(front->loop);
    request = front->handler->on_request(connection, head, front->handler_ctx);
    if (connection->state != FRONT_BODY)
        return; /* answered already */
    connection->request = request;
    if (request == NULL) {
        forget_request(connection);
        answer_error(connection, STATUS_NO_MEMORY, NULL);
    }
}

static void on_body(struct front_connection *connection, struct bytes body)
{
    if (connection->state == FRONT_BODY)
        connection->front->handler->on_body(connection->request, body);
}

static void on_body_end(struct front_connection *connection)
{
    if (connection->state != FRONT_BODY)
        return;
    connection->state = FRONT_WAITING;
    timeout_queue_stop(&connection->timeout);
    socket_stream_resume(connection->stream); /* to notice when the client leaves */
    connection->front->handler->on_body_end(connection->request);
}

static void on_bad_request(struct front_connection *connection, const struct error *error)
{
    struct front *front = connection->front;
    bool          answered = connection->answer_begun;

    if (connection->state == FRONT_BODY) {
        void *request = connection->request;

        forget_request(connection);
        front->handler->on_abort(request, error->status);
    } else {
        front->stats.bad_requests++;
        front->handler->on_refused(connection, error, front->handler_ctx);
    }
    if (answered && connection->is_until_close)
        front_connection_close(connection, error->status);
    else if (answered)
        begin_closing(connection);
    else
        answer_error(connection, error->status, error->text);
}

/* An error of the front's own, then a lingering close. */
static void answer_error(struct front_connection *connection, enum status status,
                         const char *message)
{
    struct byte_buffer out = {0};
    struct front_error error = {.status = status,
                                .message = message,
                                .close = true,
                                .is_head = is_for_head(connection),
                                .is_plain = connection->front->options.is_plain,
                                .retry_after_s = status == STATUS_TOO_MANY_CONNECTIONS,
                                .executed = FRONT_EXECUTED_NO};
    struct bytes       answer;

    if (front_error_write(&out, &error, front_connection_date(connection)) == STATUS_OK) {
        answer = byte_buffer_bytes(&out);
        front_connection_send(connection, &answer, 1);
    }
    byte_buffer_done(&out);
    begin_closing(connection);
}

/* Before its head is complete nobody knows. */
static bool is_for_head(const struct front_connection *connection)
{
    return connection->state == FRONT_BODY && http_reader_head(connection->reader)->is_head;
}

struct bytes front_connection_date(struct front_connection *connection)
{
    return http_date_text(&connection->front->date, clock_wall_us());
}

static void forget_request(struct front_connection *connection)
{
    connection->request = NULL;
    connection->front->active_requests--;
    connection->front->last_activity_us = loop_now_us(connection->front->loop);
}

void front_connection_send(struct front_connection *connection, const struct bytes *parts,
                           size_t count)
{
    connection->answer_begun = true;
    /* A broken connection is told by the reading side. */
    (void)socket_stream_send(connection->stream, parts, count);
    watch_sending(connection);
}

void front_connection_send_interim(struct front_connection *connection, struct bytes head)
{
    (void)socket_stream_send(connection->stream, &head, 1);
    watch_sending(connection);
}

static void watch_sending(struct front_connection *connection)
{
    if (socket_stream_queued(connection->stream) == 0) {
        timeout_queue_stop(&connection->send_timeout);
    } else if (!timeout_queue_is_running(&connection->send_timeout)) {
        connection->sent_bytes = socket_stream_sent(connection->stream);
        timeout_queue_start(connection->front->send_timeouts, &connection->send_timeout);
    }
}

bool front_connection_is_full(const struct front_connection *connection)
{
    return socket_stream_is_full(connection->stream);
}

void front_connection_finish(struct front_connection *connection)
{
    bool close = connection->close_after || connection->state == FRONT_BODY;

    assert(connection->state == FRONT_BODY || connection->state == FRONT_WAITING);
    forget_request(connection);
    if (close)
        begin_closing(connection);
    else
        become_idle(connection);
}

/* The next request may be there already. */
static void become_idle(struct front_connection *connection)
{
    front_put_reader(connection->front, connection->reader);
    connection->reader = NULL;
    connection->state = FRONT_IDLE;
    connection->answer_begun = false;
    timeout_queue_start(connection->front->idle_timeouts, &connection->timeout);
    if (!socket_stream_is_full(connection->stream)) /* else on_drained goes on */
        socket_stream_resume(connection->stream);
}

/* Lingering close: FIN after the answer, then read on for a while (RFC 9112 section 9.6). */
static void begin_closing(struct front_connection *connection)
{
    connection->state = FRONT_CLOSING;
    connection->linger_seen = 0;
    connection->linger_rounds = 0;
    socket_stream_shutdown(connection->stream);
    timeout_queue_start(connection->front->linger_timeouts, &connection->timeout);
    socket_stream_resume(connection->stream);
}

void front_connection_cut(struct front_connection *connection)
{
    forget_request(connection);
    front_connection_close(connection, STATUS_CLOSED);
}

void front_connection_close(struct front_connection *connection, enum status why)
{
    struct front *front = connection->front;
    void         *request = connection->request;

    if (connection->state == FRONT_CLOSED)
        return;
    if (connection->is_until_close &&
        (connection->state != FRONT_CLOSING || socket_stream_queued(connection->stream) > 0))
        socket_stream_set_reset(connection->stream); /* not all of the answer is sent */
    if (request != NULL) {
        forget_request(connection);
        front->handler->on_abort(request, why);
    }
    connection->state = FRONT_CLOSED;
    timeout_queue_stop(&connection->timeout);
    timeout_queue_stop(&connection->send_timeout);
    socket_stream_free(connection->stream);
    connection->stream = NULL;
    list_remove(&connection->node);
    if (connection->is_beyond_limit)
        front->linger_count--;
    else
        front->stats.connections--;
    loop_free_later(front->loop, connection, free_connection);
}

/* The reader is kept to the end of the turn: on_abort and those it told may still read the head. */
static void free_connection(void *object)
{
    struct front_connection *connection = object;

    front_put_reader(connection->front, connection->reader);
    free(connection);
}

/* A client that ends its side while it waits has left: so does the server behind us see it. One
 * that has been given all of its answer is let read it. */
static void on_end(enum status status, void *ctx)
{
    struct front_connection *connection = ctx;

    if (connection->request == NULL && socket_stream_queued(connection->stream) > 0 &&
        status == STATUS_CLOSED) {
        connection->has_ended = true; /* it may still read: on_drained or a timeout ends it */
        if (connection->state != FRONT_CLOSING)
            begin_closing(connection);
        return;
    }
    front_connection_close(connection, status);
}

static void on_drained(void *ctx)
{
    struct front_connection *connection = ctx;

    watch_sending(connection);
    if (connection->request != NULL)
        connection->front->handler->on_drained(connection->request);
    else if (connection->state == FRONT_IDLE)
        socket_stream_resume(connection->stream);
    else if (connection->state == FRONT_CLOSING && connection->has_ended)
        front_connection_close(connection, STATUS_CLOSED);
}

bool front_connection_will_close(struct front_connection *connection)
{
    if (connection->front->draining || connection->state == FRONT_BODY)
        connection->close_after = true;
    return connection->close_after;
}

bool front_connection_has_answered(const struct front_connection *connection)
{
    return connection->answer_begun;
}

uint64_t front_connection_began_us(const struct front_connection *connection)
{
    return connection->began_us;
}

void front_connection_set_close(struct front_connection *connection)
{
    connection->close_after = true;
}

void front_connection_set_until_close(struct front_connection *connection)
{
    connection->is_until_close = true;
}

void front_connection_pause_body(struct front_connection *connection)
{
    if (connection->state != FRONT_BODY)
        return;
    connection->is_body_paused = true;
    socket_stream_pause(connection->stream);
    timeout_queue_start(connection->front->probe_timeouts, &connection->timeout);
}

void front_connection_resume_body(struct front_connection *connection)
{
    if (connection->state != FRONT_BODY)
        return;
    connection->is_body_paused = false;
    connection->body_bytes = connection->received_bytes;
    timeout_queue_start(connection->front->body_timeouts, &connection->timeout);
    socket_stream_resume(connection->stream);
}

void front_connection_continue(struct front_connection *connection)
{
    front_connection_send_interim(connection, BYTES_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
}

const struct socket_address *front_connection_peer(const struct front_connection *connection)
{
    return &connection->peer;
}

void front_connection_on_idle_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);

    /* The client still takes its last answer: the send timeout watches that. */
    if (socket_stream_queued(connection->stream) > 0)
        timeout_queue_start(connection->front->idle_timeouts, timeout);
    else
        front_connection_close(connection, STATUS_CLOSED);
}

void front_connection_on_head_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);
    struct error             error;

    connection->front->stats.timeouts++;
    error_set(&error, STATUS_REQUEST_TIMEOUT, "the head of the request took too long");
    on_bad_request(connection, &error);
}

/* Each span of the timeout must bring its share of bytes, or the rest of the body. */
void front_connection_on_body_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);
    struct front            *front = connection->front;
    uint64_t     share = front->options.body_timeout_us * FRONT_BYTES_PER_SECOND_MIN / 1000000u;
    struct error error;

    if (connection->received_bytes - connection->body_bytes >= share) {
        connection->body_bytes = connection->received_bytes;
        timeout_queue_start(front->body_timeouts, timeout);
        return;
    }
    front->stats.timeouts++;
    error_set(&error, STATUS_REQUEST_TIMEOUT, "the body of the request came too slowly");
    on_bad_request(connection, &error);
}

void front_connection_on_send_timeout(struct timeout *timeout)
{
    struct front_connection *connection =
        CONTAINER_OF(timeout, struct front_connection, send_timeout);
    struct front *front = connection->front;
    uint64_t      share = front->options.send_timeout_us * FRONT_BYTES_PER_SECOND_MIN / 1000000u;

    if (socket_stream_sent(connection->stream) - connection->sent_bytes >= share) {
        watch_sending(connection);
        return;
    }
    front->stats.timeouts++;
    front_connection_close(connection, STATUS_TIMED_OUT);
}

void front_connection_on_linger_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);

    bool is_sending = connection->linger_bytes > connection->linger_seen;

    connection->linger_seen = connection->linger_bytes;
    /* The client still takes the answer, which the send timeout watches; or it still sends. */
    if (socket_stream_queued(connection->stream) > 0 ||
        (is_sending && ++connection->linger_rounds < linger_rounds_max))
        timeout_queue_start(connection->front->linger_timeouts, timeout);
    else
        front_connection_close(connection, STATUS_CLOSED);
}

/* While nothing is read, on_end() is not told. A client that ends its side before its body is taken
 * has left, as in on_end(); one that has sent further requests ahead may still want its answers,
 * and gets them unless its connection is gone. */
void front_connection_on_probe_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);
    enum status              status = socket_stream_probe(connection->stream);

    if (status == STATUS_RESET || (status == STATUS_CLOSED && connection->state == FRONT_BODY))
        front_connection_close(connection, status);
    else
        timeout_queue_start(connection->front->probe_timeouts, timeout);
}
