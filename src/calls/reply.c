#include "calls/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "calls/read_limit.h"
#include "calls/too_large.h"
#include "http/http_writer.h"

static const struct bytes received_by = BYTES_INIT("chromabouncer");

static void              reply_on_interim(struct answer_sink *sink, const struct http_head *head);
static void              reply_on_head(struct answer_sink *sink, const struct http_head *head);
static enum http_framing reply_choose_framing(const struct reply     *reply,
                                              const struct http_head *head);
static bool   reply_write_head(struct reply *reply, const struct http_head *head, uint64_t size);
static size_t reply_write_own_fields(const struct reply *reply, const struct http_head *head,
                                     char *fields);
static bool   reply_says_maybe(const struct http_head *head);
static char  *reply_append_ms(char *at, const char *name, uint64_t us);
static void   reply_on_body(struct answer_sink *sink, struct bytes data);
static void   reply_on_flush(struct answer_sink *sink);
static void   reply_send_pending(struct reply *reply, struct bytes after);
static void   reply_on_end(struct answer_sink *sink);
static void   reply_finish_with(struct reply *reply, struct bytes last);
static void   reply_on_failure(struct answer_sink *sink, enum status why, bool sent);
static void   reply_refuse_early(struct reply *reply);
static void   reply_give_error(struct reply *reply, struct front_error *error);
static bool   reply_is_for_limit(enum status status);
static void   reply_cut(struct reply *reply);
static void   reply_give_whole(struct reply *reply, enum request_metrics_source source,
                               const struct http_head *head, struct bytes body);

static const struct answer_sink_ops reply_ops = {.on_interim = reply_on_interim,
                                                 .on_head = reply_on_head,
                                                 .on_body = reply_on_body,
                                                 .on_flush = reply_on_flush,
                                                 .on_end = reply_on_end,
                                                 .on_failure = reply_on_failure};

void reply_init(struct reply *reply)
{
    reply->sink = (struct answer_sink){.ops = &reply_ops};
}

/* A client of HTTP/1.0 does not know interim answers (RFC 9110 section 15.2). */
static void reply_on_interim(struct answer_sink *sink, const struct http_head *head)
{
    struct reply              *reply = CONTAINER_OF(sink, struct reply, sink);
    struct byte_buffer         out = {0};
    struct http_writer_options options = {.framing = HTTP_FRAMING_NONE};

    /* To a client that does not read, one that may be left out is not queued. */
    if (reply->request->minor_version >= 1 && !front_connection_is_full(reply->connection) &&
        http_writer_response(&out, head, &options) == STATUS_OK)
        front_connection_send_interim(reply->connection, byte_buffer_bytes(&out));
    byte_buffer_done(&out);
}

static void reply_on_head(struct answer_sink *sink, const struct http_head *head)
{
    struct reply *reply = CONTAINER_OF(sink, struct reply, sink);

    reply->record->code = head->status;
    reply->record->source = REQUEST_METRICS_SOURCE_BACKEND;
    front_connection_learn_cors(reply->connection, head);
    reply->framing = reply_choose_framing(reply, head);
    if (!reply_write_head(reply, head, head->content_length))
        reply_error(reply, STATUS_NO_MEMORY, FRONT_EXECUTED_MAYBE, NULL);
}

static enum http_framing reply_choose_framing(const struct reply     *reply,
                                              const struct http_head *head)
{
    if (head->framing == HTTP_FRAMING_NONE || head->framing == HTTP_FRAMING_LENGTH)
        return head->framing;
    return reply->request->minor_version >= 1 ? HTTP_FRAMING_CHUNKED : HTTP_FRAMING_UNTIL_CLOSE;
}

static bool reply_write_head(struct reply *reply, const struct http_head *head, uint64_t size)
{
    char                       fields[400];
    struct http_writer_options options = {.framing = reply->framing,
                                          .content_length = size,
                                          .keep_content_length =
                                              reply->request->is_head || head->status == 304,
                                          .date = front_connection_date(reply->connection)};

    if (reply->framing == HTTP_FRAMING_UNTIL_CLOSE) {
        front_connection_set_close(reply->connection);
        front_connection_set_until_close(reply->connection);
    }
    options.close = front_connection_will_close(reply->connection);
    options.say_keep_alive = !options.close && reply->request->minor_version == 0;
    if (reply->proxy->options.adds_headers) {
        options.received_by = received_by;
        options.extra =
            (struct bytes){.data = fields, .size = reply_write_own_fields(reply, head, fields)};
    }
    byte_buffer_clear(&reply->out);
    return http_writer_response(&reply->out, head, &options) == STATUS_OK;
}

/* Cache-Status, Age, X-Chromabouncer-Source and Server-Timing (milliseconds). Written by hand: once
 * per request. */
static size_t reply_write_own_fields(const struct reply *reply, const struct http_head *head,
                                     char *fields)
{
    static const char intro[] = "X-Chromabouncer-Source: backend\r\nServer-Timing: ";
    static const char mirror[] = "X-Chromabouncer-Source: mirror\r\nX-Chromabouncer-Mirror: ";
    static const char maybe[] = "X-Chromabouncer-Executed: maybe\r\n";
    const struct access_record *record = reply->record;
    char                       *at = fields;

    if (reply->cache_status != NULL)
        at += sprintf(at, "Cache-Status: %s\r\n", reply->cache_status);
    if (record->source == REQUEST_METRICS_SOURCE_CACHE)
        return (size_t)(at - fields) +
               (size_t)sprintf(at, "X-Chromabouncer-Source: cache\r\nAge: %" PRIu64 "\r\n",
                               reply->age_us / 1000000);
    if (record->source == REQUEST_METRICS_SOURCE_MIRROR)
        return (size_t)(at - fields) + (size_t)sprintf(at, "%sage=%" PRIu64 "; complete=%s\r\n",
                                                       mirror, reply->age_us / 1000000,
                                                       reply->is_complete ? "yes" : "no");
    memcpy(at, intro, sizeof intro - 1);
    at += sizeof intro - 1;
    at = reply_append_ms(at, "queue;dur=", record->queue_us);
    *at++ = ',';
    *at++ = ' ';
    at = reply_append_ms(at, "backend;dur=",
                         record->first_byte_us > record->connected_us
                             ? record->first_byte_us - record->connected_us
                             : 0);
    *at++ = '\r';
    *at++ = '\n';
    if (reply->executed == FRONT_EXECUTED_MAYBE && !reply_says_maybe(head)) {
        memcpy(at, maybe, sizeof maybe - 1);
        at += sizeof maybe - 1;
    }
    return (size_t)(at - fields);
}

/* Another chromabouncer behind this one does. */
static bool reply_says_maybe(const struct http_head *head)
{
    const struct http_field *field = http_head_find(head, HTTP_FIELD_X_CHROMABOUNCER_EXECUTED);

    return field != NULL && bytes_equal(field->value, BYTES_LITERAL("maybe"));
}

static char *reply_append_ms(char *at, const char *name, uint64_t us)
{
    char   digits[24];
    size_t count = 0, name_size = strlen(name);

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

static void reply_on_body(struct answer_sink *sink, struct bytes data)
{
    struct reply *reply = CONTAINER_OF(sink, struct reply, sink);
    char          line[HTTP_WRITER_CHUNK_LINE_MAX];
    struct bytes  parts[4];
    size_t        count = 0;

    if (reply->connection == NULL)
        return; /* cut in this very turn */
    reply->record->answer_bytes += data.size;
    if (byte_buffer_size(&reply->out) > 0)
        parts[count++] = byte_buffer_bytes(&reply->out);
    if (reply->framing == HTTP_FRAMING_CHUNKED)
        parts[count++] =
            (struct bytes){.data = line, .size = http_writer_chunk_line(line, data.size)};
    parts[count++] = data;
    if (reply->framing == HTTP_FRAMING_CHUNKED)
        parts[count++] = BYTES_LITERAL("\r\n");
    front_connection_send(reply->connection, parts, count);
    byte_buffer_clear(&reply->out);
    if (reply->source != NULL && front_connection_is_full(reply->connection))
        call_pause(reply->source);
}

void reply_on_drained(struct reply *reply)
{
    if (reply->source != NULL)
        call_resume(reply->source);
}

/* The head waits to go out with the first bytes of the body, but no longer than this. */
static void reply_on_flush(struct answer_sink *sink)
{
    struct reply *reply = CONTAINER_OF(sink, struct reply, sink);

    if (reply->connection != NULL)
        reply_send_pending(reply, (struct bytes){0});
}

static void reply_send_pending(struct reply *reply, struct bytes after)
{
    struct bytes parts[2] = {byte_buffer_bytes(&reply->out), after};

    if (parts[0].size + parts[1].size > 0)
        front_connection_send(reply->connection, parts, COUNT_OF(parts));
    byte_buffer_clear(&reply->out);
}

static void reply_on_end(struct answer_sink *sink)
{
    struct reply *reply = CONTAINER_OF(sink, struct reply, sink);

    if (reply->connection == NULL)
        return;
    reply->record->answered_us = loop_now_us(reply->proxy->loop);
    if (reply->framing == HTTP_FRAMING_CHUNKED)
        reply_finish_with(reply, http_writer_last_chunk);
    else
        reply_finish_with(reply, (struct bytes){0});
}

static void reply_finish_with(struct reply *reply, struct bytes last)
{
    reply_send_pending(reply, last);
    reply->on_finished(reply);
}

static void reply_on_failure(struct answer_sink *sink, enum status why, bool sent)
{
    struct reply *reply = CONTAINER_OF(sink, struct reply, sink);

    if (reply->connection == NULL)
        return;
    if (why == STATUS_OVERLOADED) {
        reply_refuse_early(reply);
        return;
    }
    reply->record->end = ACCESS_END_BACKEND;
    reply_error(reply, why, sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO, NULL);
}

/* Its turn did not come in time. */
static void reply_refuse_early(struct reply *reply)
{
    const struct call *call = reply->source;
    char               message[READ_LIMIT_TEXT_SIZE];

    reply->record->queue_us += loop_now_us(reply->proxy->loop) - call->asked_us;
    call_explain_refusal(call, true, message);
    reply_error(reply, STATUS_OVERLOADED, FRONT_EXECUTED_NO, message);
}

void reply_error(struct reply *reply, enum status status, enum front_executed executed,
                 const char *message)
{
    const char        *problem = upstream_pool_problem(reply->proxy->pool);
    char               text[320];
    struct front_error error = {.status = status,
                                .message = message,
                                .executed = executed,
                                .retry_after_s = status == STATUS_OVERLOADED ||
                                                 status == STATUS_BACKEND_DOWN ||
                                                 status == STATUS_BREAKER_OPEN};

    if (status == STATUS_UNAUTHENTICATED) /* RFC 9110 section 15.5.2 */
        error.fields = "WWW-Authenticate: Bearer realm=\"chromabouncer\"\r\n";
    if (message == NULL && status == STATUS_BACKEND_DOWN && problem[0] != '\0') {
        snprintf(text, sizeof text, "%s: %s", status_text(status), problem);
        error.message = text;
    }
    if (reply->record->was_retried && executed == FRONT_EXECUTED_NO)
        error.executed = FRONT_EXECUTED_MAYBE; /* the first time */
    reply_give_error(reply, &error);
}

void reply_rate_limited(struct reply *reply, const char *message, unsigned retry_after_s,
                        const char *fields)
{
    struct front_error error = {.status = STATUS_RATE_LIMITED,
                                .message = message,
                                .executed = FRONT_EXECUTED_NO,
                                .retry_after_s = retry_after_s,
                                .fields = fields};

    reply_give_error(reply, &error);
}

static void reply_give_error(struct reply *reply, struct front_error *error)
{
    error->is_head = reply->request->is_head;
    error->cors = front_connection_cors(reply->connection);
    error->is_plain = !reply->proxy->options.adds_headers;
    reply->proxy->metrics.shed[error->status]++;
    if (reply->record->end == ACCESS_END_OK)
        reply->record->end = ACCESS_END_PROXY;
    if (front_connection_has_answered(reply->connection)) {
        reply_cut(reply);
        return;
    }
    if (error->message != NULL && reply_is_for_limit(error->status))
        snprintf(reply->record->reason, sizeof reply->record->reason, "%s", error->message);
    error->close = front_connection_will_close(reply->connection);
    reply->record->code = (unsigned)status_http_code(error->status);
    reply->record->source = REQUEST_METRICS_SOURCE_PROXY;
    byte_buffer_clear(&reply->out);
    /* Without memory, a close without a word is all we have. */
    if (front_error_write(&reply->out, error, front_connection_date(reply->connection)) !=
        STATUS_OK)
        front_connection_set_close(reply->connection);
    reply_finish_with(reply, (struct bytes){0});
}

/* Then the message has our own words and numbers, and nothing that a client has said. */
static bool reply_is_for_limit(enum status status)
{
    return status == STATUS_RATE_LIMITED || status == STATUS_OVERLOADED ||
           status == STATUS_TIMED_OUT || status == STATUS_BREAKER_OPEN ||
           status == STATUS_LIMIT_REACHED;
}

static void reply_cut(struct reply *reply)
{
    struct front_connection *connection = reply->connection;

    reply->connection = NULL;
    front_connection_cut(connection);
    reply->on_finished(reply);
}

void reply_whole(struct reply *reply, const struct http_head *head, struct bytes body)
{
    reply_give_whole(reply, REQUEST_METRICS_SOURCE_BACKEND, head, body);
}

void reply_collapsed(struct reply *reply, const struct http_head *head, struct bytes body)
{
    reply_give_whole(reply, REQUEST_METRICS_SOURCE_COLLAPSED, head, body);
}

static void reply_give_whole(struct reply *reply, enum request_metrics_source source,
                             const struct http_head *head, struct bytes body)
{
    reply->record->code = head->status;
    reply->record->source = source;
    front_connection_learn_cors(reply->connection, head);
    reply->record->answered_us = loop_now_us(reply->proxy->loop);
    reply->record->answer_bytes = body.size;
    reply->framing = head->framing == HTTP_FRAMING_NONE ? HTTP_FRAMING_NONE : HTTP_FRAMING_LENGTH;
    if (reply_write_head(reply, head, body.size))
        reply_finish_with(reply, body);
    else
        reply_error(reply, STATUS_NO_MEMORY, FRONT_EXECUTED_MAYBE, NULL);
}

void reply_mirrored(struct reply *reply, unsigned status, struct bytes body, uint64_t age_us,
                    bool is_complete)
{
    const struct http_head head = {
        .status = status,
        .reason = bytes_of(http_writer_reason(status)),
        .minor_version = 1,
        .framing = HTTP_FRAMING_LENGTH,
        .field_count = status < 400 ? 1 : 2,
        .fields = {{.name = BYTES_INIT("content-type"),
                    .value = BYTES_INIT("application/json"),
                    .id = HTTP_FIELD_CONTENT_TYPE},
                   {.name = BYTES_INIT("chroma-trace-id"),
                    .value = BYTES_INIT("00000000000000000000000000000000"),
                    .id = HTTP_FIELD_CHROMA_TRACE_ID}}};

    reply->cache_status = NULL;
    reply->age_us = age_us;
    reply->is_complete = is_complete;
    reply_give_whole(reply, REQUEST_METRICS_SOURCE_MIRROR, &head, body);
}

void reply_hit(struct reply *reply, const struct http_head *head, struct query_cache_hit *hit)
{
    enum status  status = STATUS_OK;
    struct bytes part;

    reply->record->code = head->status;
    reply->record->source = REQUEST_METRICS_SOURCE_CACHE;
    reply->record->answered_us = loop_now_us(reply->proxy->loop);
    reply->record->answer_bytes = hit->size;
    reply->age_us = hit->age_us;
    reply->framing = HTTP_FRAMING_LENGTH;
    if (!reply_write_head(reply, head, hit->size))
        status = STATUS_NO_MEMORY;
    while (status == STATUS_OK && query_cache_read(hit, &part))
        status = byte_buffer_append(&reply->out, part, SIZE_MAX);
    if (status == STATUS_OK)
        reply_finish_with(reply, (struct bytes){0});
    else
        reply_error(reply, status, FRONT_EXECUTED_NO, NULL);
}

void reply_too_large(struct reply *reply, bool is_plain)
{
    struct bytes               body = too_large_body(is_plain);
    struct http_writer_options options = {.framing = HTTP_FRAMING_LENGTH,
                                          .content_length = body.size,
                                          .close = true,
                                          .date = front_connection_date(reply->connection)};

    reply->record->code = 413;
    reply->record->end = ACCESS_END_PROXY;
    reply->record->source = REQUEST_METRICS_SOURCE_PROXY;
    reply->proxy->metrics.shed[STATUS_TOO_LARGE]++;
    reply->proxy->refused.bodies++;
    front_connection_set_close(reply->connection);
    byte_buffer_clear(&reply->out);
    if (reply->proxy->options.adds_headers) {
        options.received_by = received_by;
        options.extra = BYTES_LITERAL("X-Chromabouncer-Source: proxy\r\n"
                                      "X-Chromabouncer-Executed: no\r\n");
    }
    if (http_writer_response(&reply->out, too_large_head(is_plain), &options) == STATUS_OK)
        reply_send_pending(reply, body);
    reply->on_finished(reply);
}
