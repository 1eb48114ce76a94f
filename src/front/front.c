#include "front/front.h"

#include <stdlib.h>

#include "front/front_connection_internal.h"
#include "front/front_error.h"
#include "front/front_last_hop.h"
#include "front/front_shared.h"
#include "front/front_timeouts.h"

/* Connections taken in one turn at most: others want to be served too. */
enum { accepts_per_turn = 64 };
/* Connections beyond the limit that get a lingering close; further ones are just closed. */
enum { lingering_max = 256 };
/* Out of descriptors: new ones may be free after a while. */
static const uint64_t accept_pause_us = 100000;

enum { listeners_max = 8 };

struct listener {
    struct front      *front;
    int                fd;
    struct loop_watch *watch;
};

struct front {
    struct front_shared shared;
    struct listener     listeners[listeners_max];
    size_t              listener_count;
    struct loop_timer  *accept_timer; /* ends a pause in accepting */
    front_guard_fn      is_welcome;   /* NULL: everybody is */
    void               *guard_ctx;
    int                 reserve_fd; /* given up to close a connection when out of them */
};

const struct metric_desc front_metrics[] = {
    METRIC(GAUGE, front_stats, connections, "chromabouncer_client_connections",
           "Open client connections; at listen.connections_max a new one takes the place of one "
           "that has been idle for 40 s, or is refused."),
    METRIC(COUNTER, front_stats, accepted, "chromabouncer_client_connections_accepted_total",
           "Client connections taken."),
    METRIC(COUNTER, front_stats, reclaimed, "chromabouncer_client_connections_reclaimed_total",
           "Idle client connections closed to make room for new ones."),
    METRIC_LABELED(
        COUNTER, front_stats, refused_limit, "chromabouncer_client_connections_refused_total",
        "reason=\"limit\"",
        "Client connections refused: limit, raise listen.connections_max; address, raise "
        "listen.connections_per_address_max; descriptors, raise the limit of open files; user, "
        "another user of this machine tried."),
    METRIC_LABELED(COUNTER, front_stats, refused_address,
                   "chromabouncer_client_connections_refused_total", "reason=\"address\"", ""),
    METRIC_LABELED(COUNTER, front_stats, refused_descriptors,
                   "chromabouncer_client_connections_refused_total", "reason=\"descriptors\"", ""),
    METRIC_LABELED(COUNTER, front_stats, refused_guard,
                   "chromabouncer_client_connections_refused_total", "reason=\"user\"", ""),
    METRIC(COUNTER, front_stats, bad_requests, "chromabouncer_bad_requests_total",
           "Requests refused because they are not valid HTTP or their head came too slowly."),
    METRIC(COUNTER, front_stats, timeouts, "chromabouncer_client_timeouts_total",
           "Connections closed because the client was too slow."),
};
const size_t front_metric_count = COUNT_OF(front_metrics);

static void on_acceptable(unsigned ready, void *ctx);
static bool accept_one(struct front *front, int listen_fd);
static void take_client(struct front *front, int fd, const struct socket_address *peer);
static void refuse_client(struct front *front, int fd, const struct socket_address *peer,
                          const char *why);
static void refuse_for_descriptors(struct front *front, int listen_fd);
static void refuse_at_once(struct front *front, int fd);
static void set_accepting(struct front *front, bool accepting);
static void on_accept_timer(void *ctx);

struct front *front_new(struct loop *loop, struct memory_account_budget *budget,
                        const struct front_options *options, const struct front_handler *handler,
                        void *handler_ctx)
{
    struct front *front = calloc(1, sizeof *front);
    bool          ok;

    if (front == NULL)
        return NULL;
    ok = front_shared_init(&front->shared, loop, budget, options, handler, handler_ctx) &&
         front_timeouts_init(&front->shared);
    front->shared.last_hop_handler = &front_last_hop_handler;
    front->reserve_fd = socket_reserve();
    front->accept_timer = loop_timer_new(loop, on_accept_timer, front);
    if (!ok || front->accept_timer == NULL) {
        front_free(front);
        return NULL;
    }
    return front;
}

void front_free(struct front *front)
{
    if (front == NULL)
        return;
    for (size_t i = 0; i < front->listener_count; i++) {
        loop_watch_free(front->listeners[i].watch);
        socket_close(front->listeners[i].fd);
    }
    front_connection_close_all(&front->shared, STATUS_CANCELLED);
    loop_free_pending(front->shared.loop);
    front_shared_done(&front->shared);
    if (front->reserve_fd >= 0)
        socket_close(front->reserve_fd);
    loop_timer_free(front->accept_timer);
    free(front);
}

void front_set_options(struct front *front, const struct front_options *options)
{
    front_shared_set_options(&front->shared, options);
}

enum status front_listen(struct front *front, const struct socket_address *address,
                         struct socket_address *ret_bound, struct error *error)
{
    struct listener *listener = &front->listeners[front->listener_count];
    enum status      status;

    if (front->listener_count == listeners_max)
        return error_set(error, STATUS_IO_FAILED, "at most %d addresses can be listened on",
                         listeners_max);
    *listener = (struct listener){.front = front, .fd = -1};
    status = socket_listen(address, &listener->fd, ret_bound, error);
    if (status != STATUS_OK)
        return status;
    listener->watch = loop_watch_new(front->shared.loop, listener->fd, on_acceptable, listener);
    if (listener->watch == NULL) {
        socket_close(listener->fd);
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    }
    loop_watch_set(listener->watch, LOOP_READ);
    front->listener_count++;
    return STATUS_OK;
}

void front_set_guard(struct front *front, front_guard_fn is_welcome, void *ctx)
{
    front->is_welcome = is_welcome;
    front->guard_ctx = ctx;
}

static void on_acceptable(unsigned ready, void *ctx)
{
    struct listener *listener = ctx;

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

    if (status == STATUS_LIMIT_REACHED && front_connection_reclaim(&front->shared))
        status = socket_accept(listen_fd, &fd, &peer);
    if (status == STATUS_LIMIT_REACHED)
        refuse_for_descriptors(front, listen_fd);
    if (status != STATUS_OK)
        return false;
    if (front->is_welcome != NULL && !front->is_welcome(fd, &peer, front->guard_ctx)) {
        front->shared.stats.refused_guard++;
        socket_close(fd);
        return true;
    }
    front->shared.stats.accepted++;
    take_client(front, fd, &peer);
    return true;
}

static void take_client(struct front *front, int fd, const struct socket_address *peer)
{
    struct front_shared        *shared = &front->shared;
    const struct front_options *options = &shared->options;
    size_t                      per_address_max = options->connections_per_address_max;

    if (per_address_max > 0 && front_addresses_count(shared->addresses, peer) >= per_address_max) {
        shared->stats.refused_address++;
        refuse_client(front, fd, peer,
                      "listen.connections_per_address_max connections of this address are open; "
                      "close some or raise it");
    } else if (shared->stats.connections < options->connections_max ||
               front_connection_reclaim(shared)) {
        front_connection_open(shared, fd, peer, NULL);
    } else {
        shared->stats.refused_limit++;
        refuse_client(front, fd, peer,
                      "listen.connections_max connections are open; close some or raise it");
    }
}

static void refuse_client(struct front *front, int fd, const struct socket_address *peer,
                          const char *why)
{
    if (front->shared.linger_count < lingering_max)
        front_connection_open(&front->shared, fd, peer, why);
    else
        refuse_at_once(front, fd);
}

/* The descriptor held in reserve is given up so that those who wait can be told one after the
 * other, instead of waiting in the backlog for ever; then accepting pauses. */
static void refuse_for_descriptors(struct front *front, int listen_fd)
{
    int fd;

    if (front->reserve_fd >= 0)
        socket_close(front->reserve_fd);
    for (int i = 0; i < accepts_per_turn && socket_accept(listen_fd, &fd, NULL) == STATUS_OK; i++) {
        front->shared.stats.refused_descriptors++;
        refuse_at_once(front, fd);
    }
    front->reserve_fd = socket_reserve();
    set_accepting(front, false);
    loop_timer_set(front->accept_timer, loop_now_us(front->shared.loop) + accept_pause_us);
}

static void refuse_at_once(struct front *front, int fd)
{
    struct byte_buffer out = {0};
    struct front_error error = {.status = STATUS_TOO_MANY_CONNECTIONS,
                                .close = true,
                                .is_plain = front->shared.options.is_plain,
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

void front_drain(struct front *front)
{
    front->shared.draining = true;
}

size_t front_active_requests(const struct front *front)
{
    return front->shared.active_count;
}

uint64_t front_last_activity_us(const struct front *front)
{
    return front->shared.last_activity_us;
}

const struct front_stats *front_stats(const struct front *front)
{
    return &front->shared.stats;
}
