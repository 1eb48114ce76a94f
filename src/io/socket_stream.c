#include "io/socket_stream.h"

#include <stdlib.h>

#include "base/byte_buffer.h"
#include "io/socket.h"

struct socket_stream {
    struct loop                       *loop;
    struct memory_budget              *budget;
    const struct socket_stream_events *events;
    void                              *ctx;
    int                                fd;
    struct loop_watch                 *watch;
    struct byte_buffer                 kept;    /* received, not yet consumed by on_data */
    struct byte_buffer                 queue;   /* to be sent */
    size_t                             charged; /* capacity of both, charged to the budget */
    uint64_t                           sent;
    struct loop_task                   offer_task;
    enum status                        end; /* STATUS_OK while more may arrive */
    bool                               paused, end_told, send_broken;
    bool                               shutting_down, fin_sent, was_full, ends_with_reset;
};

static void        on_ready(unsigned ready, void *ctx);
static void        receive(struct socket_stream *stream);
static void        keep(struct socket_stream *stream, struct bytes rest);
static void        lose(struct socket_stream *stream);
static void        offer_kept(void *ctx);
static void        tell_end(struct socket_stream *stream);
static size_t      send_now(struct socket_stream *stream, const struct bytes *parts, size_t count);
static enum status queue_rest(struct socket_stream *stream, const struct bytes *parts, size_t count,
                              size_t sent);
static void        flush(struct socket_stream *stream);
static void        update_interest(struct socket_stream *stream);
static void        update_charge(struct socket_stream *stream);

struct socket_stream *socket_stream_new(struct loop *loop, struct memory_budget *budget, int fd,
                                        const struct socket_stream_events *events, void *ctx)
{
    struct socket_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL)
        return NULL;
    stream->loop = loop;
    stream->budget = budget;
    stream->events = events;
    stream->ctx = ctx;
    stream->fd = fd;
    stream->paused = true;
    loop_task_init(&stream->offer_task, offer_kept, stream);
    stream->watch = loop_watch_new(loop, fd, on_ready, stream);
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
    loop_task_cancel(&stream->offer_task);
    if (stream->ends_with_reset)
        socket_reset(stream->fd);
    else
        socket_close(stream->fd);
    stream->fd = -1;
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

    if (ready & LOOP_WRITE)
        flush(stream);
    else
        receive(stream);
}

static void receive(struct socket_stream *stream)
{
    struct loop_scratch scratch = loop_scratch(stream->loop);
    size_t              size = 0, consumed;
    enum status         status = socket_recv(stream->fd, scratch.data, scratch.size, &size);

    if (status == STATUS_AGAIN)
        return;
    if (status != STATUS_OK) {
        stream->end = status;
        update_interest(stream);
        tell_end(stream);
        return;
    }
    consumed =
        stream->events->on_data((struct bytes){.data = scratch.data, .size = size}, stream->ctx);
    if (stream->fd >= 0 && consumed < size)
        keep(stream, (struct bytes){.data = scratch.data + consumed, .size = size - consumed});
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
    loop_later(stream->loop, &stream->offer_task);
}

/* Offer what on_data left, then the end if it was seen. */
static void offer_kept(void *ctx)
{
    struct socket_stream *stream = ctx;

    if (stream->paused)
        return;
    if (byte_buffer_size(&stream->kept) > 0) {
        struct byte_buffer offered = stream->kept;
        size_t             size = byte_buffer_size(&offered), consumed;

        stream->kept = (struct byte_buffer){0};
        consumed = stream->events->on_data(byte_buffer_bytes(&offered), stream->ctx);
        if (stream->fd >= 0 && consumed < size)
            keep(stream, bytes_skip(byte_buffer_bytes(&offered), consumed));
        byte_buffer_done(&offered);
        if (stream->fd < 0)
            return;
        update_charge(stream);
        if (consumed < size)
            return;
    }
    update_interest(stream);
    if (stream->end != STATUS_OK)
        tell_end(stream);
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
        status = socket_send(stream->fd, &parts[i], piece, &size);
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
    size_t       sent = send_now(stream, &content, 1);

    if (stream->send_broken)
        byte_buffer_done(&stream->queue);
    else
        byte_buffer_consume(&stream->queue, sent);
    if (byte_buffer_size(&stream->queue) == 0) {
        byte_buffer_done(&stream->queue);
        if (stream->shutting_down && !stream->fin_sent) {
            stream->fin_sent = true;
            socket_shutdown_send(stream->fd);
        }
    }
    update_charge(stream);
    update_interest(stream);
    if (byte_buffer_size(&stream->queue) == 0 ||
        (stream->was_full && byte_buffer_size(&stream->queue) <= SOCKET_STREAM_LOW)) {
        stream->was_full = false;
        stream->events->on_drained(stream->ctx);
    }
}

uint64_t socket_stream_sent(const struct socket_stream *stream)
{
    return stream->sent;
}

size_t socket_stream_queued(const struct socket_stream *stream)
{
    return byte_buffer_size(&stream->queue);
}

bool socket_stream_is_full(const struct socket_stream *stream)
{
    size_t queued = byte_buffer_size(&stream->queue);

    return queued > SOCKET_STREAM_HIGH || (queued > 0 && memory_budget_is_exceeded(stream->budget));
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
        loop_later(stream->loop, &stream->offer_task);
    else
        update_interest(stream);
}

void socket_stream_shutdown(struct socket_stream *stream)
{
    stream->shutting_down = true;
    if (byte_buffer_size(&stream->queue) == 0 && !stream->fin_sent && !stream->send_broken) {
        stream->fin_sent = true;
        socket_shutdown_send(stream->fd);
    }
}

enum status socket_stream_peek(const struct socket_stream *stream)
{
    return stream->end != STATUS_OK ? stream->end : socket_peek(stream->fd);
}

enum status socket_stream_probe(const struct socket_stream *stream)
{
    return stream->end != STATUS_OK ? stream->end : socket_probe(stream->fd);
}

static void update_interest(struct socket_stream *stream)
{
    bool reading =
        !stream->paused && stream->end == STATUS_OK && byte_buffer_size(&stream->kept) == 0;
    bool writing = byte_buffer_size(&stream->queue) > 0 && !stream->send_broken;

    loop_watch_set(stream->watch, (reading ? LOOP_READ : 0u) | (writing ? LOOP_WRITE : 0u));
}

static void update_charge(struct socket_stream *stream)
{
    size_t capacity = stream->kept.capacity + stream->queue.capacity;

    if (capacity > stream->charged)
        memory_budget_charge(stream->budget, capacity - stream->charged);
    else
        memory_budget_release(stream->budget, stream->charged - capacity);
    stream->charged = capacity;
}
