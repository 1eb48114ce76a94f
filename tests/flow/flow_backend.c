#include "flow/flow_backend.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow/fake_loop.h"
#include "flow/flow_pattern.h"
#include "io/clock.h"

static const struct http_reader_limits limits = {
    .start_line_bytes_max = 65536, .head_bytes_max = 262144, .body_bytes_max = UINT64_MAX};

/* After half an answer. */
static const uint64_t give_up_us = 300000000;

enum { batch_ids_max = 256 };

enum state { READING, THINKING, ANSWERING, GONE };

struct flow_backend_connection {
    struct flow_backend_connection *next_of_world;
    struct flow_backend            *backend;
    struct fake_net_end            *end;
    struct http_reader             *reader;
    struct byte_buffer              out;
    enum state                      state;
    bool                            read_planned, piece_planned, in_request, is_answered, is_head;
    bool                            discards_body, is_busy;
    bool                            is_dirty; /* it sent what nobody asked for */
    struct flow_plan                plan;
    unsigned                        id;
    bool                            is_batch; /* without an id: the ids are in its body */
    struct byte_buffer              batch_body, answer;
    char                            target[300];
    unsigned                        batch_ids[batch_ids_max];
    size_t                          batch_count;
    uint64_t                        body_size, body_at, answer_size, idle_since_us;
    size_t                          out_limit; /* send no more than this of `out` */
};

static void   on_accept(struct fake_net_end *end, void *ctx);
static void   on_event(struct fake_net_end *end, void *ctx);
static void   receive(struct flow_backend_connection *connection);
static void   count_cancelled(struct flow_backend_connection *connection);
static void   find_ids(struct flow_backend_connection *connection);
static bool   reads_now(const struct flow_backend_connection *connection);
static void   on_read_time(void *ctx);
static size_t read_request(struct flow_backend_connection *connection, struct bytes input);
static void   begin_request(struct flow_backend_connection *connection);
static void   set_busy(struct flow_backend_connection *connection, bool busy);
static void   check_body(struct flow_backend_connection *connection, struct bytes body);
static void   end_request(struct flow_backend_connection *connection);
static void   tell_request(struct flow_backend_connection *connection, bool is_due);
static void   on_answer_time(void *ctx);
static void   write_answer(struct flow_backend_connection *connection);
static void   write_body(struct flow_backend_connection *connection, uint64_t size, bool chunked);
static void   send_out(struct flow_backend_connection *connection);
static void   on_piece_time(void *ctx);
static void   on_answer_sent(struct flow_backend_connection *connection);
static void   on_give_up(void *ctx);
static void   on_later(void *ctx);
static void   on_idle(void *ctx);
static void   leave(struct flow_backend_connection *connection, bool reset);
static void   append(struct byte_buffer *buffer, const char *text);

void flow_backend_serve(struct flow_backend *backend, uint16_t port)
{
    fake_net_serve(port, on_accept, backend);
}

void flow_backend_done(struct flow_backend *backend)
{
    while (backend->connections != NULL) {
        struct flow_backend_connection *connection = backend->connections;

        backend->connections = connection->next_of_world;
        http_reader_free(connection->reader);
        byte_buffer_done(&connection->out);
        byte_buffer_done(&connection->batch_body);
        byte_buffer_done(&connection->answer);
        free(connection);
    }
    byte_buffer_done(&backend->last_head);
    byte_buffer_done(&backend->last_body);
}

void flow_backend_quit(struct flow_backend *backend)
{
    for (struct flow_backend_connection *connection = backend->connections; connection != NULL;
         connection = connection->next_of_world)
        leave(connection, false);
}

void flow_backend_kill(struct flow_backend *backend)
{
    for (struct flow_backend_connection *connection = backend->connections; connection != NULL;
         connection = connection->next_of_world)
        leave(connection, true);
}

void flow_backend_go_on(struct flow_backend *backend)
{
    backend->reads = true;
    for (struct flow_backend_connection *connection = backend->connections; connection != NULL;
         connection = connection->next_of_world)
        if (connection->state != GONE)
            receive(connection);
}

static void append(struct byte_buffer *buffer, const char *text)
{
    enum status status = byte_buffer_append(buffer, bytes_of(text), SIZE_MAX);

    assert(status == STATUS_OK);
    (void)status;
}

const char *flow_backend_last_head(struct flow_backend *backend)
{
    append(&backend->last_head, "");
    if (byte_buffer_reserve(&backend->last_head, 1, SIZE_MAX) != STATUS_OK)
        abort();
    backend->last_head.data[backend->last_head.end] = '\0';
    return byte_buffer_bytes(&backend->last_head).data;
}

static void on_accept(struct fake_net_end *end, void *ctx)
{
    struct flow_backend            *backend = ctx;
    struct flow_backend_connection *connection = calloc(1, sizeof *connection);

    assert(connection != NULL);
    connection->backend = backend;
    connection->end = end;
    connection->reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    connection->out_limit = SIZE_MAX;
    connection->next_of_world = backend->connections;
    backend->connections = connection;
    backend->accepted++;
    fake_net_tell(end, on_event, connection);
}

static void on_event(struct fake_net_end *end, void *ctx)
{
    struct flow_backend_connection *connection = ctx;

    (void)end;
    if (connection->state == ANSWERING)
        send_out(connection);
    if (connection->state != GONE && !connection->read_planned)
        receive(connection);
}

static void receive(struct flow_backend_connection *connection)
{
    static char          data[65536];
    struct flow_backend *backend = connection->backend;
    size_t               left = backend->read_per_second > 0 ? backend->read_per_second / 10 : 0;

    while (backend->reads && reads_now(connection)) {
        size_t size = sizeof data;

        if (backend->read_per_second > 0 && size > left)
            size = left;
        size = fake_net_read(connection->end, data, size);
        if (size == 0)
            break;
        left -= backend->read_per_second > 0 ? size : 0;
        read_request(connection, (struct bytes){.data = data, .size = size});
    }
    if (connection->state == GONE || !backend->reads)
        return;
    if (backend->read_per_second > 0) {
        connection->read_planned = true;
        fake_loop_at(clock_now_us() + 100000, on_read_time, connection);
    }
    if (reads_now(connection) ? fake_net_has_ended(connection->end)
                              : fake_net_will_end(connection->end)) {
        if (connection->in_request && !connection->is_answered && !connection->is_dirty)
            count_cancelled(connection);
        leave(connection, false);
    }
}

static void count_cancelled(struct flow_backend_connection *connection)
{
    struct flow_backend *backend = connection->backend;

    backend->records[connection->id].cancelled += !connection->is_batch;
    find_ids(connection);
    for (size_t i = 0; i < connection->batch_count; i++)
        backend->records[connection->batch_ids[i]].cancelled++;
}

/* The ids in the body, as far as it has come. */
static void find_ids(struct flow_backend_connection *connection)
{
    struct bytes body = byte_buffer_bytes(&connection->batch_body);
    const char  *found;

    connection->batch_count = 0;
    while (body.size > 0 && (found = memmem(body.data, body.size, "\"w", 2)) != NULL) {
        unsigned id = 0;

        for (found += 2; *found >= '0' && *found <= '9'; found++)
            id = id * 10 + (unsigned)(*found - '0');
        assert(id < FLOW_BACKEND_RECORDS_MAX && connection->batch_count < batch_ids_max);
        connection->batch_ids[connection->batch_count++] = id;
        body = bytes_skip(body, (size_t)(found - body.data));
    }
    if (connection->batch_count > connection->backend->batch_peak)
        connection->backend->batch_peak = connection->batch_count;
}

static bool reads_now(const struct flow_backend_connection *connection)
{
    return connection->state == READING || (connection->state != GONE && connection->discards_body);
}

static void on_read_time(void *ctx)
{
    struct flow_backend_connection *connection = ctx;

    connection->read_planned = false;
    if (connection->state != GONE)
        receive(connection);
}

static size_t read_request(struct flow_backend_connection *connection, struct bytes input)
{
    struct flow_backend *backend = connection->backend;

    while (connection->state != GONE) {
        struct bytes           body, before = input;
        enum http_reader_event event;

        if (!reads_now(connection)) {
            backend->early_bytes += input.size;
            return 0;
        }
        event = http_reader_feed(connection->reader, &input, &body);
        if (!connection->in_request) {
            byte_buffer_clear(&backend->last_head);
            connection->in_request = before.size > 0;
            connection->id = 0;
        }
        if ((event == HTTP_READER_MORE || event == HTTP_READER_HEAD) && before.size > input.size &&
            byte_buffer_append(
                &backend->last_head,
                (struct bytes){.data = before.data, .size = before.size - input.size},
                SIZE_MAX) != STATUS_OK)
            abort();
        switch (event) {
        case HTTP_READER_MORE:
            return 0;
        case HTTP_READER_HEAD:
            begin_request(connection);
            break;
        case HTTP_READER_BODY:
            check_body(connection, body);
            break;
        case HTTP_READER_END:
            end_request(connection);
            break;
        case HTTP_READER_ERROR:
            backend->bad_http = true;
            leave(connection, true);
            return 0;
        }
    }
    return 0;
}

static void begin_request(struct flow_backend_connection *connection)
{
    struct flow_backend    *backend = connection->backend;
    const struct http_head *head = http_reader_head(connection->reader);
    char                    query[200] = "";
    struct flow_record     *record;
    unsigned                id = 0, n = 0, m = 0;

    if (head->query.size > 0 && head->query.size < sizeof query)
        memcpy(query, head->query.data, head->query.size);
    sscanf(query, "id=%u&n=%u&m=%u", &id, &n, &m);
    assert(id < FLOW_BACKEND_RECORDS_MAX);
    connection->id = id;
    connection->is_batch = id == 0;
    connection->batch_count = 0;
    byte_buffer_clear(&connection->batch_body);
    byte_buffer_clear(&connection->answer);
    byte_buffer_clear(&backend->last_body);
    snprintf(connection->target, sizeof connection->target, "%.*s", (int)head->target.size,
             head->target.data);
    connection->body_size = n;
    connection->body_at = 0;
    connection->answer_size = m;
    connection->is_head = head->is_head;
    connection->is_answered = false;
    connection->discards_body = false;
    connection->plan = backend->plan;
    if (backend->on_plan != NULL)
        backend->on_plan(backend, id, &connection->plan, backend->ctx);
    record = &backend->records[id];
    record->heads++;
    if (backend->request_count < FLOW_BACKEND_RECORDS_MAX)
        backend->order[backend->request_count] = id;
    backend->request_count++;
    set_busy(connection, true);
    switch (connection->plan.fault) {
    case FLOW_FAULT_RESET_AT_HEAD:
        leave(connection, true);
        break;
    case FLOW_FAULT_EARLY_CLOSE:
    case FLOW_FAULT_EARLY_DRAIN:
        connection->discards_body = true;
        connection->state = THINKING;
        fake_loop_at(clock_now_us() + connection->plan.delay_us, on_answer_time, connection);
        break;
    default:
        if (connection->plan.answers_halfway) {
            write_answer(connection);
            fake_net_write(connection->end,
                           (struct bytes){.data = byte_buffer_bytes(&connection->out).data,
                                          .size = byte_buffer_size(&connection->out) / 2});
            byte_buffer_consume(&connection->out, byte_buffer_size(&connection->out) / 2);
        }
        break;
    }
}

static void set_busy(struct flow_backend_connection *connection, bool busy)
{
    struct flow_backend *backend = connection->backend;

    backend->busy += busy && !connection->is_busy;
    backend->busy -= !busy && connection->is_busy;
    connection->is_busy = busy;
    if (backend->busy > backend->busy_peak)
        backend->busy_peak = backend->busy;
}

static void check_body(struct flow_backend_connection *connection, struct bytes body)
{
    struct flow_backend *backend = connection->backend;

    backend->body_bytes += body.size;
    if (connection->is_batch) {
        if (byte_buffer_append(&connection->batch_body, body, SIZE_MAX) != STATUS_OK ||
            byte_buffer_append(&backend->last_body, body, SIZE_MAX) != STATUS_OK)
            abort();
        return;
    }
    if (!flow_pattern_matches(body, connection->id, false, connection->body_at))
        backend->records[connection->id].body_is_wrong = true;
    connection->body_at += body.size;
}

static void end_request(struct flow_backend_connection *connection)
{
    struct flow_backend *backend = connection->backend;
    struct flow_record  *record = &backend->records[connection->id];

    record->complete++;
    if (connection->is_batch)
        find_ids(connection);
    for (size_t i = 0; i < connection->batch_count; i++)
        backend->records[connection->batch_ids[i]].heads++;
    if (connection->body_at != connection->body_size)
        record->body_is_wrong = true;
    if (connection->discards_body) { /* answered, or about to be */
        connection->discards_body = false;
        if (connection->state == READING) {
            connection->in_request = false;
            http_reader_reset(connection->reader, false);
        }
        return;
    }
    tell_request(connection, false);
    if (connection->plan.fault == FLOW_FAULT_RESET_BEFORE) {
        leave(connection, true);
        return;
    }
    connection->state = THINKING;
    fake_loop_at(clock_now_us() + connection->plan.delay_us, on_answer_time, connection);
}

static void tell_request(struct flow_backend_connection *connection, bool is_due)
{
    struct flow_backend *backend = connection->backend;

    if (backend->on_request != NULL && connection->is_batch)
        backend->on_request(backend, connection->target, byte_buffer_bytes(&connection->batch_body),
                            is_due, &connection->plan, &connection->answer, backend->ctx);
}

/* The write is applied when the answer is due: one whose connection was closed before is not, as
 * Chroma drops the work of a request whose client has left. */
static void on_answer_time(void *ctx)
{
    struct flow_backend_connection *connection = ctx;
    struct flow_record             *record;
    bool                            is_early;

    if (connection->state != THINKING)
        return;
    record = &connection->backend->records[connection->id];
    is_early = connection->plan.fault == FLOW_FAULT_EARLY_CLOSE ||
               connection->plan.fault == FLOW_FAULT_EARLY_DRAIN;
    if (!is_early && connection->plan.status < 400 &&
        !(connection->plan.fault == FLOW_FAULT_FINDING_ID && !record->finding_id_told)) {
        record->applied++;
        for (size_t i = 0; i < connection->batch_count; i++)
            connection->backend->records[connection->batch_ids[i]].applied++;
    }
    tell_request(connection, true);
    connection->is_answered = true;
    if (connection->plan.fault == FLOW_FAULT_RESET_AFTER ||
        connection->plan.fault == FLOW_FAULT_CLOSE_AFTER) {
        leave(connection, connection->plan.fault == FLOW_FAULT_RESET_AFTER);
        return;
    }
    connection->state = ANSWERING;
    if (!connection->plan.answers_halfway)
        write_answer(connection);
    send_out(connection);
}

static void write_answer(struct flow_backend_connection *connection)
{
    const struct flow_plan *plan = &connection->plan;
    struct flow_record     *record = &connection->backend->records[connection->id];
    enum http_framing       framing =
        plan->framing == HTTP_FRAMING_NONE ? HTTP_FRAMING_LENGTH : plan->framing;
    struct bytes body = byte_buffer_bytes(&connection->answer);
    uint64_t     size = plan->body == NULL ? connection->answer_size : strlen(plan->body);
    unsigned     status = plan->status == 0 ? 200 : plan->status;
    char         text[512];

    if (body.size > 0)
        size = body.size;
    if (plan->fault == FLOW_FAULT_GARBAGE) {
        append(&connection->out, "220 smtp.example.com ESMTP ready\r\n");
        return;
    }
    if (plan->fault == FLOW_FAULT_INTERIM)
        append(&connection->out, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
                                 "Link: </a>; rel=preload\r\n\r\n");
    if (plan->only_interim) {
        connection->plan.fault = FLOW_FAULT_HALF_ANSWER;
        return;
    }
    if (plan->fault == FLOW_FAULT_FINDING_ID && !record->finding_id_told) {
        record->finding_id_told = true;
        append(&connection->out,
               "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 62\r\n\r\n"
               "{\"error\":\"InternalError\",\"message\":\"Error finding id: abcdef\"}");
        return;
    }
    snprintf(text, sizeof text, "HTTP/1.1 %u Status\r\nX-Id: %u\r\nchroma-trace-id: t%u\r\n%s%s",
             status, connection->id, connection->id, plan->close ? "Connection: close\r\n" : "",
             plan->fields != NULL ? plan->fields : "");
    if (plan->is_bare)
        snprintf(text, sizeof text, "HTTP/1.1 %u Status\r\n%s", status,
                 plan->fields != NULL ? plan->fields : "");
    append(&connection->out, text);
    if (connection->is_batch && !plan->is_bare)
        append(&connection->out, "X-Ids: ,");
    for (size_t i = 0; i < connection->batch_count && !plan->is_bare; i++) {
        snprintf(text, sizeof text, "%u,", connection->batch_ids[i]);
        append(&connection->out, text);
    }
    if (connection->is_batch && !plan->is_bare)
        append(&connection->out, "\r\n");
    if (framing == HTTP_FRAMING_LENGTH && status != 204) {
        snprintf(text, sizeof text, "Content-Length: %llu\r\n", (unsigned long long)size);
        append(&connection->out, text);
    } else if (framing == HTTP_FRAMING_CHUNKED) {
        append(&connection->out, "Transfer-Encoding: chunked\r\n");
    }
    append(&connection->out, "\r\n");
    if (plan->fault == FLOW_FAULT_HALF_HEAD)
        connection->out_limit = byte_buffer_size(&connection->out) / 2;
    if (body.size > 0 && byte_buffer_append(&connection->out, body, SIZE_MAX) != STATUS_OK)
        abort();
    if (body.size == 0 && plan->body != NULL)
        append(&connection->out, plan->body);
    else if (body.size == 0 && !connection->is_head && status != 204 && status != 304)
        write_body(connection, size, framing == HTTP_FRAMING_CHUNKED);
    if (plan->fault == FLOW_FAULT_TOO_LONG) {
        connection->is_dirty = true;
        append(&connection->out, "and then some more that nobody has asked for");
    }
    if (plan->fault == FLOW_FAULT_HALF_ANSWER || plan->fault == FLOW_FAULT_HALF_CLOSE ||
        plan->fault == FLOW_FAULT_LEAVES_HALF)
        connection->out_limit = byte_buffer_size(&connection->out) - (size_t)(size / 2) - 1;
}

static void write_body(struct flow_backend_connection *connection, uint64_t size, bool chunked)
{
    struct byte_buffer *out = &connection->out;
    unsigned            id = connection->id + (connection->backend->swaps_bodies ? 1 : 0);
    char                text[32];

    if (byte_buffer_reserve(out, (size_t)size + 64, SIZE_MAX) != STATUS_OK)
        abort();
    for (uint64_t at = 0; at < size;) {
        uint64_t count = chunked && size - at > 3000 ? 1 + fake_loop_random(3000) : size - at;

        if (chunked) {
            snprintf(text, sizeof text, "%llx\r\n", (unsigned long long)count);
            append(out, text);
        }
        if (byte_buffer_reserve(out, (size_t)count, SIZE_MAX) != STATUS_OK)
            abort();
        flow_pattern_write(out->data + out->end, (size_t)count, id, true, at);
        out->end += (size_t)count;
        at += count;
        if (chunked)
            append(out, "\r\n");
    }
    if (chunked)
        append(out, "0\r\n\r\n");
}

static void send_out(struct flow_backend_connection *connection)
{
    while (connection->state == ANSWERING && !connection->piece_planned) {
        struct bytes data = byte_buffer_bytes(&connection->out);
        size_t       sent;

        if (data.size > connection->out_limit)
            data.size = connection->out_limit;
        if (data.size == 0) {
            on_answer_sent(connection);
            return;
        }
        if (connection->plan.fault == FLOW_FAULT_IN_PIECES && data.size > 40)
            data.size = 1 + fake_loop_random(40 + (uint32_t)(data.size - 40) / 8);
        sent = fake_net_write(connection->end, data);
        if (sent == 0)
            return;
        byte_buffer_consume(&connection->out, sent);
        if (connection->out_limit != SIZE_MAX)
            connection->out_limit -= sent;
        if (connection->plan.fault == FLOW_FAULT_IN_PIECES &&
            byte_buffer_size(&connection->out) > 0) {
            connection->piece_planned = true;
            fake_loop_at(clock_now_us() + 1 + fake_loop_random(5000), on_piece_time, connection);
        }
    }
}

static void on_piece_time(void *ctx)
{
    struct flow_backend_connection *connection = ctx;

    connection->piece_planned = false;
    send_out(connection);
}

static void on_answer_sent(struct flow_backend_connection *connection)
{
    const struct flow_plan *plan = &connection->plan;
    struct flow_backend    *backend = connection->backend;

    connection->out_limit = SIZE_MAX;
    if (plan->fault == FLOW_FAULT_LEAVES_HALF) {
        fake_loop_at(clock_now_us() + give_up_us, on_give_up, connection);
        return;
    }
    backend->records[connection->id].answered++;
    switch (plan->fault) {
    case FLOW_FAULT_HALF_ANSWER:
    case FLOW_FAULT_HALF_CLOSE:
    case FLOW_FAULT_HALF_HEAD:
    case FLOW_FAULT_GARBAGE:
    case FLOW_FAULT_EARLY_CLOSE:
        leave(connection, plan->fault == FLOW_FAULT_HALF_ANSWER);
        return;
    default:
        break;
    }
    if (plan->framing == HTTP_FRAMING_UNTIL_CLOSE) {
        leave(connection, false);
        return;
    }
    connection->state = READING;
    connection->idle_since_us = clock_now_us();
    if (plan->fault != FLOW_FAULT_TOO_LONG && !connection->discards_body)
        backend->early_bytes += fake_net_waiting(connection->end);
    connection->read_planned = true;
    fake_loop_at(clock_now_us(), on_read_time, connection);
    set_busy(connection, false);
    if (!connection->discards_body) {
        connection->in_request = false;
        http_reader_reset(connection->reader, false);
    }
    if (plan->close || plan->fault == FLOW_FAULT_UNANNOUNCED ||
        plan->fault == FLOW_FAULT_UNSOLICITED)
        fake_loop_at(clock_now_us() + plan->later_us, on_later, connection);
    if (backend->idle_close_us > 0)
        fake_loop_at(clock_now_us() + backend->idle_close_us, on_idle, connection);
}

static void on_give_up(void *ctx)
{
    leave(ctx, true);
}

static void on_later(void *ctx)
{
    struct flow_backend_connection *connection = ctx;

    if (connection->state != READING || connection->in_request)
        return;
    if (connection->plan.fault == FLOW_FAULT_UNSOLICITED) {
        connection->is_dirty = true;
        fake_net_write(connection->end, BYTES_LITERAL("what nobody asked for"));
    } else {
        leave(connection, false);
    }
}

static void on_idle(void *ctx)
{
    struct flow_backend_connection *connection = ctx;

    if (connection->state == READING && !connection->in_request &&
        clock_now_us() - connection->idle_since_us >= connection->backend->idle_close_us)
        leave(connection, false);
}

static void leave(struct flow_backend_connection *connection, bool reset)
{
    if (connection->state == GONE)
        return;
    set_busy(connection, false);
    connection->state = GONE;
    if (reset)
        fake_net_reset(connection->end);
    else
        fake_net_close(connection->end);
    http_reader_free(connection->reader);
    connection->reader = NULL;
    byte_buffer_done(&connection->out);
}
