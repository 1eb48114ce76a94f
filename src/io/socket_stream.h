/* socket_stream - a connected socket with buffers: bytes are pushed up, and queued down
 *
 * Receiving: what arrives is offered to on_data, straight from a buffer that all streams share.
 * Bytes that on_data does not consume are kept and reading stops until socket_stream_resume().
 * Sending: the socket is tried first; only what it does not take is copied and sent later. So a
 * fast peer costs one system call per direction and no memory, and an idle stream no buffer.
 *
 * Callbacks run from the loop, never inside a call of this module, and never after
 * socket_stream_free().
 */
#ifndef IO_SOCKET_STREAM_H
#define IO_SOCKET_STREAM_H

#include "base/bytes.h"
#include "base/memory_account.h"
#include "base/status.h"
#include "io/loop.h"
#include "io/transport.h"

struct socket_stream; /* opaque */

struct socket_stream_events {
    /* `data` (borrowed) arrived; returns how many of its bytes were consumed. */
    size_t (*on_data)(struct bytes data, void *ctx);

    /* Nothing more will arrive: STATUS_CLOSED (the peer ended its side) or STATUS_RESET. Once.
     * Kept bytes that on_data left are offered first. */
    void (*on_end)(enum status status, void *ctx);

    /* The queue has fallen to SOCKET_STREAM_LOW or below after standing above SOCKET_STREAM_HIGH,
     * or has emptied. */
    void (*on_drained)(void *ctx);
};

/* Whoever feeds a stream from another one stops reading there when this much is queued here, and
 * goes on when it has drained. */
enum { SOCKET_STREAM_HIGH = 128 * 1024, SOCKET_STREAM_LOW = 32 * 1024 };

/* A stream over a plain transport. `fd` (connected, or connecting) is taken on success; `events`
 * and `account` are borrowed for the stream's life. Reading is paused at first. NULL when out of
 * memory.
 */
struct socket_stream *socket_stream_new(struct loop *loop, struct memory_account *account, int fd,
                                        const struct socket_stream_events *events, void *ctx);

/* Likewise over `transport`, which is taken on success: its close() ends it. */
struct socket_stream *socket_stream_new_over(struct loop *loop, struct memory_account *account,
                                             struct transport                  *transport,
                                             const struct socket_stream_events *events, void *ctx);

/* Tell of what arrives here before others that are ready in the same turn; see
 * loop_watch_go_first(). */
void socket_stream_go_first(struct socket_stream *stream, bool first);

/* Close at once; what is queued is lost. NULL is a no-op. */
void socket_stream_free(struct socket_stream *stream);

/* Let socket_stream_free() end the connection as socket_reset() does. */
void socket_stream_set_reset(struct socket_stream *stream);

/* Send `parts` (borrowed), in order, behind what is queued.
 * STATUS_OK         sent or queued.
 * STATUS_RESET      the connection is broken; nothing more can be sent. Whether the peer's last
 *                   words are still to be received is told by on_data and on_end.
 * STATUS_NO_MEMORY  a part may have been sent; the connection counts as broken: on_end tells. */
enum status socket_stream_send(struct socket_stream *stream, const struct bytes *parts,
                               size_t count);

/* Bytes that the transport has taken since the stream was made; not those of its own. */
uint64_t socket_stream_sent(const struct socket_stream *stream);

/* Of them, those that the peer's system has taken, as far as socket_unsent() tells. A system call.
 * The difference is at most what the system buffers, which may be megabytes. */
uint64_t socket_stream_arrived(const struct socket_stream *stream);

/* Bytes that wait to be sent. */
size_t socket_stream_queued(const struct socket_stream *stream);

/* True when the feeder should stop: SOCKET_STREAM_HIGH is passed, or anything is queued while the
 * account has no more room. */
bool socket_stream_is_full(const struct socket_stream *stream);

/* Stop and go on offering data. Kept bytes are offered from the loop. */
void socket_stream_pause(struct socket_stream *stream);
void socket_stream_resume(struct socket_stream *stream);

/* Send FIN as soon as the queue is empty. Receiving goes on. */
void socket_stream_shutdown(struct socket_stream *stream);

/* STATUS_AGAIN: idle and fit for use; else as socket_peek(). */
enum status socket_stream_peek(const struct socket_stream *stream);

/* As socket_probe(): for a stream that is not read, whose end is told too late by on_end. */
enum status socket_stream_probe(const struct socket_stream *stream);

#endif
