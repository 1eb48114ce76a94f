#include "io/socket_stream.h"

#include <stdlib.h>

#include "base/byte_buffer.h"
#include "io/socket.h"

struct socket_stream {
    struct loop                       *loop;
    struct memory_account             *account;
    const struct socket_stream_events *events;
    void                              *ctx;
    struct transport                  *transport;
    struct transport                   plain;   /* behind `transport`, unless another was given */
    struct loop_watch                 *watch;   /* NULL when freed */
    struct byte_buffer                 kept;    /* received, not yet consumed by on_data */
    struct byte_buffer                 queue;   /* to be sent */
    size_t                             charged; /* capacity of both, charged to the account */
    uint64_t                           sent;
    struct loop_task                   go_on_task;
    enum status                        end; /* STATUS_OK while more may arrive */
    bool                               paused, end_told, send_broken;
    bool                               shutting_down, fin_sent, was_full, ends_with_reset;
};

static void        on_ready(unsigned ready, void *ctx);
static bool        is_receiving(const struct socket_stream *stream);
static bool        is_sending(const struct socket_stream *stream);
static unsigned    wants(const struct socket_stream *stream, enum loop_ready direction);
static void        receive_some(struct socket_stream *stream);
static void        keep(struct socket_stream *stream, struct bytes rest);
static void        lose(struct socket_stream *stream);
static void        go_on(void *ctx);
static bool        offer_kept(struct socket_stream *stream);
static void        tell_end(struct socket_stream *stream);
static size_t      send_now(struct socket_stream *stream, const struct bytes *parts, size_t count);
static enum status queue_rest(struct socket_stream *stream, const struct bytes *parts, size_t count,
                              size_t sent);
static void        flush(struct socket_stream *stream);
static void        shut_down(struct socket_stream *stream);
static void        update_interest(struct socket_stream *stream);
static void        update_charge(struct socket_stream *stream);

struct socket_stream *socket_stream_new(struct loop *loop, struct memory_account *account, int fd,
                                        const struct socket_stream_events *events, void *ctx)
{
    struct transport      plain;
    struct socket_stream *stream;

    transport_init_plain(&plain, fd);
    stream = socket_stream_new_over(loop, account, &plain, events, ctx);
    if (stream != NULL) {
        stream->plain = plain;
        stream->transport = &stream->plain;
    }
    return stream;
}

struct socket_stream *socket_stream_new_over(struct loop *loop, struct memory_account *account,
                                             struct transport                  *transport,
                                             const struct socket_stream_events *events, void *ctx)
{
    struct socket_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    stream->loop = loop;
    stream->account = account;
    stream->events = events;
    stream->ctx = ctx;
    stream->transport = transport;
    stream->paused = true;
    loop_task_init(&stream->go_on_task, go_on, stream);
    stream->watch = loop_watch_new(loop, transport->fd, on_ready, stream);
    if (stream->watch == NULL) {
        free(stream);
        return NULL;
    }
    return stream;
}

void socket_stream_go_first(struct socket_stream *stream, bool first)
{
    loop_watch_go_first(stream->watch, first);
}

void socket_stream_free(struct socket_stream *stream)
{
    if (stream == NULL)
        return;
    loop_watch_free(stream->watch);
    stream->watch = NULL;
    loop_task_cancel(&stream->go_on_task);
    stream->transport->ops->close(stream->transport, stream->ends_with_reset);
    byte_buffer_done(&stream->kept);
    byte_buffer_done(&stream->queue);
    update_charge(stream);
    loop_free_later(stream->loop, stream, free);
}

void socket_stream_set_reset(struct socket_stream *stream)
{
    stream->ends_with_reset = true;
}

static void on_ready(unsigned ready, void *ctx)
{
    struct socket_stream *stream = ctx;

    if (is_sending(stream) && (ready & wants(stream, LOOP_WRITE)))
        flush(stream);
    else if (is_receiving(stream))
        receive_some(stream);
}

static bool is_receiving(const struct socket_stream *stream)
{
    return !stream->paused && stream->end == STATUS_OK && byte_buffer_size(&stream->kept) == 0;
}

static bool is_sending(const struct socket_stream *stream)
{
    return !stream->send_broken &&
           (byte_buffer_size(&stream->queue) > 0 || (stream->shutting_down && !stream->fin_sent));
}

static unsigned wants(const struct socket_stream *stream, enum loop_ready direction)
{
    return stream->transport->ops->wants(stream->transport, direction);
}

static void receive_some(struct socket_stream *stream)
{
    struct transport   *transport = stream->transport;
    struct loop_scratch scratch = loop_scratch(stream->loop);
    size_t              size = 0, consumed;
    enum status         status = transport->ops->recv(transport, scratch.data, scratch.size, &size);

    if (status == STATUS_AGAIN) {
        update_interest(stream);
        return;
    }
    if (status != STATUS_OK) {
        stream->end = status;
        update_interest(stream);
        tell_end(stream);
        return;
    }
    consumed =
        stream->events->on_data((struct bytes){.data = scratch.data, .size = size}, stream->ctx);
    if (stream->watch == NULL)
        return;
    if (consumed < size)
        keep(stream, (struct bytes){.data = scratch.data + consumed, .size = size - consumed});
    else if (is_receiving(stream) && wants(stream, LOOP_READ) == 0)
        loop_later(stream->loop, &stream->go_on_task);
}

static void keep(struct socket_stream *stream, struct bytes rest)
{
    if (stream->end != STATUS_OK)
        return; /* lost meanwhile */
    stream->paused = true;
    if (byte_buffer_append(&stream->kept, rest, SIZE_MAX) != STATUS_OK)
        lose(stream);
    update_charge(stream);
    update_interest(stream);
}

/* Bytes are lost for want of memory, so the connection is: on_end tells, from the loop. */
static void lose(struct socket_stream *stream)
{
    stream->send_broken = true;
    stream->end = STATUS_RESET;
    byte_buffer_done(&stream->kept);
    byte_buffer_done(&stream->queue);
    stream->paused = false;
    update_charge(stream);
    update_interest(stream);
    loop_later(stream->loop, &stream->go_on_task);
}

/* Offer what on_data left, then the end if it was seen, or what the transport holds. */
static void go_on(void *ctx)
{
    struct socket_stream *stream = ctx;

    if (stream->paused || (byte_buffer_size(&stream->kept) > 0 && !offer_kept(stream)))
        return;
    if (is_receiving(stream) && wants(stream, LOOP_READ) == 0) {
        receive_some(stream);
        return;
    }
    update_interest(stream);
    if (stream->end != STATUS_OK)
        tell_end(stream);
}

/* Was all of it consumed, and the stream not freed? */
static bool offer_kept(struct socket_stream *stream)
{
    struct byte_buffer offered = stream->kept;
    size_t             size = byte_buffer_size(&offered), consumed;

    stream->kept = (struct byte_buffer){0};
    consumed = stream->events->on_data(byte_buffer_bytes(&offered), stream->ctx);
    if (stream->watch != NULL && consumed < size)
        keep(stream, bytes_skip(byte_buffer_bytes(&offered), consumed));
    byte_buffer_done(&offered);
    if (stream->watch == NULL)
        return false;
    update_charge(stream);
    return consumed == size;
}

static void tell_end(struct socket_stream *stream)
{
    if (stream->end_told || byte_buffer_size(&stream->kept) > 0)
        return;
    stream->end_told = true;
    stream->events->on_end(stream->end, stream->ctx);
}

enum status socket_stream_send(struct socket_stream *stream, const struct bytes *parts,
                               size_t count)
{
    size_t sent = 0;

    if (stream->send_broken)
        return STATUS_RESET;
    if (byte_buffer_size(&stream->queue) == 0)
        sent = send_now(stream, parts, count);
    if (stream->send_broken)
        return STATUS_RESET;
    return queue_rest(stream, parts, count, sent);
}

/* Give `parts` to the socket; returns how many bytes it took. */
static size_t send_now(struct socket_stream *stream, const struct bytes *parts, size_t count)
{
    size_t taken = 0;

    for (size_t i = 0; i < count; i += SOCKET_SEND_PARTS_MAX) {
        size_t      total = 0, size = 0;
        size_t      piece = count - i < SOCKET_SEND_PARTS_MAX ? count - i : SOCKET_SEND_PARTS_MAX;
        enum status status;

        for (size_t j = i; j < i + piece; j++)
            total += parts[j].size;
        if (total == 0)
            continue;
        status = stream->transport->ops->send(stream->transport, &parts[i], piece, &size);
        if (status == STATUS_RESET) {
            stream->send_broken = true;
            socket_stream_resume(stream); /* the peer's last words, or the end, must be seen */
        }
        if (status == STATUS_OK)
            taken += size;
        if (size < total)
            break;
    }
    stream->sent += taken;
    return taken;
}

static enum status queue_rest(struct socket_stream *stream, const struct bytes *parts, size_t count,
                              size_t sent)
{
    for (size_t i = 0; i < count; i++) {
        size_t skip = sent < parts[i].size ? sent : parts[i].size;

        sent -= skip;
        if (byte_buffer_append(&stream->queue, bytes_skip(parts[i], skip), SIZE_MAX) != STATUS_OK) {
            lose(stream);
            return STATUS_NO_MEMORY;
        }
    }
    if (byte_buffer_size(&stream->queue) > 0) {
        stream->was_full = stream->was_full || socket_stream_is_full(stream);
        update_charge(stream);
        update_interest(stream);
    }
    return STATUS_OK;
}

/* The socket takes bytes again. */
static void flush(struct socket_stream *stream)
{
    struct bytes content = byte_buffer_bytes(&stream->queue);
    bool         had_queue = content.size > 0;
    size_t       sent = send_now(stream, &content, 1);

    if (stream->send_broken)
        byte_buffer_done(&stream->queue);
    else
        byte_buffer_consume(&stream->queue, sent);
    if (byte_buffer_size(&stream->queue) == 0) {
        byte_buffer_done(&stream->queue);
        shut_down(stream);
    }
    update_charge(stream);
    update_interest(stream);
    if (had_queue &&
        (byte_buffer_size(&stream->queue) == 0 ||
         (stream->was_full && byte_buffer_size(&stream->queue) <= SOCKET_STREAM_LOW))) {
        stream->was_full = false;
        stream->events->on_drained(stream->ctx);
    }
}

/* If that was asked for. The queue is empty. */
static void shut_down(struct socket_stream *stream)
{
    if (stream->shutting_down && !stream->fin_sent && !stream->send_broken)
        stream->fin_sent = stream->transport->ops->shutdown(stream->transport) != STATUS_AGAIN;
}

uint64_t socket_stream_sent(const struct socket_stream *stream)
{
    return stream->sent;
}

uint64_t socket_stream_arrived(const struct socket_stream *stream)
{
    size_t unsent = stream->transport->ops->unsent(stream->transport);

    return unsent < stream->sent ? stream->sent - unsent : 0;
}

size_t socket_stream_queued(const struct socket_stream *stream)
{
    return byte_buffer_size(&stream->queue);
}

bool socket_stream_is_full(const struct socket_stream *stream)
{
    size_t queued = byte_buffer_size(&stream->queue);

    return queued > SOCKET_STREAM_HIGH ||
           (queued > 0 && memory_account_is_exceeded(stream->account));
}

void socket_stream_pause(struct socket_stream *stream)
{
    stream->paused = true;
    update_interest(stream);
}

void socket_stream_resume(struct socket_stream *stream)
{
    if (!stream->paused)
        return;
    stream->paused = false;
    if (byte_buffer_size(&stream->kept) > 0 || stream->end != STATUS_OK)
        loop_later(stream->loop, &stream->go_on_task);
    else
        update_interest(stream);
}

void socket_stream_shutdown(struct socket_stream *stream)
{
    stream->shutting_down = true;
    if (byte_buffer_size(&stream->queue) > 0)
        return;
    shut_down(stream);
    if (is_sending(stream))
        update_interest(stream);
}

enum status socket_stream_peek(const struct socket_stream *stream)
{
    return stream->end != STATUS_OK ? stream->end : stream->transport->ops->peek(stream->transport);
}

enum status socket_stream_probe(const struct socket_stream *stream)
{
    return stream->end != STATUS_OK ? stream->end
                                    : stream->transport->ops->probe(stream->transport);
}

static void update_interest(struct socket_stream *stream)
{
    unsigned to_receive = is_receiving(stream) ? wants(stream, LOOP_READ) : 0;
    unsigned to_send = is_sending(stream) ? wants(stream, LOOP_WRITE) : 0;

    if (is_receiving(stream) && to_receive == 0)
        loop_later(stream->loop, &stream->go_on_task);
    loop_watch_set(stream->watch, to_receive | to_send);
}

static void update_charge(struct socket_stream *stream)
{
    size_t capacity = stream->kept.capacity + stream->queue.capacity;

    if (capacity > stream->charged)
        memory_account_charge(stream->account, capacity - stream->charged);
    else
        memory_account_release(stream->account, stream->charged - capacity);
    stream->charged = capacity;
}
