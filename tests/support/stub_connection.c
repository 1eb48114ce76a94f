#include "support/stub_connection.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum stage {
    STAGE_READING, /* waits for a request, or is in the middle of one */
    STAGE_STALLED, /* a fault lets time pass */
    STAGE_WORKING, /* the cost model does */
    STAGE_WRITING,
    STAGE_DRAINING /* half-closed: reads and drops until the client closes */
};

struct stub_connection {
    struct list_node    node; /* first: stub_server_done() relies on it */
    struct stub_server *server;
    struct http_reader *reader;
    struct event        read_event, write_event, timer;
    int                 fd; /* -1: the client went away while we worked */
    enum stage          stage;
    bool                is_control;
    uint64_t            since_us; /* when it became idle */
    struct byte_buffer  pending;  /* received, not yet read: pipelined requests */

    /* The request. */
    struct stub_route   route;
    struct stub_fault   fault;
    struct stub_api_job job;
    struct byte_buffer  body;
    bool                is_open; /* counted as in flight */

    /* The answer. */
    struct stub_answer answer;
    struct byte_buffer out;  /* head */
    struct bytes       left; /* of the body; with `repeats` the data never moves on */
    bool               repeats, close_after;
    uint64_t           allowance; /* slow-body: bytes that may be sent now */
};

static const size_t pending_max = (size_t)1 << 20;
static const size_t out_max = 4096;
enum { PATTERN_BYTES = 256 * 1024, SLOW_TICK_US = 20000 };

static void    on_readable(evutil_socket_t fd, short what, void *ctx);
static void    receive(struct stub_connection *connection);
static void    on_client_gone(struct stub_connection *connection);
static bool    read_input(struct stub_connection *connection, struct bytes input);
static bool    on_head(struct stub_connection *connection);
static bool    choose_fault(struct stub_connection *connection, const struct http_head *head);
static bool    on_body(struct stub_connection *connection, struct bytes bytes);
static bool    refuse_body(struct stub_connection *connection);
static void    open_request(struct stub_connection *connection);
static void    count_collection_writes(struct stub_connection *connection, int change);
static bool    begin(struct stub_connection *connection);
static bool    prepare(struct stub_connection *connection);
static void    answer_raw(struct stub_connection *connection);
static void    answer_stub(struct stub_connection *connection);
static void    obey(struct stub_connection *connection);
static void    answer_status(struct stub_connection *connection, unsigned status);
static void    wait_for(struct stub_connection *connection, enum stage stage, uint64_t wait_us);
static void    on_timer(evutil_socket_t fd, short what, void *ctx);
static bool    finish(struct stub_connection *connection);
static bool    cut(struct stub_connection *connection, enum stub_fault_cut how);
static bool    respond(struct stub_connection *connection);
static void    write_head(struct stub_connection *connection);
static void    on_writable(evutil_socket_t fd, short what, void *ctx);
static bool    flush(struct stub_connection *connection);
static ssize_t send_some(struct stub_connection *connection);
static void    sent(struct stub_connection *connection, size_t size);
static bool    end_request(struct stub_connection *connection);
static void    close_request(struct stub_connection *connection);
static void    next_request(struct stub_connection *connection);

/* One read-only run of bytes serves all raw answers. */
static const char *pattern(void)
{
    static char bytes[PATTERN_BYTES];

    if (bytes[0] == '\0')
        memset(bytes, 'x', sizeof(bytes));
    return bytes;
}

void stub_connection_new(struct stub_server *server, int fd, bool is_control)
{
    struct stub_connection      *connection = calloc(1, sizeof(*connection));
    struct stub_server_counters *counters = &server->counters;

    if (connection != NULL)
        connection->reader = http_reader_new(HTTP_READER_REQUEST, &server->limits);
    if (connection == NULL || connection->reader == NULL) {
        free(connection);
        close(fd);
        return;
    }
    connection->server = server;
    connection->fd = fd;
    connection->is_control = is_control;
    connection->since_us = stub_server_now_us();
    event_assign(&connection->read_event, server->base, fd, EV_READ | EV_PERSIST, on_readable,
                 connection);
    event_assign(&connection->write_event, server->base, fd, EV_WRITE, on_writable, connection);
    event_assign(&connection->timer, server->base, -1, 0, on_timer, connection);
    event_add(&connection->read_event, NULL);
    if (!is_control) {
        counters->connections_accepted++;
        if (counters->connections == counters->connections_max)
            stub_connection_sweep_closed(server); /* do not count one that is closed already */
        if (++counters->connections > counters->connections_max)
            counters->connections_max = counters->connections;
    }
    list_push_back(&server->connections, &connection->node);
}

void stub_connection_free(struct stub_connection *connection)
{
    close_request(connection);
    if (connection->fd >= 0) {
        event_del(&connection->read_event);
        event_del(&connection->write_event);
        close(connection->fd);
        if (!connection->is_control)
            connection->server->counters.connections--;
    }
    event_del(&connection->timer);
    list_remove(&connection->node);
    http_reader_free(connection->reader);
    byte_buffer_done(&connection->pending);
    byte_buffer_done(&connection->body);
    byte_buffer_done(&connection->out);
    free(connection);
}

void stub_connection_close_idle(struct stub_server *server, uint64_t idle_us)
{
    uint64_t now_us = stub_server_now_us();

    LIST_FOR_EACH(node, &server->connections)
    {
        struct stub_connection *connection = LIST_ITEM(node, struct stub_connection, node);

        if (!connection->is_control && connection->stage == STAGE_READING &&
            !http_reader_has_begun(connection->reader) && now_us - connection->since_us >= idle_us)
            stub_connection_free(connection);
    }
}

void stub_connection_sweep_closed(struct stub_server *server)
{
    LIST_FOR_EACH(node, &server->connections)
    {
        struct stub_connection *connection = LIST_ITEM(node, struct stub_connection, node);
        char                    byte;

        if (connection->fd >= 0 && recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
            on_client_gone(connection);
    }
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    receive(ctx);
}

/* Below here a function that returns bool says whether the connection still exists. */

static void receive(struct stub_connection *connection)
{
    char        *scratch = connection->server->scratch;
    ssize_t      size = recv(connection->fd, scratch, STUB_SERVER_SCRATCH_BYTES, 0);
    struct bytes input;
    enum status  status;

    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0) {
        on_client_gone(connection);
        return;
    }
    input = (struct bytes){.data = scratch, .size = (size_t)size};
    if (connection->stage == STAGE_DRAINING)
        return;
    if (connection->stage == STAGE_READING) {
        (void)read_input(connection, input);
        return;
    }
    status = byte_buffer_append(&connection->pending, input, pending_max);
    if (status != STATUS_OK)
        on_client_gone(connection); /* it sends on and on without waiting for answers */
}

/* The socket is gone. What was begun goes on: a write is applied at its time. */
static void on_client_gone(struct stub_connection *connection)
{
    if (connection->is_open)
        connection->server->counters.abandoned++;
    if (connection->stage != STAGE_STALLED && connection->stage != STAGE_WORKING) {
        stub_connection_free(connection);
        return;
    }
    event_del(&connection->read_event);
    close(connection->fd);
    connection->fd = -1;
    if (!connection->is_control)
        connection->server->counters.connections--;
}

static bool read_input(struct stub_connection *connection, struct bytes input)
{
    while (connection->stage == STAGE_READING) {
        struct bytes body;
        bool         exists = true;

        switch (http_reader_feed(connection->reader, &input, &body)) {
        case HTTP_READER_MORE:
            return true;
        case HTTP_READER_HEAD:
            exists = on_head(connection);
            break;
        case HTTP_READER_BODY:
            exists = on_body(connection, body);
            break;
        case HTTP_READER_END:
            open_request(connection);
            exists = begin(connection);
            break;
        case HTTP_READER_ERROR:
            connection->server->counters.bad_requests++;
            connection->fault = (struct stub_fault){0};
            connection->close_after = true;
            answer_status(connection, (unsigned)status_http_code(
                                          http_reader_error(connection->reader)->status));
            exists = respond(connection);
            break;
        }
        if (!exists)
            return false;
    }
    if (input.size > 0 &&
        byte_buffer_append(&connection->pending, input, pending_max) != STATUS_OK) {
        on_client_gone(connection);
        return false;
    }
    return true;
}

static bool on_head(struct stub_connection *connection)
{
    const struct http_head *head = http_reader_head(connection->reader);

    stub_route_parse(&connection->route, head->method, head->path);
    connection->job.request_id[0] = '\0';
    connection->close_after = !head->keep_alive;
    if (!choose_fault(connection, head))
        return respond(connection);
    if (connection->fault.early_status != 0) {
        open_request(connection);
        answer_status(connection, connection->fault.early_status);
        connection->fault.quiet_close = true;
        return respond(connection);
    }
    if (head->content_length > connection->server->body_max && head->has_content_length)
        return refuse_body(connection);
    if (head->expects_continue) {
        static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        ssize_t           size = send(connection->fd, text, sizeof(text) - 1, MSG_NOSIGNAL);

        (void)size; /* a full socket before the first answer: the client's own doing */
    }
    return true;
}

/* Which fault applies, from the rules or from the request itself. False: its rule is not valid and
 * the answer says so. */
static bool choose_fault(struct stub_connection *connection, const struct http_head *head)
{
    const struct stub_fault *fault = NULL;
    struct stub_fault_rule   rule;

    connection->fault = (struct stub_fault){0};
    if (connection->route.op == STUB_OP_STUB)
        return true;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        if (field->id == HTTP_FIELD_X_REQUEST_ID && field->value.size <= STUB_API_REQUEST_ID_MAX) {
            memcpy(connection->job.request_id, field->value.data, field->value.size);
            connection->job.request_id[field->value.size] = '\0';
        }
        if (field->id != HTTP_FIELD_OTHER ||
            !bytes_equal_nocase(field->name, BYTES_LITERAL("x-stub-fault")))
            continue;
        if (stub_fault_parse(&rule, field->value) != NULL) {
            connection->close_after = true;
            stub_answer_error(&connection->answer, 400, "StubError",
                              "x-stub-fault is not understood");
            return false;
        }
        fault = &rule.fault;
        connection->server->faults.fired++;
    }
    if (fault == NULL)
        fault = stub_fault_pick(&connection->server->faults, connection->route.op);
    if (fault != NULL)
        connection->fault = *fault;
    return true;
}

static bool on_body(struct stub_connection *connection, struct bytes bytes)
{
    connection->server->counters.body_bytes_in += bytes.size;
    if (connection->route.op == STUB_OP_RAW)
        return true;
    if (byte_buffer_append(&connection->body, bytes, connection->server->body_max) == STATUS_OK)
        return true;
    return refuse_body(connection);
}

/* Chroma has two ways to say that a body is too large. */
static bool refuse_body(struct stub_connection *connection)
{
    enum stub_op op = connection->route.op;

    open_request(connection);
    connection->close_after = true;
    if (op == STUB_OP_ADD || op == STUB_OP_UPSERT || op == STUB_OP_UPDATE || op == STUB_OP_QUERY)
        stub_answer_static(&connection->answer, 413, NULL, BYTES_LITERAL("Payload too large"));
    else
        stub_answer_error(&connection->answer, 413, "ChromaError",
                          "Failed to buffer the request body: length limit exceeded");
    return respond(connection);
}

static void open_request(struct stub_connection *connection)
{
    struct stub_server_counters *counters = &connection->server->counters;

    counters->requests[connection->route.op]++;
    connection->is_open = true;
    if (connection->route.op == STUB_OP_STUB)
        return;
    if (++counters->in_flight > counters->in_flight_max)
        counters->in_flight_max = counters->in_flight;
    if (stub_route_is_write(connection->route.op)) {
        if (++counters->writes_in_flight > counters->writes_in_flight_max)
            counters->writes_in_flight_max = counters->writes_in_flight;
        count_collection_writes(connection, 1);
    } else if (stub_route_is_read(connection->route.op)) {
        if (++counters->reads_in_flight > counters->reads_in_flight_max)
            counters->reads_in_flight_max = counters->reads_in_flight;
    }
}

static void count_collection_writes(struct stub_connection *connection, int change)
{
    struct stub_server_counters *counters = &connection->server->counters;
    struct stub_collection      *collection = NULL;

    if (connection->route.has_uuid)
        collection = stub_store_find(&connection->server->api.store, connection->route.uuid);
    if (collection == NULL)
        return;
    collection->writes_in_flight += (unsigned)change;
    if (change > 0 && collection->writes_in_flight > counters->collection_writes_in_flight_max)
        counters->collection_writes_in_flight_max = collection->writes_in_flight;
}

static bool begin(struct stub_connection *connection)
{
    if (connection->fault.stall_us == 0)
        return prepare(connection);
    wait_for(connection, STAGE_STALLED, connection->fault.stall_us);
    return true;
}

static bool prepare(struct stub_connection *connection)
{
    uint64_t now_us, done_us = 0;

    if (connection->fault.cut_before != STUB_FAULT_CUT_NONE)
        return cut(connection, connection->fault.cut_before);
    if (connection->fault.status != 0) {
        answer_status(connection, connection->fault.status);
        return respond(connection);
    }
    if (connection->route.op == STUB_OP_RAW) {
        answer_raw(connection);
        return respond(connection);
    }
    if (connection->route.op == STUB_OP_STUB) {
        answer_stub(connection);
        return respond(connection);
    }
    now_us = stub_server_now_us();
    stub_api_begin(&connection->server->api, &connection->route,
                   byte_buffer_bytes(&connection->body), now_us, &connection->job,
                   &connection->answer, &done_us);
    if (connection->answer.status != 0)
        return respond(connection);
    if (done_us <= now_us)
        return finish(connection);
    wait_for(connection, STAGE_WORKING, done_us - now_us);
    return true;
}

static void answer_raw(struct stub_connection *connection)
{
    static const struct bytes posted = {.data = "{\"result\":\"the request body has been read\"}",
                                        .size = 43};

    connection->repeats = connection->route.call == STUB_CALL_RAW_BYTES;
    stub_answer_static(&connection->answer, 200, "application/json",
                       connection->repeats
                           ? (struct bytes){.data = pattern(), .size = connection->route.size}
                           : posted);
}

static void answer_stub(struct stub_connection *connection)
{
    const struct http_head *head = http_reader_head(connection->reader);
    struct stub_server     *server = connection->server;

    if (connection->route.call == STUB_CALL_STATS) {
        stub_answer_json(&connection->answer, 200, stub_server_stats(server));
    } else if (connection->route.call == STUB_CALL_LOG) {
        size_t       offset = 0;
        struct bytes text;
        char        *copy;

        if (bytes_begin_with(head->query, BYTES_LITERAL("offset=")))
            offset = strtoul(head->query.data + 7, NULL, 10);
        text = stub_log_read(&server->api.log, offset);
        copy = malloc(text.size + 1);
        if (copy != NULL)
            memcpy(copy, text.data, text.size);
        stub_answer_owned(&connection->answer, copy == NULL ? 500 : 200, "application/x-ndjson",
                          copy, copy == NULL ? 0 : text.size);
    } else {
        obey(connection);
    }
}

/* POST /stub/fault: one command per line. */
static void obey(struct stub_connection *connection)
{
    struct bytes text = byte_buffer_bytes(&connection->body);

    while (text.size > 0) {
        const char  *newline = memchr(text.data, '\n', text.size), *complaint = NULL;
        struct bytes line = {.data = text.data,
                             .size = newline == NULL ? text.size : (size_t)(newline - text.data)};

        text = bytes_skip(text, newline == NULL ? text.size : line.size + 1);
        if (line.size > 0)
            complaint = stub_server_command(connection->server, line);
        if (complaint != NULL) {
            stub_answer_error(&connection->answer, 400, "StubError", "%s", complaint);
            return;
        }
    }
    stub_answer_static(&connection->answer, 200, "application/json", BYTES_LITERAL("{}"));
}

/* A refusal in one of Chroma's voices. */
static void answer_status(struct stub_connection *connection, unsigned status)
{
    struct stub_answer *answer = &connection->answer;

    switch (connection->fault.body) {
    case STUB_FAULT_BODY_ADMISSION:
        stub_answer_error(answer, status, "ChromaError",
                          "Too many requests; backoff and try again");
        break;
    case STUB_FAULT_BODY_PLAIN:
        stub_answer_static(answer, status, "text/plain; charset=utf-8",
                           BYTES_LITERAL("You have been rate limited."));
        break;
    case STUB_FAULT_BODY_EMPTY:
        stub_answer_static(answer, status, NULL, BYTES_LITERAL(""));
        break;
    case STUB_FAULT_BODY_CHROMA:
        stub_answer_error(answer, status, status == 500 ? "InternalError" : "ChromaError",
                          "stub: scripted fault");
        break;
    }
}

static void wait_for(struct stub_connection *connection, enum stage stage, uint64_t wait_us)
{
    struct timeval wait = {.tv_sec = (time_t)(wait_us / 1000000),
                           .tv_usec = (suseconds_t)(wait_us % 1000000)};

    connection->stage = stage;
    event_add(&connection->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    struct stub_connection *connection = ctx;

    (void)fd;
    (void)what;
    if (connection->stage == STAGE_WRITING) {
        connection->allowance += connection->fault.slow_bytes_per_sec * SLOW_TICK_US / 1000000 + 1;
        if (flush(connection))
            next_request(connection);
    } else if (connection->stage == STAGE_STALLED ? prepare(connection) : finish(connection)) {
        next_request(connection);
    }
}

static bool finish(struct stub_connection *connection)
{
    stub_api_finish(&connection->server->api, &connection->route, &connection->job,
                    &connection->answer);
    if (connection->fault.applied_status != 0)
        answer_status(connection, connection->fault.applied_status);
    return respond(connection);
}

static bool cut(struct stub_connection *connection, enum stub_fault_cut how)
{
    static const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    close_request(connection);
    if (connection->fd >= 0 && how == STUB_FAULT_CUT_HALF_CLOSE) {
        shutdown(connection->fd, SHUT_WR);
        connection->stage = STAGE_DRAINING;
        return true;
    }
    if (connection->fd >= 0 && how == STUB_FAULT_CUT_RESET)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    stub_connection_free(connection);
    return false;
}

static bool respond(struct stub_connection *connection)
{
    struct stub_fault *fault = &connection->fault;

    if (connection->fd < 0) { /* nobody is there to be told */
        stub_connection_free(connection);
        return false;
    }
    if (fault->cut_after == STUB_FAULT_CUT_RESET || fault->cut_after == STUB_FAULT_CUT_CLOSE)
        return cut(connection, fault->cut_after);
    connection->stage = STAGE_WRITING;
    connection->left = connection->answer.body;
    write_head(connection);
    if (fault->slow_bytes_per_sec > 0)
        wait_for(connection, STAGE_WRITING, SLOW_TICK_US);
    return flush(connection);
}

static void write_head(struct stub_connection *connection)
{
    static char         date[64];
    static time_t       date_of;
    struct stub_answer *answer = &connection->answer;
    struct stub_fault  *fault = &connection->fault;
    size_t              declared = fault->long_answer ? answer->body.size / 2 : answer->body.size;
    time_t              now = time(NULL);
    enum status         status;

    byte_buffer_clear(&connection->out);
    if (fault->garbage) {
        connection->left.size = 0;
        connection->close_after = true;
        status = byte_buffer_append(
            &connection->out, BYTES_LITERAL("\x16\x03\x01 this is not HTTP\r\n\r\n"), out_max);
        assert(status == STATUS_OK);
        return;
    }
    if (now != date_of) {
        struct tm utc;

        date_of = now;
        strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    }
    status = byte_buffer_printf(
        &connection->out, out_max,
        "HTTP/1.1 %u %s\r\n%s%s%s%s%s%scontent-length: %zu\r\n%s%sdate: %s\r\n\r\n", answer->status,
        answer->status < 300 ? "OK" : "Not OK",
        answer->content_type == NULL ? "" : "content-type: ",
        answer->content_type == NULL ? "" : answer->content_type,
        answer->content_type == NULL ? "" : "\r\n",
        answer->allow == NULL ? "" : "allow: ", answer->allow == NULL ? "" : answer->allow,
        answer->allow == NULL ? "" : "\r\n", declared,
        connection->close_after && !fault->quiet_close ? "connection: close\r\n" : "",
        answer->status >= 400 ? "chroma-trace-id: 00000000000000000000000000000000\r\n" : "", date);
    assert(status == STATUS_OK);
    if (fault->half_answer)
        connection->left.size /= 2;
    if (fault->half_answer || fault->quiet_close)
        connection->close_after = true;
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
    struct stub_connection *connection = ctx;

    (void)fd;
    (void)what;
    if (flush(connection))
        next_request(connection);
}

/* Send what can be sent. */
static bool flush(struct stub_connection *connection)
{
    bool is_slow = connection->fault.slow_bytes_per_sec > 0;

    while (byte_buffer_size(&connection->out) > 0 || connection->left.size > 0) {
        ssize_t size;

        if (is_slow && byte_buffer_size(&connection->out) == 0 && connection->allowance == 0) {
            wait_for(connection, STAGE_WRITING, SLOW_TICK_US);
            return true;
        }
        size = send_some(connection);
        if (size >= 0) {
            sent(connection, (size_t)size);
        } else if (errno == EAGAIN) {
            event_add(&connection->write_event, NULL);
            return true;
        } else if (errno != EINTR) {
            connection->server->counters.abandoned++;
            stub_connection_free(connection);
            return false;
        }
    }
    return end_request(connection);
}

static ssize_t send_some(struct stub_connection *connection)
{
    struct bytes  head = byte_buffer_bytes(&connection->out);
    size_t        size = connection->left.size;
    struct iovec  parts[2] = {{.iov_base = (void *)(uintptr_t)head.data, .iov_len = head.size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (connection->repeats && size > PATTERN_BYTES)
        size = PATTERN_BYTES;
    if (connection->fault.slow_bytes_per_sec > 0 && size > connection->allowance)
        size = (size_t)connection->allowance;
    parts[1] =
        (struct iovec){.iov_base = (void *)(uintptr_t)connection->left.data, .iov_len = size};
    return sendmsg(connection->fd, &message, MSG_NOSIGNAL);
}

static void sent(struct stub_connection *connection, size_t size)
{
    size_t of_head = byte_buffer_size(&connection->out);

    if (of_head > size)
        of_head = size;
    if (of_head > 0)
        byte_buffer_consume(&connection->out, of_head);
    size -= of_head;
    if (connection->repeats)
        connection->left.size -= size;
    else
        connection->left = bytes_skip(connection->left, size);
    if (connection->fault.slow_bytes_per_sec > 0)
        connection->allowance -= size;
}

static bool end_request(struct stub_connection *connection)
{
    close_request(connection);
    if (connection->fault.cut_after == STUB_FAULT_CUT_HALF_CLOSE)
        return cut(connection, STUB_FAULT_CUT_HALF_CLOSE);
    if (connection->close_after) {
        stub_connection_free(connection);
        return false;
    }
    http_reader_reset(connection->reader, false);
    connection->stage = STAGE_READING;
    connection->since_us = stub_server_now_us();
    return true;
}

/* Forget the request and its answer, and count it as no longer in flight. */
static void close_request(struct stub_connection *connection)
{
    struct stub_server_counters *counters = &connection->server->counters;

    if (connection->is_open && connection->route.op != STUB_OP_STUB) {
        counters->in_flight--;
        if (stub_route_is_write(connection->route.op)) {
            counters->writes_in_flight--;
            count_collection_writes(connection, -1);
        } else if (stub_route_is_read(connection->route.op)) {
            counters->reads_in_flight--;
        }
    }
    connection->is_open = false;
    connection->repeats = false;
    connection->allowance = 0;
    event_del(&connection->timer);
    stub_api_job_done(&connection->job);
    stub_answer_done(&connection->answer);
    if (connection->body.capacity > STUB_SERVER_SCRATCH_BYTES)
        byte_buffer_done(&connection->body);
    else
        byte_buffer_clear(&connection->body);
}

/* A timer or a full socket held the connection; requests may wait in `pending`. */
static void next_request(struct stub_connection *connection)
{
    while (connection->stage == STAGE_READING && byte_buffer_size(&connection->pending) > 0) {
        struct byte_buffer input = connection->pending;

        connection->pending = (struct byte_buffer){0};
        if (!read_input(connection, byte_buffer_bytes(&input))) {
            byte_buffer_done(&input);
            return;
        }
        byte_buffer_done(&input);
    }
}
