#include "flow/fake_net.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/list.h"
#include "flow/fake_loop.h"
#include "io/clock.h"
#include "io/socket.h"

enum { descriptors_max = 16384, backlog_max = 4096 };

struct fake_net_end {
    struct fake_net_end *peer, *next_of_world;
    fake_net_fn          on_event; /* NULL: an end of the code under test */
    void                *ctx;
    struct byte_buffer   in; /* received, not read */
    size_t               in_flight, capacity;
    uint64_t             last_arrival_us; /* nothing overtakes */
    uint32_t             latency_us;
    bool is_connected, is_connecting, is_refused, fin_sent, fin_received, is_reset, error_pending;
    bool is_closed, wants_room, is_backend; /* the proxy's end of a connection to the backend */
};

struct segment {
    struct list_node     node; /* under way */
    struct fake_net_end *to;
    size_t               size;
    char                 data[];
};

enum descriptor_kind { DESCRIPTOR_FREE, DESCRIPTOR_LISTENER, DESCRIPTOR_END, DESCRIPTOR_RESERVE };

static struct {
    struct fake_net_options options;
    struct fake_net_end    *ends;
    struct list             segments;
    struct {
        enum descriptor_kind kind;
        struct fake_net_end *end;
    } descriptors[descriptors_max];
    int                  next_fd; /* never used twice: a use after close is seen */
    size_t               descriptor_count, backend_open, backend_peak;
    int                  listener_fd;
    uint16_t             listen_port, serve_port;
    struct fake_net_end *backlog[backlog_max];
    size_t               backlog_count;
    fake_net_accept_fn   on_accept;
    void                *accept_ctx;
    enum fake_net_mode   mode;
} net;

static struct fake_net_end *new_pair(void);
static void                 arrive(struct fake_net_end *end, void (*fn)(void *ctx), void *ctx);
static void                 deliver(void *ctx);
static void                 deliver_fin(void *ctx);
static void                 deliver_reset(void *ctx);
static void                 tell_room(void *ctx);
static void                 reach_listener(void *ctx);
static void                 reach_backend(void *ctx);
static void                 complete_connect(void *ctx);
static void                 tell(struct fake_net_end *end);
static enum status send_bytes(struct fake_net_end *end, struct bytes data, size_t *ret_size);
static size_t      room(const struct fake_net_end *end);
static void        close_end(struct fake_net_end *end);
static int         new_descriptor(enum descriptor_kind kind, struct fake_net_end *end);
static struct fake_net_end *end_of(int fd);
static uint16_t             port_of(const struct socket_address *address);

void fake_net_begin(const struct fake_net_options *options)
{
    net.options = *options;
    net.ends = NULL;
    list_init(&net.segments);
    net.next_fd = 3;
    net.descriptor_count = net.backend_open = net.backend_peak = net.backlog_count = 0;
    net.listener_fd = -1;
    net.listen_port = net.serve_port = 0;
    net.mode = FAKE_NET_ACCEPT;
}

void fake_net_done(void)
{
    struct list_node *node;

    while ((node = list_first(&net.segments)) != NULL) {
        list_remove(node);
        free(LIST_ITEM(node, struct segment, node));
    }
    while (net.ends != NULL) {
        struct fake_net_end *end = net.ends;

        net.ends = end->next_of_world;
        byte_buffer_done(&end->in);
        free(end);
    }
    for (int fd = 0; fd < net.next_fd; fd++)
        net.descriptors[fd].kind = DESCRIPTOR_FREE;
}

void fake_net_set_mode(enum fake_net_mode mode)
{
    net.mode = mode;
}

void fake_net_set_descriptors_max(size_t max)
{
    net.options.descriptors_max = max;
}

/* Two ends of one connection; returns the one that began it. */
static struct fake_net_end *new_pair(void)
{
    struct fake_net_end *ends[2];
    uint32_t             latency_us =
        net.options.latency_min_us +
        fake_loop_random(net.options.latency_max_us - net.options.latency_min_us + 1);

    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        ends[i] = calloc(1, sizeof *ends[i]);
        assert(ends[i] != NULL);
        ends[i]->latency_us = latency_us;
        ends[i]->capacity =
            net.options.capacity_min +
            fake_loop_random(net.options.capacity_max - net.options.capacity_min + 1);
        ends[i]->next_of_world = net.ends;
        net.ends = ends[i];
    }
    ends[0]->peer = ends[1];
    ends[1]->peer = ends[0];
    return ends[0];
}

/* Let `fn(ctx)` happen at `end`, behind everything that is under way to it. */
static void arrive(struct fake_net_end *end, void (*fn)(void *ctx), void *ctx)
{
    uint64_t at_us = clock_now_us() + end->latency_us;

    if (at_us < end->last_arrival_us)
        at_us = end->last_arrival_us;
    end->last_arrival_us = at_us;
    fake_loop_at(at_us, fn, ctx);
}

static void tell(struct fake_net_end *end)
{
    if (end->on_event != NULL && !end->is_closed)
        end->on_event(end, end->ctx);
}

struct fake_net_end *fake_net_connect(uint16_t port, fake_net_fn on_event, void *ctx)
{
    struct fake_net_end *end = new_pair();

    assert(port == net.listen_port);
    end->on_event = on_event;
    end->ctx = ctx;
    end->is_connected = end->peer->is_connected = true;
    arrive(end->peer, reach_listener, end->peer);
    return end;
}

static void reach_listener(void *ctx)
{
    struct fake_net_end *end = ctx;

    if (net.listener_fd < 0 || net.backlog_count == backlog_max) {
        end->is_closed = true;
        arrive(end->peer, deliver_reset, end->peer);
        return;
    }
    net.backlog[net.backlog_count++] = end;
}

void fake_net_serve(uint16_t port, fake_net_accept_fn on_accept, void *ctx)
{
    net.serve_port = port;
    net.on_accept = on_accept;
    net.accept_ctx = ctx;
}

void fake_net_tell(struct fake_net_end *end, fake_net_fn on_event, void *ctx)
{
    end->on_event = on_event;
    end->ctx = ctx;
}

/* `ctx`: the proxy's end of a connection that was begun. */
static void reach_backend(void *ctx)
{
    struct fake_net_end *end = ctx;

    if (net.mode == FAKE_NET_SILENT || end->is_closed)
        return;
    end->is_refused = net.mode == FAKE_NET_REFUSE;
    arrive(end, complete_connect, end);
    if (!end->is_refused) {
        end->peer->is_connected = true;
        net.on_accept(end->peer, net.accept_ctx);
    }
}

static void complete_connect(void *ctx)
{
    struct fake_net_end *end = ctx;

    end->is_connecting = false;
    end->is_connected = !end->is_refused;
}

static size_t room(const struct fake_net_end *end)
{
    size_t used = byte_buffer_size(&end->peer->in) + end->peer->in_flight;

    return used < end->peer->capacity ? end->peer->capacity - used : 0;
}

static enum status send_bytes(struct fake_net_end *end, struct bytes data, size_t *ret_size)
{
    size_t          size = room(end);
    struct segment *segment;

    assert(!end->is_closed);
    if (end->is_reset || end->fin_sent) {
        end->error_pending = false;
        return STATUS_RESET;
    }
    if (size > data.size)
        size = data.size;
    if (size == 0) {
        end->wants_room = true;
        return STATUS_AGAIN;
    }
    segment = malloc(sizeof *segment + size);
    assert(segment != NULL);
    list_push_back(&net.segments, &segment->node);
    segment->to = end->peer;
    segment->size = size;
    memcpy(segment->data, data.data, size);
    end->peer->in_flight += size;
    arrive(end->peer, deliver, segment);
    *ret_size = size;
    return STATUS_OK;
}

static void deliver(void *ctx)
{
    struct segment      *segment = ctx;
    struct fake_net_end *end = segment->to;

    end->in_flight -= segment->size;
    if (end->is_closed) {
        arrive(end->peer, deliver_reset, end->peer);
    } else if (!end->is_reset) {
        enum status status = byte_buffer_append(
            &end->in, (struct bytes){.data = segment->data, .size = segment->size}, SIZE_MAX);

        assert(status == STATUS_OK);
        (void)status;
        tell(end);
    }
    list_remove(&segment->node);
    free(segment);
}

static void deliver_fin(void *ctx)
{
    struct fake_net_end *end = ctx;

    end->fin_received = true;
    tell(end);
}

static void deliver_reset(void *ctx)
{
    struct fake_net_end *end = ctx;

    if (end->is_reset)
        return;
    end->is_reset = end->error_pending = true;
    tell(end);
}

static void tell_room(void *ctx)
{
    tell(ctx);
}

size_t fake_net_write(struct fake_net_end *end, struct bytes data)
{
    size_t size = 0;

    return data.size > 0 && !end->is_closed && send_bytes(end, data, &size) == STATUS_OK ? size : 0;
}

size_t fake_net_read(struct fake_net_end *end, char *data, size_t size)
{
    size_t there = byte_buffer_size(&end->in);

    if (size > there)
        size = there;
    if (size == 0)
        return 0;
    memcpy(data, byte_buffer_bytes(&end->in).data, size);
    byte_buffer_consume(&end->in, size);
    if (byte_buffer_size(&end->in) == 0)
        byte_buffer_done(&end->in);
    if (end->peer->wants_room && end->peer->on_event != NULL) {
        end->peer->wants_room = false;
        fake_loop_at(clock_now_us() + end->latency_us, tell_room, end->peer);
    }
    return size;
}

bool fake_net_has_ended(const struct fake_net_end *end)
{
    return byte_buffer_size(&end->in) == 0 && (end->fin_received || end->is_reset);
}

bool fake_net_will_end(const struct fake_net_end *end)
{
    return end->fin_received || end->is_reset;
}

size_t fake_net_waiting(const struct fake_net_end *end)
{
    return byte_buffer_size(&end->in);
}

bool fake_net_is_reset(const struct fake_net_end *end)
{
    return end->is_reset;
}

void fake_net_shutdown(struct fake_net_end *end)
{
    if (end->is_closed || end->fin_sent)
        return;
    end->fin_sent = true;
    if (!end->is_reset)
        arrive(end->peer, deliver_fin, end->peer);
}

void fake_net_close(struct fake_net_end *end)
{
    if (!end->is_closed)
        close_end(end);
}

static void close_end(struct fake_net_end *end)
{
    if (end->is_closed)
        return;
    if (byte_buffer_size(&end->in) > 0 && !end->is_reset)
        arrive(end->peer, deliver_reset, end->peer);
    else
        fake_net_shutdown(end);
    end->is_closed = true;
    byte_buffer_done(&end->in);
}

void fake_net_reset(struct fake_net_end *end)
{
    if (end->is_closed)
        return;
    end->is_closed = true;
    byte_buffer_done(&end->in);
    arrive(end->peer, deliver_reset, end->peer);
}

size_t fake_net_descriptors(void)
{
    return net.descriptor_count;
}

size_t fake_net_backend_open(void)
{
    return net.backend_open;
}

size_t fake_net_backend_open_peak(void)
{
    return net.backend_peak;
}

static int new_descriptor(enum descriptor_kind kind, struct fake_net_end *end)
{
    assert(net.next_fd < descriptors_max);
    net.descriptors[net.next_fd].kind = kind;
    net.descriptors[net.next_fd].end = end;
    net.descriptor_count++;
    return net.next_fd++;
}

static struct fake_net_end *end_of(int fd)
{
    assert(fd >= 0 && fd < net.next_fd && net.descriptors[fd].kind == DESCRIPTOR_END);
    return net.descriptors[fd].end;
}

unsigned fake_net_ready(int fd)
{
    const struct fake_net_end *end;
    unsigned                   ready = 0;

    assert(fd >= 0 && fd < net.next_fd);
    if (net.descriptors[fd].kind == DESCRIPTOR_LISTENER)
        return net.backlog_count > 0 ? LOOP_READ : 0;
    end = end_of(fd);
    if (end->is_connecting)
        return 0;
    if (byte_buffer_size(&end->in) > 0 || end->fin_received)
        ready |= LOOP_READ;
    if (end->is_reset || end->is_refused)
        ready |= LOOP_READ | LOOP_WRITE;
    if (room(end) > 0)
        ready |= LOOP_WRITE;
    return ready;
}

/* --- io/socket.h --- */

bool socket_address_from_literal(const char *host, uint16_t port, struct socket_address *ret)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};

    if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return false;
    memcpy(ret->storage, &v4, sizeof v4);
    ret->size = sizeof v4;
    return true;
}

bool socket_address_from_path(const char *path, struct socket_address *ret)
{
    (void)path;
    (void)ret;
    return false;
}

static uint16_t port_of(const struct socket_address *address)
{
    struct sockaddr_in v4;

    memcpy(&v4, address->storage, sizeof v4);
    return ntohs(v4.sin_port);
}

void socket_address_format(const struct socket_address *address, char text[SOCKET_ADDRESS_TEXT_MAX])
{
    snprintf(text, SOCKET_ADDRESS_TEXT_MAX, "127.0.0.1:%u", port_of(address));
}

void socket_address_format_host(const struct socket_address *address,
                                char                         text[SOCKET_ADDRESS_TEXT_MAX])
{
    (void)address;
    snprintf(text, SOCKET_ADDRESS_TEXT_MAX, "127.0.0.1");
}

struct bytes socket_address_host(const struct socket_address *address)
{
    return (struct bytes){.data = (const char *)address->storage +
                                  offsetof(struct sockaddr_in, sin_addr),
                          .size = sizeof(struct in_addr)};
}

enum status socket_listen(const struct socket_address *address, int *ret_fd,
                          struct socket_address *ret_bound, struct error *error)
{
    (void)error;
    assert(net.listener_fd < 0);
    net.listen_port = port_of(address);
    net.listener_fd = new_descriptor(DESCRIPTOR_LISTENER, NULL);
    *ret_fd = net.listener_fd;
    *ret_bound = *address;
    return STATUS_OK;
}

enum status socket_accept(int listen_fd, int *ret_fd, struct socket_address *ret_peer)
{
    assert(listen_fd == net.listener_fd);
    if (net.backlog_count == 0)
        return STATUS_AGAIN;
    if (net.descriptor_count >= net.options.descriptors_max)
        return STATUS_LIMIT_REACHED;
    *ret_fd = new_descriptor(DESCRIPTOR_END, net.backlog[0]);
    memmove(net.backlog, net.backlog + 1, --net.backlog_count * sizeof net.backlog[0]);
    if (ret_peer != NULL)
        socket_address_from_literal("127.0.0.1", 40000, ret_peer);
    return STATUS_OK;
}

bool socket_peer_uid(int fd, uint32_t *ret_uid)
{
    (void)fd;
    (void)ret_uid;
    return false;
}

enum status socket_connect(const struct socket_address *address, int *ret_fd)
{
    struct fake_net_end *end;

    assert(port_of(address) == net.serve_port);
    if (net.descriptor_count >= net.options.descriptors_max)
        return STATUS_LIMIT_REACHED;
    if (net.options.connects_at_once && net.mode == FAKE_NET_REFUSE)
        return STATUS_RESET;
    end = new_pair();
    end->is_backend = true;
    *ret_fd = new_descriptor(DESCRIPTOR_END, end);
    if (++net.backend_open > net.backend_peak)
        net.backend_peak = net.backend_open;
    if (net.options.connects_at_once && net.mode == FAKE_NET_ACCEPT) {
        end->is_connected = end->peer->is_connected = true;
        net.on_accept(end->peer, net.accept_ctx);
        return STATUS_OK;
    }
    end->is_connecting = true;
    arrive(end, reach_backend, end);
    return STATUS_AGAIN;
}

enum status socket_connect_result(int fd)
{
    struct fake_net_end *end = end_of(fd);

    if (end->is_connecting)
        return STATUS_AGAIN;
    if (end->is_refused || end->error_pending)
        return STATUS_RESET;
    return STATUS_OK;
}

enum status socket_recv(int fd, char *data, size_t size, size_t *ret_size)
{
    struct fake_net_end *end = end_of(fd);
    size_t               whole = size;

    if (byte_buffer_size(&end->in) > 0) {
        if (size > 1 && fake_loop_chance(net.options.short_percent))
            size = 1 + fake_loop_random(fake_loop_chance(50) ? (uint32_t)size : 64u);
        if (size > whole)
            size = whole;
        *ret_size = fake_net_read(end, data, size);
        return STATUS_OK;
    }
    if (end->error_pending) {
        end->error_pending = false;
        return STATUS_RESET;
    }
    return end->fin_received || end->is_reset ? STATUS_CLOSED : STATUS_AGAIN;
}

enum status socket_peek(int fd)
{
    struct fake_net_end *end = end_of(fd);

    if (byte_buffer_size(&end->in) > 0)
        return STATUS_OK;
    if (end->is_reset)
        return STATUS_RESET;
    return end->fin_received ? STATUS_CLOSED : STATUS_AGAIN;
}

enum status socket_probe(int fd)
{
    struct fake_net_end *end = end_of(fd);

    if (end->is_reset)
        return STATUS_RESET;
    return end->fin_received ? STATUS_CLOSED : STATUS_AGAIN;
}

enum status socket_send(int fd, const struct bytes *parts, size_t count, size_t *ret_size)
{
    struct fake_net_end *end = end_of(fd);
    size_t               total = 0, limit = SIZE_MAX;

    if (fake_loop_chance(net.options.full_percent))
        return STATUS_AGAIN;
    if (fake_loop_chance(net.options.short_percent))
        limit = 1 + fake_loop_random(fake_loop_chance(50) ? 64 : 65536);
    for (size_t i = 0; i < count && i < SOCKET_SEND_PARTS_MAX && total < limit; i++) {
        struct bytes part = parts[i];
        size_t       size = 0;
        enum status  status;

        if (part.size > limit - total)
            part.size = limit - total;
        if (part.size == 0)
            continue;
        status = send_bytes(end, part, &size);
        total += size;
        if (status == STATUS_RESET && total == 0)
            return STATUS_RESET;
        if (size < part.size)
            break;
    }
    *ret_size = total;
    return total > 0 ? STATUS_OK : STATUS_AGAIN;
}

size_t socket_unsent(int fd)
{
    const struct fake_net_end *end = end_of(fd);

    return byte_buffer_size(&end->peer->in) + end->peer->in_flight;
}

void socket_shutdown_send(int fd)
{
    fake_net_shutdown(end_of(fd));
}

void socket_reset(int fd)
{
    fake_net_reset(end_of(fd));
    socket_close(fd);
}

void socket_close(int fd)
{
    assert(fd >= 0 && fd < net.next_fd && net.descriptors[fd].kind != DESCRIPTOR_FREE);
    if (net.descriptors[fd].kind == DESCRIPTOR_END) {
        struct fake_net_end *end = net.descriptors[fd].end;

        net.backend_open -= end->is_backend;
        close_end(end);
    }
    if (net.descriptors[fd].kind == DESCRIPTOR_LISTENER)
        net.listener_fd = -1;
    net.descriptors[fd].kind = DESCRIPTOR_FREE;
    net.descriptor_count--;
}

int socket_reserve(void)
{
    return net.descriptor_count < net.options.descriptors_max
               ? new_descriptor(DESCRIPTOR_RESERVE, NULL)
               : -1;
}
