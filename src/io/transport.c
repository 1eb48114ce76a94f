#include "io/transport.h"

#include "io/socket.h"

static enum status plain_recv(struct transport *transport, char *data, size_t size,
                              size_t *ret_size)
{
    return socket_recv(transport->fd, data, size, ret_size);
}

static enum status plain_send(struct transport *transport, const struct bytes *parts, size_t count,
                              size_t *ret_size)
{
    return socket_send(transport->fd, parts, count, ret_size);
}

static unsigned plain_wants(const struct transport *transport, enum loop_ready direction)
{
    (void)transport;
    return direction;
}

static enum status plain_shutdown(struct transport *transport)
{
    socket_shutdown_send(transport->fd);
    return STATUS_OK;
}

static enum status plain_peek(const struct transport *transport)
{
    return socket_peek(transport->fd);
}

static enum status plain_probe(const struct transport *transport)
{
    return socket_probe(transport->fd);
}

static size_t plain_unsent(const struct transport *transport)
{
    return socket_unsent(transport->fd);
}

static void plain_close(struct transport *transport, bool with_reset)
{
    if (with_reset)
        socket_reset(transport->fd);
    else
        socket_close(transport->fd);
    transport->fd = -1;
}

static const struct transport_ops plain_ops = {.recv = plain_recv,
                                               .send = plain_send,
                                               .wants = plain_wants,
                                               .shutdown = plain_shutdown,
                                               .peek = plain_peek,
                                               .probe = plain_probe,
                                               .unsent = plain_unsent,
                                               .close = plain_close};

void transport_init_plain(struct transport *transport, int fd)
{
    *transport = (struct transport){.ops = &plain_ops, .fd = fd};
}
