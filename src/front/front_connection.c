#include "front/front_connection.h"

#include <assert.h>
#include <stdlib.h>

#include "front/front_connection_internal.h"
#include "front/front_error.h"
#include "front/front_timeouts.h"
#include "io/clock.h"
#include "io/socket_stream.h"

/* What a client still sends after an early answer is read and thrown away, this much of it, so
 * that closing does not make its system discard the answer (RFC 9112 section 9.6). */
static const uint64_t linger_bytes_max = 64 << 20;
/* Of those idle for longest that cannot be closed, so many are passed over. */
enum { reclaim_tries_max = 8 };

static void         note_idle(struct front_connection *connection);
static void         note_activity(struct front_connection *connection);
static size_t       on_client_data(struct bytes data, void *ctx);
static bool         may_read(const struct front_connection *connection, size_t size);
static bool         read_request(struct front_connection *connection, struct bytes *input);
static void         begin_head(struct front_connection *connection);
static void         begin_request(struct front_connection *connection);
static void         start_body_pace(struct front_connection *connection);
static void         give_body(struct front_connection *connection, struct bytes body);
static void         end_body(struct front_connection *connection);
static void         answer_own_error(struct front_connection *connection, enum status status,
                                     const char *message);
static bool         is_for_head(const struct front_connection *connection);
static void         forget_request(struct front_connection *connection);
static void         become_idle(struct front_connection *connection);
static void         begin_closing(struct front_connection *connection);
static void         on_client_end(enum status status, void *ctx);
static void         on_client_drained(void *ctx);
static struct bytes origin_of_request(const struct front_connection *connection);
static void         free_client(void *object);

static const struct socket_stream_events stream_events = {
    .on_data = on_client_data, .on_end = on_client_end, .on_drained = on_client_drained};

void front_connection_open(struct front_shared *shared, int fd, const struct socket_address *peer,
                           const char *refusal)
{
    struct front_connection *connection = calloc(1, sizeof *connection);

    if (connection != NULL)
        connection->stream =
            socket_stream_new(shared->loop, &shared->budget->accounts[MEMORY_ACCOUNT_ANSWERS], fd,
                              &stream_events, connection);
    if (connection == NULL || connection->stream == NULL) {
        free(connection);
        socket_close(fd);
        return;
    }
    connection->shared = shared;
    connection->handler = shared->handler;
    connection->peer = *peer;
    connection->has_uid =
        socket_address_host(peer).size == 0 && socket_peer_uid(fd, &connection->uid);
    connection->is_beyond_limit = refusal != NULL;
    timeout_queue_init_node(&connection->timeout);
    timeout_queue_init_node(&connection->send_timeout);
    list_node_init(&connection->idle_node);
    list_push_back(&shared->connections, &connection->node);
    socket_stream_resume(connection->stream);
    if (refusal != NULL) {
        shared->linger_count++;
        answer_own_error(connection, STATUS_TOO_MANY_CONNECTIONS, refusal);
    } else {
        shared->stats.connections++;
        front_addresses_add(shared->addresses, peer);
        timeout_queue_start(shared->idle_timeouts, &connection->timeout);
        note_idle(connection);
    }
}

/* What it has been given it has taken: only then it is idle, and its time begins. */
static void note_idle(struct front_connection *connection)
{
    list_remove(&connection->idle_node);
    if (connection->state != FRONT_IDLE || socket_stream_queued(connection->stream) > 0)
        return;
    connection->idle_us = loop_now_us(connection->shared->loop);
    list_push_back(&connection->shared->idle, &connection->idle_node);
}

static void note_activity(struct front_connection *connection)
{
    bool is_active =
        connection->is_in_hand || connection->state == FRONT_HEAD ||
        (connection->state != FRONT_CLOSED && socket_stream_queued(connection->stream) > 0);

    if (is_active && !connection->is_active)
        connection->shared->active_count++;
    if (!is_active && connection->is_active)
        connection->shared->active_count--;
    connection->is_active = is_active;
}

static size_t on_client_data(struct bytes data, void *ctx)
{
    struct front_connection *connection = ctx;
    struct bytes             input = data;

    connection->received_bytes += data.size;
    while (may_read(connection, input.size) && read_request(connection, &input))
        continue;
    if (connection->state == FRONT_CLOSING) {
        connection->linger_bytes += input.size;
        if (connection->linger_bytes > linger_bytes_max)
            front_connection_end(connection, STATUS_CLOSED);
        return data.size;
    }
    connection->received_bytes -= input.size; /* offered again */
    if (connection->state == FRONT_WAITING && input.size > 0)
        timeout_queue_start(connection->shared->probe_timeouts, &connection->timeout);
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
        connection->began_us = loop_now_us(connection->shared->loop);
        connection->reader = front_shared_take_reader(connection->shared);
        if (connection->reader == NULL) {
            answer_own_error(connection, STATUS_NO_MEMORY, NULL);
            return false;
        }
    }
    switch (http_reader_feed(connection->reader, input, &body)) {
    case HTTP_READER_MORE:
        if (connection->state == FRONT_IDLE)
            begin_head(connection);
        return false;
    case HTTP_READER_HEAD:
        begin_request(connection);
        return true;
    case HTTP_READER_BODY:
        give_body(connection, body);
        return true;
    case HTTP_READER_END:
        end_body(connection);
        return true;
    case HTTP_READER_ERROR:
        break;
    }
    front_connection_refuse(connection, http_reader_error(connection->reader));
    return false;
}

/* Only empty lines so far do not make a request; the idle timeout goes on then. */
static void begin_head(struct front_connection *connection)
{
    if (!http_reader_has_begun(connection->reader))
        return;
    connection->state = FRONT_HEAD;
    list_remove(&connection->idle_node);
    note_activity(connection);
    timeout_queue_start(connection->shared->head_timeouts, &connection->timeout);
}

static void begin_request(struct front_connection *connection)
{
    struct front_shared    *shared = connection->shared;
    const struct http_head *head = http_reader_head(connection->reader);
    void                   *request;

    connection->state = FRONT_BODY;
    list_remove(&connection->idle_node);
    connection->close_after = !head->keep_alive;
    connection->answer_begun = false;
    connection->is_body_paused = false;
    connection->is_until_close = false;
    start_body_pace(connection);
    connection->is_in_hand = true;
    note_activity(connection);
    shared->last_activity_us = loop_now_us(shared->loop);
    connection->handler = head->is_last_hop ? shared->last_hop_handler : shared->handler;
    request = connection->handler->on_request(connection, head, shared->handler_ctx);
    if (connection->state != FRONT_BODY)
        return; /* answered already */
    connection->request = request;
    if (request == NULL) {
        forget_request(connection);
        answer_own_error(connection, STATUS_NO_MEMORY, NULL);
    }
}

static void start_body_pace(struct front_connection *connection)
{
    struct front_shared *shared = connection->shared;

    front_pace_start(&connection->body_pace, connection->received_bytes,
                     shared->options.body_timeout_us, 0);
    timeout_queue_start(shared->body_timeouts, &connection->timeout);
}

static void give_body(struct front_connection *connection, struct bytes body)
{
    if (connection->state == FRONT_BODY)
        connection->handler->on_body(connection->request, body);
}

static void end_body(struct front_connection *connection)
{
    if (connection->state != FRONT_BODY)
        return;
    connection->state = FRONT_WAITING;
    timeout_queue_stop(&connection->timeout);
    socket_stream_resume(connection->stream); /* to notice when the client leaves */
    connection->handler->on_body_end(connection->request);
}

void front_connection_refuse(struct front_connection *connection, const struct error *error)
{
    struct front_shared *shared = connection->shared;
    bool                 answered = connection->answer_begun;

    if (connection->state == FRONT_BODY) {
        void *request = connection->request;

        forget_request(connection);
        connection->handler->on_abort(request, error->status);
    } else {
        shared->stats.bad_requests++;
        shared->handler->on_refused(connection, error, shared->handler_ctx);
    }
    if (answered && connection->is_until_close)
        front_connection_end(connection, error->status);
    else if (answered)
        begin_closing(connection);
    else
        answer_own_error(connection, error->status, error->text);
}

/* An error of the front's own, then a lingering close. */
static void answer_own_error(struct front_connection *connection, enum status status,
                             const char *message)
{
    struct byte_buffer out = {0};
    struct front_error error = {.status = status,
                                .message = message,
                                .close = true,
                                .is_head = is_for_head(connection),
                                .is_plain = connection->shared->options.is_plain,
                                .retry_after_s = status == STATUS_TOO_MANY_CONNECTIONS,
                                .executed = FRONT_EXECUTED_NO,
                                .cors = front_connection_cors(connection)};
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
    return http_date_text(&connection->shared->date, clock_wall_us());
}

static void forget_request(struct front_connection *connection)
{
    connection->request = NULL;
    connection->is_in_hand = false;
    note_activity(connection);
    connection->shared->last_activity_us = loop_now_us(connection->shared->loop);
}

void front_connection_send(struct front_connection *connection, const struct bytes *parts,
                           size_t count)
{
    connection->answer_begun = true;
    /* A broken connection is told by the reading side. */
    (void)socket_stream_send(connection->stream, parts, count);
    note_activity(connection);
    front_timeouts_watch_sending(connection);
}

void front_connection_send_interim(struct front_connection *connection, struct bytes head)
{
    (void)socket_stream_send(connection->stream, &head, 1);
    note_activity(connection);
    front_timeouts_watch_sending(connection);
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
    front_shared_put_reader(connection->shared, connection->reader);
    connection->reader = NULL;
    connection->state = FRONT_IDLE;
    connection->answer_begun = false;
    note_idle(connection);
    timeout_queue_start(connection->shared->idle_timeouts, &connection->timeout);
    if (!socket_stream_is_full(connection->stream)) /* else on_client_drained goes on */
        socket_stream_resume(connection->stream);
}

/* Lingering close: FIN after the answer, then read on for a while (RFC 9112 section 9.6). */
static void begin_closing(struct front_connection *connection)
{
    connection->state = FRONT_CLOSING;
    list_remove(&connection->idle_node);
    note_activity(connection);
    connection->linger_seen = 0;
    connection->linger_rounds = 0;
    socket_stream_shutdown(connection->stream);
    timeout_queue_start(connection->shared->linger_timeouts, &connection->timeout);
    socket_stream_resume(connection->stream);
}

void front_connection_cut(struct front_connection *connection)
{
    forget_request(connection);
    front_connection_end(connection, STATUS_CLOSED);
}

void front_connection_end(struct front_connection *connection, enum status why)
{
    struct front_shared *shared = connection->shared;
    void                *request = connection->request;

    if (connection->state == FRONT_CLOSED)
        return;
    if (connection->is_until_close &&
        (connection->state != FRONT_CLOSING || socket_stream_queued(connection->stream) > 0))
        socket_stream_set_reset(connection->stream); /* not all of the answer is sent */
    if (request != NULL) {
        forget_request(connection);
        connection->handler->on_abort(request, why);
    }
    connection->state = FRONT_CLOSED;
    note_activity(connection);
    timeout_queue_stop(&connection->timeout);
    timeout_queue_stop(&connection->send_timeout);
    socket_stream_free(connection->stream);
    connection->stream = NULL;
    list_remove(&connection->node);
    list_remove(&connection->idle_node);
    if (connection->is_beyond_limit) {
        shared->linger_count--;
    } else {
        shared->stats.connections--;
        front_addresses_remove(shared->addresses, &connection->peer);
    }
    loop_free_later(shared->loop, connection, free_client);
}

bool front_connection_reclaim(struct front_shared *shared)
{
    uint64_t after_us = shared->options.reclaim_after_us, now_us = loop_now_us(shared->loop);
    unsigned tries = 0;

    if (after_us == 0)
        return false;
    LIST_FOR_EACH(node, &shared->idle)
    {
        struct front_connection *connection = LIST_ITEM(node, struct front_connection, idle_node);
        struct socket_stream    *stream = connection->stream;

        if (now_us - connection->idle_us < after_us || ++tries > reclaim_tries_max)
            return false;
        /* A request may have come that is not read yet, or an answer be under way. */
        if (socket_stream_peek(stream) == STATUS_OK ||
            socket_stream_arrived(stream) < socket_stream_sent(stream))
            continue;
        shared->stats.reclaimed++;
        front_connection_end(connection, STATUS_CLOSED);
        return true;
    }
    return false;
}

void front_connection_close_all(struct front_shared *shared, enum status why)
{
    struct list_node *node;

    while ((node = list_first(&shared->connections)) != NULL)
        front_connection_end(LIST_ITEM(node, struct front_connection, node), why);
}

/* The reader is kept to the end of the turn: on_abort and those it told may still read the head. */
static void free_client(void *object)
{
    struct front_connection *connection = object;

    front_shared_put_reader(connection->shared, connection->reader);
    free(connection);
}

/* A client that ends its side while it waits has left: so does the server behind us see it. One
 * that has been given all of its answer is let read it. */
static void on_client_end(enum status status, void *ctx)
{
    struct front_connection *connection = ctx;

    if (connection->request == NULL && socket_stream_queued(connection->stream) > 0 &&
        status == STATUS_CLOSED) {
        connection->has_ended =
            true; /* it may still read: on_client_drained or a timeout ends it */
        if (connection->state != FRONT_CLOSING)
            begin_closing(connection);
        return;
    }
    front_connection_end(connection, status);
}

static void on_client_drained(void *ctx)
{
    struct front_connection *connection = ctx;

    note_activity(connection);
    front_timeouts_watch_sending(connection);
    if (connection->request != NULL)
        connection->handler->on_drained(connection->request);
    else if (connection->state == FRONT_IDLE) {
        note_idle(connection);
        socket_stream_resume(connection->stream);
    } else if (connection->state == FRONT_CLOSING && connection->has_ended)
        front_connection_end(connection, STATUS_CLOSED);
}

void front_connection_learn_cors(struct front_connection *connection,
                                 const struct http_head  *answer)
{
    struct bytes origin = origin_of_request(connection);

    if (origin.size > 0)
        front_cors_learn(&connection->shared->cors, origin, answer);
}

struct bytes front_connection_cors(const struct front_connection *connection)
{
    return front_cors_fields(&connection->shared->cors, origin_of_request(connection));
}

/* Empty if it says none, or before its head is complete. */
static struct bytes origin_of_request(const struct front_connection *connection)
{
    const struct http_field *field = NULL;

    if (connection->state == FRONT_BODY || connection->state == FRONT_WAITING)
        field = http_head_find(http_reader_head(connection->reader), HTTP_FIELD_ORIGIN);
    return field == NULL ? (struct bytes){0} : field->value;
}

bool front_connection_will_close(struct front_connection *connection)
{
    if (connection->shared->draining || connection->state == FRONT_BODY)
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
    timeout_queue_start(connection->shared->probe_timeouts, &connection->timeout);
}

void front_connection_resume_body(struct front_connection *connection)
{
    if (connection->state != FRONT_BODY)
        return;
    connection->is_body_paused = false;
    start_body_pace(connection);
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

bool front_connection_peer_uid(const struct front_connection *connection, uint32_t *ret_uid)
{
    if (connection->has_uid)
        *ret_uid = connection->uid;
    return connection->has_uid;
}

void front_connection_drop_field(struct front_connection *connection, size_t index)
{
    http_reader_drop_field(connection->reader, index);
}

bool front_connection_add_field(struct front_connection *connection, struct bytes name,
                                struct bytes value)
{
    return http_reader_add_field(connection->reader, name, value);
}
