#include "bench/bench_client.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECEIVE_BYTES = 256 * 1024, PARTS_AT_ONCE = 1024 };

/* All connections receive into the same memory: what arrives is read at once or dropped. */
static char scratch[RECEIVE_BYTES];

static const struct http_reader_limits limits = {
    .start_line_bytes_max = 8192, .head_bytes_max = 65536, .body_bytes_max = UINT64_MAX};

static enum bench_client_outcome bench_client_fail(struct bench_client      *client,
                                                   enum bench_result_failure why);
static bool                      open_connection(struct bench_client *client);
static enum bench_client_outcome send_parts(struct bench_client *client);
static void                      advance(struct bench_client *client, size_t size);
static enum bench_client_outcome bench_client_receive(struct bench_client *client, bool has_ended);
static enum bench_client_outcome bench_client_read_answer(struct bench_client *client,
                                                          struct bytes         input);
static enum bench_client_outcome bench_client_finish(struct bench_client *client, bool is_clean);
static void                      bench_client_read_head(struct bench_client *client);
static void                      keep_text(struct bench_client *client, struct bytes body);

bool bench_client_init(struct bench_client *client, const struct bench_target *target, int epoll)
{
    *client = (struct bench_client){.target = target, .epoll = epoll, .fd = -1};
    client->reader = http_reader_new(HTTP_READER_RESPONSE, &limits);
    return client->reader != NULL;
}

void bench_client_done(struct bench_client *client)
{
    bench_client_close(client);
    http_reader_free(client->reader);
    bench_request_done(&client->request);
}

void bench_client_close(struct bench_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->is_busy = false;
}

enum bench_client_outcome bench_client_start(struct bench_client *client, bool *ret_opened)
{
    client->is_busy = true;
    client->part = client->offset = 0;
    client->status = 0;
    client->executed = BENCH_RESULT_UNSAID;
    client->text_size = 0;
    http_reader_reset(client->reader, false);
    if (client->fd < 0) {
        if (!open_connection(client))
            return bench_client_fail(client, BENCH_RESULT_CONNECT);
        *ret_opened = true;
        return BENCH_CLIENT_PENDING; /* sent when epoll says that it is connected */
    }
    return send_parts(client);
}

static bool open_connection(struct bench_client *client)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data = {.ptr = client}};

    client->fd = bench_target_connect(client->target);
    if (client->fd < 0)
        return false;
    if (epoll_ctl(client->epoll, EPOLL_CTL_ADD, client->fd, &event) == 0)
        return true;
    bench_client_close(client);
    return false;
}

static enum bench_client_outcome bench_client_fail(struct bench_client      *client,
                                                   enum bench_result_failure why)
{
    bench_client_close(client);
    client->failure = why;
    return BENCH_CLIENT_FAILED;
}

enum bench_client_outcome bench_client_on_event(struct bench_client *client, uint32_t events)
{
    int       code = 0;
    socklen_t size = sizeof(code);

    if (client->fd < 0)
        return BENCH_CLIENT_PENDING; /* an event from before it was closed */
    if (!client->is_busy) {
        if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
            bench_client_close(client); /* the server does not want it any longer */
        return BENCH_CLIENT_PENDING;
    }
    if ((events & EPOLLERR) != 0 && client->part == 0 && client->offset == 0 &&
        getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &code, &size) == 0 && code != 0)
        return bench_client_fail(client, BENCH_RESULT_CONNECT);
    if ((events & EPOLLOUT) != 0 && client->part < client->request.part_count) {
        enum bench_client_outcome outcome = send_parts(client);

        if (outcome != BENCH_CLIENT_PENDING)
            return outcome;
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        return bench_client_receive(client, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
    return BENCH_CLIENT_PENDING;
}

static enum bench_client_outcome send_parts(struct bench_client *client)
{
    struct bench_request *request = &client->request;

    while (client->part < request->part_count) {
        struct iovec *first = &request->parts[client->part], whole = *first;
        size_t        count = request->part_count - client->part;
        struct msghdr message = {.msg_iov = first, .msg_iovlen = count};
        ssize_t       size;

        if (count > PARTS_AT_ONCE)
            message.msg_iovlen = PARTS_AT_ONCE;
        first->iov_base = (char *)whole.iov_base + client->offset;
        first->iov_len -= client->offset;
        size = sendmsg(client->fd, &message, MSG_NOSIGNAL);
        *first = whole;
        if (size >= 0)
            advance(client, (size_t)size);
        else if (errno == EAGAIN || errno == ENOTCONN)
            return BENCH_CLIENT_PENDING;
        else if (errno == EPIPE || errno == ECONNRESET)
            return bench_client_receive(
                client, true); /* there may be an answer, given before the whole request */
        else if (errno != EINTR)
            return bench_client_fail(client, BENCH_RESULT_RESET);
    }
    return BENCH_CLIENT_PENDING;
}

static void advance(struct bench_client *client, size_t size)
{
    struct bench_request *request = &client->request;

    size += client->offset;
    while (client->part < request->part_count && size >= request->parts[client->part].iov_len)
        size -= request->parts[client->part++].iov_len;
    client->offset = size;
}

static enum bench_client_outcome bench_client_receive(struct bench_client *client, bool has_ended)
{
    for (;;) {
        ssize_t                   size = recv(client->fd, scratch, sizeof(scratch), 0);
        enum bench_client_outcome outcome;

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0 && errno == EAGAIN)
            return BENCH_CLIENT_PENDING;
        if (size < 0)
            return bench_client_fail(client, BENCH_RESULT_RESET);
        if (size == 0)
            return http_reader_end_of_input(client->reader) == HTTP_READER_END
                       ? bench_client_finish(client, false)
                       : bench_client_fail(client, BENCH_RESULT_RESET);
        outcome =
            bench_client_read_answer(client, (struct bytes){.data = scratch, .size = (size_t)size});
        if (outcome != BENCH_CLIENT_PENDING)
            return outcome;
        if ((size_t)size < sizeof(scratch) && !has_ended)
            return BENCH_CLIENT_PENDING; /* drained: epoll tells when there is more */
    }
}

static enum bench_client_outcome bench_client_read_answer(struct bench_client *client,
                                                          struct bytes         input)
{
    struct bytes body;

    for (;;) {
        switch (http_reader_feed(client->reader, &input, &body)) {
        case HTTP_READER_MORE:
            return BENCH_CLIENT_PENDING;
        case HTTP_READER_HEAD:
            bench_client_read_head(client);
            break;
        case HTTP_READER_BODY:
            if (client->status > 299)
                keep_text(client, body);
            break;
        case HTTP_READER_END:
            if (client->status >= 200)
                return bench_client_finish(client, input.size == 0);
            http_reader_reset(client->reader, false); /* 1xx: the answer follows */
            break;
        case HTTP_READER_ERROR:
            return bench_client_fail(client, BENCH_RESULT_GARBLED);
        }
    }
}

/* The answer is complete; `is_clean`: nothing came behind it. */
static enum bench_client_outcome bench_client_finish(struct bench_client *client, bool is_clean)
{
    if (!is_clean || !client->keeps_alive || client->part < client->request.part_count)
        bench_client_close(client);
    client->is_busy = false;
    return BENCH_CLIENT_ANSWERED;
}

static void bench_client_read_head(struct bench_client *client)
{
    const struct http_head *head = http_reader_head(client->reader);

    client->status = head->status;
    client->keeps_alive = head->keep_alive;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        if (field->id != HTTP_FIELD_OTHER ||
            !bytes_equal_nocase(field->name, BYTES_LITERAL("x-chromabouncer-executed")))
            continue;
        for (enum bench_result_executed kind = BENCH_RESULT_EXECUTED_NO;
             kind < BENCH_RESULT_EXECUTED_KINDS; kind++) {
            if (bytes_equal(field->value, bytes_of(bench_result_executed_name(kind))))
                client->executed = kind;
        }
    }
}

static void keep_text(struct bench_client *client, struct bytes body)
{
    size_t room = sizeof(client->text) - client->text_size;

    if (body.size > room)
        body.size = room;
    memcpy(client->text + client->text_size, body.data, body.size);
    client->text_size += body.size;
}
