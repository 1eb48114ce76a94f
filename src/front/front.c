#include "front/front.h"

#include <stdlib.h>

#include "front/front_error.h"
#include "front/front_state.h"

/* Connections taken in one turn at most: others want to be served too. */
enum { accepts_per_turn = 64 };
/* Connections beyond the limit that get a lingering close; further ones are just closed. */
enum { lingering_max = 256 };
/* Out of descriptors: new ones may be free after a while. */
static const uint64_t accept_pause_us = 100000;
static const uint64_t linger_timeout_us = 2000000;
/* How often a client that is not read from is asked whether it is still there. */
static const uint64_t probe_timeout_us = 1000000;

const struct metric_desc front_metrics[] = {
    METRIC(GAUGE, front_stats, connections, "chromabouncer_client_connections",
           "Open client connections; beyond listen.connections_max new ones are refused."),
    METRIC(COUNTER, front_stats, accepted, "chromabouncer_client_connections_accepted_total",
           "Client connections taken."),
    METRIC_LABELED(COUNTER, front_stats, refused_limit,
                   "chromabouncer_client_connections_refused_total", "reason=\"limit\"",
                   "Client connections refused: limit, raise listen.connections_max; descriptors, "
                   "raise the limit of open files."),
    METRIC_LABELED(COUNTER, front_stats, refused_descriptors,
                   "chromabouncer_client_connections_refused_total", "reason=\"descriptors\"", ""),
    METRIC(COUNTER, front_stats, bad_requests, "chromabouncer_bad_requests_total",
           "Requests refused because they are not valid HTTP or their head came too slowly."),
    METRIC(COUNTER, front_stats, timeouts, "chromabouncer_client_timeouts_total",
           "Connections closed because the client was too slow."),
};
const size_t front_metric_count = COUNT_OF(front_metrics);

static void set_limits(struct front *front);
static bool new_timeouts(struct front *front);
static void on_acceptable(unsigned ready, void *ctx);
static bool accept_one(struct front *front, int listen_fd);
static void refuse_for_descriptors(struct front *front, int listen_fd);
static void refuse_at_once(struct front *front, int fd);
static void set_accepting(struct front *front, bool accepting);
static void on_accept_timer(void *ctx);

struct front *front_new(struct loop *loop, struct memory_account_budget *budget,
                        const struct front_options *options, const struct front_handler *handler,
                        void *handler_ctx)
{
    struct front *front = calloc(1, sizeof *front);

    if (front == NULL)
        return NULL;
    front->loop = loop;
    front->budget = budget;
    front->options = *options;
    front->handler = handler;
    front->handler_ctx = handler_ctx;
    set_limits(front);
    list_init(&front->connections);
    front->reserve_fd = socket_reserve();
    front->accept_timer = loop_timer_new(loop, on_accept_timer, front);
    if (front->accept_timer == NULL || !new_timeouts(front)) {
        front_free(front);
        return NULL;
    }
    return front;
}

static void set_limits(struct front *front)
{
    front->limits = (struct http_reader_limits){
        .start_line_bytes_max = front->options.start_line_bytes_max,
        .head_bytes_max = front->options.head_bytes_max,
        .body_bytes_max = UINT64_MAX, /* the handler knows what Chroma answers then */
        .account = &front->budget->accounts[MEMORY_ACCOUNT_OTHER]};
}

static bool new_timeouts(struct front *front)
{
    const struct front_options *options = &front->options;

    front->idle_timeouts =
        timeout_queue_new(front->loop, options->idle_timeout_us, front_connection_on_idle_timeout);
    front->head_timeouts =
        timeout_queue_new(front->loop, options->head_timeout_us, front_connection_on_head_timeout);
    front->body_timeouts =
        timeout_queue_new(front->loop, options->body_timeout_us, front_connection_on_body_timeout);
    front->send_timeouts =
        timeout_queue_new(front->loop, options->send_timeout_us, front_connection_on_send_timeout);
    front->linger_timeouts =
        timeout_queue_new(front->loop, linger_timeout_us, front_connection_on_linger_timeout);
    front->probe_timeouts =
        timeout_queue_new(front->loop, probe_timeout_us, front_connection_on_probe_timeout);
    return front->idle_timeouts != NULL && front->head_timeouts != NULL &&
           front->body_timeouts != NULL && front->send_timeouts != NULL &&
           front->linger_timeouts != NULL && front->probe_timeouts != NULL;
}

void front_free(struct front *front)
{
    struct list_node *node;

    if (front == NULL)
        return;
    for (size_t i = 0; i < front->listener_count; i++) {
        loop_watch_free(front->listeners[i].watch);
        socket_close(front->listeners[i].fd);
    }
    while ((node = list_first(&front->connections)) != NULL)
        front_connection_close(LIST_ITEM(node, struct front_connection, node), STATUS_CANCELLED);
    loop_free_pending(front->loop);
    while (front->spare_reader_count > 0)
        http_reader_free(front->spare_readers[--front->spare_reader_count]);
    if (front->reserve_fd >= 0)
        socket_close(front->reserve_fd);
    loop_timer_free(front->accept_timer);
    timeout_queue_free(front->idle_timeouts);
    timeout_queue_free(front->head_timeouts);
    timeout_queue_free(front->body_timeouts);
    timeout_queue_free(front->send_timeouts);
    timeout_queue_free(front->linger_timeouts);
    timeout_queue_free(front->probe_timeouts);
    free(front);
}

void front_set_options(struct front *front, const struct front_options *options)
{
    front->options = *options;
    set_limits(front);
    timeout_queue_set_duration(front->idle_timeouts, options->idle_timeout_us);
    timeout_queue_set_duration(front->head_timeouts, options->head_timeout_us);
    timeout_queue_set_duration(front->body_timeouts, options->body_timeout_us);
    timeout_queue_set_duration(front->send_timeouts, options->send_timeout_us);
}

enum status front_listen(struct front *front, const struct socket_address *address,
                         struct socket_address *ret_bound, struct error *error)
{
    struct front_listener *listener = &front->listeners[front->listener_count];
    enum status            status;

    if (front->listener_count == FRONT_LISTENERS_MAX)
        return error_set(error, STATUS_IO_FAILED, "at most %d addresses can be listened on",
                         FRONT_LISTENERS_MAX);
    *listener = (struct front_listener){.front = front, .fd = -1};
    status = socket_listen(address, &listener->fd, ret_bound, error);
    if (status != STATUS_OK)
        return status;
    listener->watch = loop_watch_new(front->loop, listener->fd, on_acceptable, listener);
    if (listener->watch == NULL) {
        socket_close(listener->fd);
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    }
    loop_watch_set(listener->watch, LOOP_READ);
    front->listener_count++;
    return STATUS_OK;
}

static void on_acceptable(unsigned ready, void *ctx)
{
    struct front_listener *listener = ctx;

    (void)ready;
    for (int i = 0; i < accepts_per_turn; i++) {
        if (!accept_one(listener->front, listener->fd))
            return;
    }
}

static bool accept_one(struct front *front, int listen_fd)
{
    struct socket_address peer;
    int                   fd;
    enum status           status = socket_accept(listen_fd, &fd, &peer);

    if (status == STATUS_LIMIT_REACHED)
        refuse_for_descriptors(front, listen_fd);
    if (status != STATUS_OK)
        return false;
    front->stats.accepted++;
    if (front->stats.connections < front->options.connections_max) {
        front_connection_open(front, fd, &peer, false);
        return true;
    }
    front->stats.refused_limit++;
    if (front->linger_count < lingering_max)
        front_connection_open(front, fd, &peer, true);
    else
        refuse_at_once(front, fd);
    return true;
}

/* The descriptor held in reserve is given up so that those who wait can be told one after the
 * other, instead of waiting in the backlog for ever; then accepting pauses. */
static void refuse_for_descriptors(struct front *front, int listen_fd)
{
    int fd;

    if (front->reserve_fd >= 0)
        socket_close(front->reserve_fd);
    for (int i = 0; i < accepts_per_turn && socket_accept(listen_fd, &fd, NULL) == STATUS_OK; i++) {
        front->stats.refused_descriptors++;
        refuse_at_once(front, fd);
    }
    front->reserve_fd = socket_reserve();
    set_accepting(front, false);
    loop_timer_set(front->accept_timer, loop_now_us(front->loop) + accept_pause_us);
}

static void refuse_at_once(struct front *front, int fd)
{
    struct byte_buffer out = {0};
    struct front_error error = {.status = STATUS_TOO_MANY_CONNECTIONS,
                                .close = true,
                                .is_plain = front->options.is_plain,
                                .retry_after_s = 1,
                                .executed = FRONT_EXECUTED_NO};
    size_t             sent;

    if (front_error_write(&out, &error, (struct bytes){0}) == STATUS_OK) {
        struct bytes answer = byte_buffer_bytes(&out);

        (void)!socket_send(fd, &answer, 1, &sent);
    }
    byte_buffer_done(&out);
    socket_shutdown_send(fd);
    socket_close(fd);
}

static void set_accepting(struct front *front, bool accepting)
{
    for (size_t i = 0; i < front->listener_count; i++)
        loop_watch_set(front->listeners[i].watch, accepting ? LOOP_READ : 0);
}

static void on_accept_timer(void *ctx)
{
    set_accepting(ctx, true);
}

struct http_reader *front_take_reader(struct front *front)
{
    if (front->spare_reader_count > 0)
        return front->spare_readers[--front->spare_reader_count];
    return http_reader_new(HTTP_READER_REQUEST, &front->limits);
}

void front_put_reader(struct front *front, struct http_reader *reader)
{
    if (reader == NULL)
        return;
    if (front->spare_reader_count == FRONT_SPARE_READERS_MAX) {
        http_reader_free(reader);
        return;
    }
    http_reader_reset(reader, false);
    front->spare_readers[front->spare_reader_count++] = reader;
}

void front_drain(struct front *front)
{
    front->draining = true;
}

size_t front_active_requests(const struct front *front)
{
    size_t count = front->active_requests;

    LIST_FOR_EACH(node, &front->connections)
    {
        const struct front_connection *connection = LIST_ITEM(node, struct front_connection, node);

        count += connection->request == NULL &&
                 (connection->state == FRONT_HEAD || socket_stream_queued(connection->stream) > 0);
    }
    return count;
}

uint64_t front_last_activity_us(const struct front *front)
{
    return front->last_activity_us;
}

const struct front_stats *front_stats(const struct front *front)
{
    return &front->stats;
}
