/* transport - how the bytes of a connected socket travel
 *
 * The operations below socket_stream: bytes of the application go in and come out, what the wire
 * carries beside them (a handshake, records) is the transport's own. So "was a byte sent" is
 * counted above, by what send took, and another way to travel is another table and no branch.
 *
 * A transport may have to receive before it can send and the other way round, and may hold
 * received bytes of which its descriptor does not tell: wants() says what to wait for.
 */
#ifndef IO_TRANSPORT_H
#define IO_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/status.h"
#include "io/loop.h"

struct transport;

struct transport_ops {
    /* As socket_recv(). */
    enum status (*recv)(struct transport *transport, char *data, size_t size, size_t *ret_size);

    /* As socket_send(): counted is what need not be given again. */
    enum status (*send)(struct transport *transport, const struct bytes *parts, size_t count,
                        size_t *ret_size);

    /* What the descriptor must be ready for (LOOP_READ, LOOP_WRITE) before recv (`direction`
     * LOOP_READ), or send and shutdown (LOOP_WRITE), are called again. 0, for recv: now, for what
     * the transport holds. */
    unsigned (*wants)(const struct transport *transport, enum loop_ready direction);

    /* Say that nothing more will be sent; receiving goes on. STATUS_AGAIN: call again. */
    enum status (*shutdown)(struct transport *transport);

    /* As socket_peek(), socket_probe() and socket_unsent(). */
    enum status (*peek)(const struct transport *transport);
    enum status (*probe)(const struct transport *transport);
    size_t (*unsent)(const struct transport *transport);

    /* Close at once, as socket_close(), or `with_reset` as socket_reset(). The transport ends. */
    void (*close)(struct transport *transport, bool with_reset);
};

/* The beginning of every transport. */
struct transport {
    const struct transport_ops *ops;
    int                         fd;
};

/* Bytes as they are, over TCP or a unix socket. `fd` is taken; the struct stays the caller's. */
void transport_init_plain(struct transport *transport, int fd);

#endif
