#include "front/front_timeouts.h"

#include "front/front_connection_internal.h"

/* How long a client that was answered early is listened to after it has sent something. */
static const uint64_t linger_timeout_us = 2000000;
/* Such timeouts in which it still sends something. */
enum { linger_rounds_max = 15 };
/* How often a client that is not read from is asked whether it is still there. */
static const uint64_t probe_timeout_us = 1000000;
/* A client's system tells of what its program took in pieces: up to 95 KB over the loopback
 * interface, which is two shares of the default listen.send_timeout. */
enum { send_advance = 2 };

static void on_idle_timeout(struct timeout *timeout);
static void on_head_timeout(struct timeout *timeout);
static void on_body_timeout(struct timeout *timeout);
static void on_send_timeout(struct timeout *timeout);
static void on_linger_timeout(struct timeout *timeout);
static void on_probe_timeout(struct timeout *timeout);

bool front_timeouts_init(struct front_shared *shared)
{
    const struct front_options *options = &shared->options;
    struct loop                *loop = shared->loop;

    shared->idle_timeouts = timeout_queue_new(loop, options->idle_timeout_us, on_idle_timeout);
    shared->head_timeouts = timeout_queue_new(loop, options->head_timeout_us, on_head_timeout);
    shared->body_timeouts = timeout_queue_new(loop, options->body_timeout_us, on_body_timeout);
    shared->send_timeouts = timeout_queue_new(loop, options->send_timeout_us, on_send_timeout);
    shared->linger_timeouts = timeout_queue_new(loop, linger_timeout_us, on_linger_timeout);
    shared->probe_timeouts = timeout_queue_new(loop, probe_timeout_us, on_probe_timeout);
    return shared->idle_timeouts != NULL && shared->head_timeouts != NULL &&
           shared->body_timeouts != NULL && shared->send_timeouts != NULL &&
           shared->linger_timeouts != NULL && shared->probe_timeouts != NULL;
}

void front_timeouts_watch_sending(struct front_connection *connection)
{
    struct front_shared *shared = connection->shared;

    if (socket_stream_queued(connection->stream) == 0) {
        timeout_queue_stop(&connection->send_timeout);
    } else if (!timeout_queue_is_running(&connection->send_timeout)) {
        front_pace_start(&connection->send_pace, socket_stream_arrived(connection->stream),
                         shared->options.send_timeout_us, send_advance);
        timeout_queue_start(shared->send_timeouts, &connection->send_timeout);
    }
}

static void on_idle_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);

    /* The client still takes its last answer: the send timeout watches that. */
    if (socket_stream_queued(connection->stream) > 0)
        timeout_queue_start(connection->shared->idle_timeouts, timeout);
    else
        front_connection_end(connection, STATUS_CLOSED);
}

static void on_head_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);
    struct error             error;

    connection->shared->stats.timeouts++;
    error_set(&error, STATUS_REQUEST_TIMEOUT, "the head of the request took too long");
    front_connection_refuse(connection, &error);
}

static void on_body_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);
    struct front_shared     *shared = connection->shared;
    struct error             error;

    if (front_pace_is_kept(&connection->body_pace, connection->received_bytes,
                           shared->options.body_timeout_us, 0)) {
        timeout_queue_start(shared->body_timeouts, timeout);
        return;
    }
    shared->stats.timeouts++;
    error_set(&error, STATUS_REQUEST_TIMEOUT, "the body of the request came too slowly");
    front_connection_refuse(connection, &error);
}

/* What the socket has taken says little: its buffer may hold megabytes. */
static void on_send_timeout(struct timeout *timeout)
{
    struct front_connection *connection =
        CONTAINER_OF(timeout, struct front_connection, send_timeout);
    struct front_shared *shared = connection->shared;

    if (front_pace_is_kept(&connection->send_pace, socket_stream_arrived(connection->stream),
                           shared->options.send_timeout_us, send_advance)) {
        timeout_queue_start(shared->send_timeouts, timeout);
        return;
    }
    shared->stats.timeouts++;
    front_connection_end(connection, STATUS_CLIENT_TOO_SLOW);
}

static void on_linger_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);

    bool is_sending = connection->linger_bytes > connection->linger_seen;

    connection->linger_seen = connection->linger_bytes;
    /* The client still takes the answer, which the send timeout watches; or it still sends. */
    if (socket_stream_queued(connection->stream) > 0 ||
        (is_sending && ++connection->linger_rounds < linger_rounds_max))
        timeout_queue_start(connection->shared->linger_timeouts, timeout);
    else
        front_connection_end(connection, STATUS_CLOSED);
}

/* While nothing is read, on_client_end() is not told. A client that ends its side before its body
 * is taken has left, as in on_client_end(); one that has sent further requests ahead may still want
 * its answers, and gets them unless its connection is gone. */
static void on_probe_timeout(struct timeout *timeout)
{
    struct front_connection *connection = CONTAINER_OF(timeout, struct front_connection, timeout);
    enum status              status = socket_stream_probe(connection->stream);

    if (status == STATUS_RESET || (status == STATUS_CLOSED && connection->state == FRONT_BODY))
        front_connection_end(connection, status);
    else
        timeout_queue_start(connection->shared->probe_timeouts, timeout);
}
