#include "proxy/answer.h"

#include <stdio.h>
#include <string.h>

#include "chroma/chroma_answer.h"
#include "http/http_writer.h"
#include "io/clock.h"
#include "proxy/pass_path.h"
#include "proxy/write_lanes.h"

/* An answer that may have to be asked for again is held up to this size; Chroma's errors are some
 * hundred bytes. */
enum { held_bytes_max = 4096 };

/* The description of a collection is kept, up to this size, to learn its dimension. */
enum { learned_bytes_max = 256 * 1024 };

/* What clients are told to send at once where larger requests are split: the number that Chroma
 * itself told them up to version 0.4, and that libraries have built in. */
enum { split_records_told = 41666 };

static const struct bytes received_by = BYTES_INIT("chromabouncer");

static void              on_interim(const struct http_head *head, void *ctx);
static void              on_head(const struct http_head *head, void *ctx);
static enum answer_keep  choose_keep(const struct exchange *exchange, const struct http_head *head);
static bool              is_held(const struct exchange *exchange);
static enum http_framing choose_framing(const struct exchange  *exchange,
                                        const struct http_head *head);
static bool   write_head(struct exchange *exchange, const struct http_head *head, uint64_t size);
static size_t write_own_fields(const struct exchange *exchange, const struct http_head *head,
                               char *fields);
static bool   says_maybe(const struct http_head *head);
static char  *append_ms(char *at, const char *name, uint64_t from_us, uint64_t to_us);
static void   on_body(struct bytes data, void *ctx);
static void   send_body(struct exchange *exchange, struct bytes data);
static void   on_flush(void *ctx);
static void   send_pending(struct exchange *exchange, struct bytes after);
static void   on_end(void *ctx);
static void   learn(struct exchange *exchange);
static void   send_held(struct exchange *exchange);
static void   finish_with(struct exchange *exchange, struct bytes last);
static void   on_failure(enum status why, bool sent, void *ctx);
static void   on_writable(void *ctx);

const struct upstream_transfer_events answer_events = {.on_interim = on_interim,
                                                       .on_head = on_head,
                                                       .on_body = on_body,
                                                       .on_flush = on_flush,
                                                       .on_end = on_end,
                                                       .on_failure = on_failure,
                                                       .on_writable = on_writable};

/* A client of HTTP/1.0 does not know interim answers (RFC 9110 section 15.2). */
static void on_interim(const struct http_head *head, void *ctx)
{
    struct exchange           *exchange = ctx;
    struct byte_buffer         out = {0};
    struct http_writer_options options = {.framing = HTTP_FRAMING_NONE};

    /* To a client that does not read, one that may be left out is not queued. */
    if (exchange->head->minor_version >= 1 && !front_connection_is_full(exchange->connection) &&
        http_writer_response(&out, head, &options) == STATUS_OK)
        front_connection_send_interim(exchange->connection, byte_buffer_bytes(&out));
    byte_buffer_done(&out);
}

static void on_head(const struct http_head *head, void *ctx)
{
    struct exchange                      *exchange = ctx;
    const struct upstream_transfer_times *times = upstream_transfer_times(exchange->transfer);

    exchange_stop_clocks(exchange);
    exchange_start_deadline(exchange);
    exchange_move(exchange, EXCHANGE_ANSWERING);
    exchange->connected_us = times->connected_us;
    exchange->first_byte_us = times->first_byte_us;
    exchange->code = head->status;
    exchange->source = REQUEST_METRICS_SOURCE_BACKEND;
    exchange->answer_framing = choose_framing(exchange, head);
    exchange->keep = choose_keep(exchange, head);
    exchange->kept_head = head;
    if (!is_held(exchange) && !write_head(exchange, head, head->content_length)) {
        pass_path_drop_transfer(exchange);
        answer_error(exchange, STATUS_NO_MEMORY, FRONT_EXECUTED_MAYBE, NULL);
    }
}

/* `Error finding id` is what reads get while others delete (metadata and index are changed one
 * after the other); asked again, they succeed. */
static enum answer_keep choose_keep(const struct exchange *exchange, const struct http_head *head)
{
    const struct chroma_route *route = &exchange->route;

    if (head->framing != HTTP_FRAMING_LENGTH || exchange->is_streaming || !exchange->body_ended)
        return ANSWER_KEEP_NOT;
    if (head->status == 500 && route->info->is_retry_safe && !exchange->was_retried &&
        head->content_length <= held_bytes_max)
        return ANSWER_KEEP_TO_RETRY;
    if (head->status != 200 || exchange->proxy->lanes == NULL)
        return ANSWER_KEEP_NOT;
    switch (route->operation) {
    case CHROMA_OPERATION_COLLECTION_CREATE:
    case CHROMA_OPERATION_COLLECTION_GET:
    case CHROMA_OPERATION_COLLECTION_GET_ID:
        return head->content_length <= learned_bytes_max ? ANSWER_KEEP_TO_LEARN : ANSWER_KEEP_NOT;
    case CHROMA_OPERATION_PRE_FLIGHT:
        return write_lanes_splits(exchange->proxy->lanes) && head->content_length <= held_bytes_max
                   ? ANSWER_KEEP_TO_REWRITE
                   : ANSWER_KEEP_NOT;
    default:
        return ANSWER_KEEP_NOT;
    }
}

/* Is nothing of the answer sent before it is complete? */
static bool is_held(const struct exchange *exchange)
{
    return exchange->keep == ANSWER_KEEP_TO_RETRY || exchange->keep == ANSWER_KEEP_TO_REWRITE;
}

static enum http_framing choose_framing(const struct exchange  *exchange,
                                        const struct http_head *head)
{
    if (head->framing == HTTP_FRAMING_NONE || head->framing == HTTP_FRAMING_LENGTH)
        return head->framing;
    return exchange->head->minor_version >= 1 ? HTTP_FRAMING_CHUNKED : HTTP_FRAMING_UNTIL_CLOSE;
}

static bool write_head(struct exchange *exchange, const struct http_head *head, uint64_t size)
{
    char                       fields[256];
    struct http_writer_options options = {.framing = exchange->answer_framing,
                                          .content_length = size,
                                          .keep_content_length =
                                              exchange->head->is_head || head->status == 304,
                                          .date = front_connection_date(exchange->connection)};

    if (exchange->answer_framing == HTTP_FRAMING_UNTIL_CLOSE) {
        front_connection_set_close(exchange->connection);
        front_connection_set_until_close(exchange->connection);
    }
    options.close = front_connection_will_close(exchange->connection);
    options.say_keep_alive = !options.close && exchange->head->minor_version == 0;
    if (exchange->proxy->options.adds_headers) {
        options.received_by = received_by;
        options.extra =
            (struct bytes){.data = fields, .size = write_own_fields(exchange, head, fields)};
    }
    byte_buffer_clear(&exchange->answer);
    return http_writer_response(&exchange->answer, head, &options) == STATUS_OK;
}

/* X-Chromabouncer-Source and Server-Timing (milliseconds). Written by hand: once per request. */
static size_t write_own_fields(const struct exchange *exchange, const struct http_head *head,
                               char *fields)
{
    static const char intro[] = "X-Chromabouncer-Source: backend\r\nServer-Timing: ";
    static const char maybe[] = "X-Chromabouncer-Executed: maybe\r\n";
    char             *at = fields;

    memcpy(at, intro, sizeof intro - 1);
    at += sizeof intro - 1;
    at = append_ms(at, "queue;dur=", exchange->body_ended_us, exchange->connected_us);
    *at++ = ',';
    *at++ = ' ';
    at = append_ms(at, "backend;dur=", exchange->connected_us, exchange->first_byte_us);
    *at++ = '\r';
    *at++ = '\n';
    if (exchange->executed == FRONT_EXECUTED_MAYBE && !says_maybe(head)) {
        memcpy(at, maybe, sizeof maybe - 1);
        at += sizeof maybe - 1;
    }
    return (size_t)(at - fields);
}

/* Another chromabouncer behind this one does. */
static bool says_maybe(const struct http_head *head)
{
    const struct http_field *field = http_head_find(head, HTTP_FIELD_X_CHROMABOUNCER_EXECUTED);

    return field != NULL && bytes_equal(field->value, BYTES_LITERAL("maybe"));
}

static char *append_ms(char *at, const char *name, uint64_t from_us, uint64_t to_us)
{
    uint64_t us = from_us != 0 && to_us > from_us ? to_us - from_us : 0;
    char     digits[24];
    size_t   count = 0, name_size = strlen(name);

    memcpy(at, name, name_size);
    at += name_size;
    do {
        digits[count++] = (char)('0' + us % 10);
        us /= 10;
        if (count == 3)
            digits[count++] = '.';
    } while (us > 0 || count < 5);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static void on_body(struct bytes data, void *ctx)
{
    struct exchange *exchange = ctx;

    exchange->answer_bytes += data.size;
    if (exchange->keep != ANSWER_KEEP_NOT &&
        byte_buffer_append(&exchange->kept, data, learned_bytes_max) != STATUS_OK) {
        if (is_held(exchange)) {
            pass_path_drop_transfer(exchange);
            answer_error(exchange, STATUS_NO_MEMORY, FRONT_EXECUTED_MAYBE, NULL);
            return;
        }
        exchange->keep = ANSWER_KEEP_NOT;
    }
    if (!is_held(exchange))
        send_body(exchange, data);
}

static void send_body(struct exchange *exchange, struct bytes data)
{
    char         line[HTTP_WRITER_CHUNK_LINE_MAX];
    struct bytes parts[4];
    size_t       count = 0;

    if (byte_buffer_size(&exchange->answer) > 0)
        parts[count++] = byte_buffer_bytes(&exchange->answer);
    if (exchange->answer_framing == HTTP_FRAMING_CHUNKED)
        parts[count++] =
            (struct bytes){.data = line, .size = http_writer_chunk_line(line, data.size)};
    parts[count++] = data;
    if (exchange->answer_framing == HTTP_FRAMING_CHUNKED)
        parts[count++] = BYTES_LITERAL("\r\n");
    front_connection_send(exchange->connection, parts, count);
    byte_buffer_clear(&exchange->answer);
    exchange_start_deadline(exchange); /* Chroma lives */
    if (front_connection_is_full(exchange->connection))
        upstream_transfer_pause(exchange->transfer);
}

void answer_on_drained(struct exchange *exchange)
{
    if (exchange->transfer != NULL && exchange->state == EXCHANGE_ANSWERING) {
        exchange_start_deadline(exchange);
        upstream_transfer_resume(exchange->transfer);
    }
}

/* The head waits to go out with the first bytes of the body, but no longer than this. */
static void on_flush(void *ctx)
{
    struct exchange *exchange = ctx;

    if (exchange->state == EXCHANGE_ANSWERING && !is_held(exchange))
        send_pending(exchange, (struct bytes){0});
}

static void send_pending(struct exchange *exchange, struct bytes after)
{
    struct bytes parts[2] = {byte_buffer_bytes(&exchange->answer), after};

    if (parts[0].size + parts[1].size > 0)
        front_connection_send(exchange->connection, parts, COUNT_OF(parts));
    byte_buffer_clear(&exchange->answer);
}

static void on_end(void *ctx)
{
    struct exchange *exchange = ctx;

    exchange->transfer = NULL;
    exchange->answered_us = loop_now_us(exchange->proxy->loop);
    if (exchange->keep == ANSWER_KEEP_TO_LEARN)
        learn(exchange);
    if (is_held(exchange))
        send_held(exchange);
    else if (exchange->answer_framing == HTTP_FRAMING_CHUNKED)
        finish_with(exchange, http_writer_last_chunk);
    else
        finish_with(exchange, (struct bytes){0});
}

static void learn(struct exchange *exchange)
{
    uint8_t  uuid[16];
    uint32_t dimension;

    if (chroma_answer_collection(byte_buffer_bytes(&exchange->kept), uuid, &dimension))
        write_lanes_learn_dimension(exchange->proxy->lanes, uuid, dimension);
}

static void send_held(struct exchange *exchange)
{
    static const char  transient[] = "Error finding id";
    struct bytes       body = byte_buffer_bytes(&exchange->kept);
    struct byte_buffer rewritten = {0};

    if (exchange->keep == ANSWER_KEEP_TO_RETRY && body.size > 0 &&
        memmem(body.data, body.size, transient, sizeof transient - 1) != NULL) {
        byte_buffer_clear(&exchange->kept);
        pass_path_ask_again(exchange);
        return;
    }
    if (exchange->keep == ANSWER_KEEP_TO_REWRITE &&
        chroma_answer_raise_batch_limit(body, split_records_told, &rewritten))
        body = byte_buffer_bytes(&rewritten);
    if (write_head(exchange, exchange->kept_head, body.size))
        finish_with(exchange, body);
    else
        answer_error(exchange, STATUS_NO_MEMORY, FRONT_EXECUTED_MAYBE, NULL);
    byte_buffer_done(&rewritten);
}

static void finish_with(struct exchange *exchange, struct bytes last)
{
    send_pending(exchange, last);
    exchange_finish(exchange);
}

static void on_failure(enum status why, bool sent, void *ctx)
{
    struct exchange *exchange = ctx;
    const char      *problem = upstream_pool_problem(exchange->proxy->pool);
    char             message[320];

    exchange->transfer = NULL;
    exchange->end = EXCHANGE_END_BACKEND;
    snprintf(message, sizeof message, "%s%s%s", status_text(why),
             why == STATUS_BACKEND_DOWN && problem[0] != '\0' ? ": " : "",
             why == STATUS_BACKEND_DOWN ? problem : "");
    answer_error(exchange, why, sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO, message);
}

void answer_error(struct exchange *exchange, enum status status, enum front_executed executed,
                  const char *message)
{
    struct front_error error = {.status = status,
                                .message = message,
                                .executed = executed,
                                .close = front_connection_will_close(exchange->connection),
                                .is_head = exchange->head->is_head,
                                .is_plain = !exchange->proxy->options.adds_headers,
                                .retry_after_s =
                                    status == STATUS_OVERLOADED || status == STATUS_BACKEND_DOWN};

    if (exchange->was_retried && executed == FRONT_EXECUTED_NO)
        error.executed = FRONT_EXECUTED_MAYBE; /* the first time */
    exchange->proxy->metrics.shed[status]++;
    if (exchange->end == EXCHANGE_END_OK)
        exchange->end = EXCHANGE_END_PROXY;
    if (front_connection_has_answered(exchange->connection)) {
        struct front_connection *connection = exchange->connection;

        exchange->connection = NULL;
        front_connection_cut(connection);
        exchange_finish(exchange);
        return;
    }
    exchange->code = (unsigned)status_http_code(status);
    exchange->source = REQUEST_METRICS_SOURCE_PROXY;
    byte_buffer_clear(&exchange->answer);
    /* Without memory, a close without a word is all we have. */
    if (front_error_write(&exchange->answer, &error, front_connection_date(exchange->connection)) !=
        STATUS_OK)
        front_connection_set_close(exchange->connection);
    finish_with(exchange, (struct bytes){0});
}

void answer_whole(struct exchange *exchange, const struct http_head *head, struct bytes body,
                  enum front_executed executed)
{
    exchange_move(exchange, EXCHANGE_ANSWERING);
    exchange->code = head->status;
    exchange->source = REQUEST_METRICS_SOURCE_BACKEND;
    exchange->executed = executed;
    exchange->answered_us = loop_now_us(exchange->proxy->loop);
    exchange->answer_bytes = body.size;
    exchange->answer_framing =
        head->framing == HTTP_FRAMING_NONE ? HTTP_FRAMING_NONE : HTTP_FRAMING_LENGTH;
    if (!write_head(exchange, head, body.size)) {
        answer_error(exchange, STATUS_NO_MEMORY, FRONT_EXECUTED_MAYBE, NULL);
        return;
    }
    finish_with(exchange, body);
}

/* Chroma's own, field by field: in front of whoever compares, nothing has changed. */
static const struct bytes     too_large_plain = BYTES_INIT("Payload too large");
static const struct http_head too_large_plain_head = {
    .status = 413,
    .reason = BYTES_INIT("Payload Too Large"),
    .field_count = 2,
    .fields = {{.name = BYTES_INIT("chroma-trace-id"),
                .value = BYTES_INIT("00000000000000000000000000000000"),
                .id = HTTP_FIELD_CHROMA_TRACE_ID},
               {.name = BYTES_INIT("content-length"),
                .value = BYTES_INIT("17"),
                .id = HTTP_FIELD_CONTENT_LENGTH,
                .hop_by_hop = true}}};
static const struct bytes too_large_json =
    BYTES_INIT("{\"error\":\"ChromaError\",\"message\":\"Failed to buffer the request body: length "
               "limit exceeded\"}");
static const struct http_head too_large_json_head = {
    .status = 413,
    .reason = BYTES_INIT("Payload Too Large"),
    .field_count = 3,
    .fields = {{.name = BYTES_INIT("content-type"),
                .value = BYTES_INIT("application/json"),
                .id = HTTP_FIELD_CONTENT_TYPE},
               {.name = BYTES_INIT("chroma-trace-id"),
                .value = BYTES_INIT("00000000000000000000000000000000"),
                .id = HTTP_FIELD_CHROMA_TRACE_ID},
               {.name = BYTES_INIT("content-length"),
                .value = BYTES_INIT("96"),
                .id = HTTP_FIELD_CONTENT_LENGTH,
                .hop_by_hop = true}}};

void answer_too_large(struct exchange *exchange)
{
    bool                       is_plain = exchange->route.info->has_plain_413;
    struct bytes               body = is_plain ? too_large_plain : too_large_json;
    struct http_writer_options options = {.framing = HTTP_FRAMING_LENGTH,
                                          .content_length = body.size,
                                          .close = true,
                                          .date = front_connection_date(exchange->connection)};

    exchange->code = 413;
    exchange->end = EXCHANGE_END_PROXY;
    exchange->source = REQUEST_METRICS_SOURCE_PROXY;
    exchange->proxy->metrics.shed[STATUS_TOO_LARGE]++;
    front_connection_set_close(exchange->connection);
    byte_buffer_clear(&exchange->answer);
    if (http_writer_response(&exchange->answer,
                             is_plain ? &too_large_plain_head : &too_large_json_head,
                             &options) == STATUS_OK)
        send_pending(exchange, body);
    exchange_finish(exchange);
}

static void on_writable(void *ctx)
{
    pass_path_on_writable(ctx);
}
