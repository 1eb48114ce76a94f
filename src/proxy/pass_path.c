#include "proxy/pass_path.h"

#include "http/http_writer.h"
#include "proxy/answer.h"

enum { pass_kept_max = 256 * 1024 };

static void begin(struct exchange *exchange);
static void on_admitted(struct exchange *exchange);
static void on_body(struct exchange *exchange, struct bytes data);
static void begin_streaming(struct exchange *exchange);
static void stream_body(struct exchange *exchange, struct bytes data, bool last);
static void on_body_end(struct exchange *exchange);
static void start(struct exchange *exchange, bool streams);
static void on_deadline(struct exchange *exchange);
static void on_client_gone(struct exchange *exchange);

const struct exchange_path pass_path = {.begin = begin,
                                        .on_body = on_body,
                                        .on_body_end = on_body_end,
                                        .on_admitted = on_admitted,
                                        .on_deadline = on_deadline,
                                        .on_client_gone = on_client_gone};

static void begin(struct exchange *exchange)
{
    if (exchange_reserve_body(exchange, pass_kept_max))
        on_admitted(exchange);
}

static void on_admitted(struct exchange *exchange)
{
    if (exchange->state != EXCHANGE_RECEIVING || exchange->is_streaming)
        return; /* more than was waited for came with the last bytes */
    exchange_stop_clocks(exchange);
    if (exchange->head->expects_continue && byte_buffer_size(&exchange->body) == 0)
        front_connection_continue(exchange->connection);
    front_connection_resume_body(exchange->connection);
}

static void on_body(struct exchange *exchange, struct bytes data)
{
    /* While it is streamed, `body` holds what came after Chroma's side was full. */
    if (exchange->is_streaming && byte_buffer_size(&exchange->body) == 0 &&
        upstream_transfer_is_writable(exchange->transfer)) {
        stream_body(exchange, data, false);
        return;
    }
    if (!exchange_keep_body(exchange, data)) {
        pass_path_drop_transfer(exchange);
        answer_error(exchange, STATUS_NO_MEMORY, FRONT_EXECUTED_NO, NULL);
    } else if (exchange->is_streaming) {
        front_connection_pause_body(exchange->connection);
    } else if (byte_buffer_size(&exchange->body) > pass_kept_max) {
        begin_streaming(exchange);
    } else {
        (void)exchange_reserve_body(exchange, pass_kept_max);
    }
}

/* The body is too large to be kept: take a connection now, and read on when it takes bytes. */
static void begin_streaming(struct exchange *exchange)
{
    exchange->is_streaming = true;
    front_connection_pause_body(exchange->connection);
    start(exchange, true);
}

/* on_writable: the request's head is out. First what is kept, then the client may go on. */
void pass_path_on_writable(struct exchange *exchange)
{
    struct byte_buffer kept = exchange->body;

    exchange->body = (struct byte_buffer){0};
    if (byte_buffer_size(&kept) > 0)
        stream_body(exchange, byte_buffer_bytes(&kept), exchange->body_ended);
    byte_buffer_done(&kept);
    if (exchange->body_ended || exchange->transfer == NULL)
        return;
    if (upstream_transfer_is_writable(exchange->transfer)) {
        exchange_stop_clocks(exchange);
        front_connection_resume_body(exchange->connection);
    }
}

/* Hand `data` to Chroma's side in the framing of its head. */
static void stream_body(struct exchange *exchange, struct bytes data, bool last)
{
    bool         is_chunked = exchange->head->framing == HTTP_FRAMING_CHUNKED;
    char         line[HTTP_WRITER_CHUNK_LINE_MAX];
    struct bytes parts[4];
    size_t       count = 0;

    if (is_chunked && data.size > 0)
        parts[count++] =
            (struct bytes){.data = line, .size = http_writer_chunk_line(line, data.size)};
    if (data.size > 0)
        parts[count++] = data;
    if (is_chunked && data.size > 0)
        parts[count++] = BYTES_LITERAL("\r\n");
    if (is_chunked && last)
        parts[count++] = http_writer_last_chunk;
    upstream_transfer_send_body(exchange->transfer, parts, count, last);
    if (last || upstream_transfer_is_writable(exchange->transfer))
        return;
    front_connection_pause_body(exchange->connection);
    exchange_start_deadline(exchange); /* Chroma must go on reading */
}

static void on_body_end(struct exchange *exchange)
{
    if (exchange->state == EXCHANGE_RECEIVING) /* else Chroma answers early */
        exchange_move(exchange, EXCHANGE_WAITING);
    if (!exchange->is_streaming) {
        start(exchange, false);
        return;
    }
    exchange_start_deadline(exchange);
    if (byte_buffer_size(&exchange->body) == 0 && exchange->transfer != NULL)
        stream_body(exchange, (struct bytes){0}, true);
}

static void start(struct exchange *exchange, bool streams)
{
    enum http_framing framing = exchange->head->framing;
    uint64_t          length = exchange->head->content_length;
    enum status       status = STATUS_NO_MEMORY;

    if (!streams && framing != HTTP_FRAMING_NONE) {
        framing = HTTP_FRAMING_LENGTH;
        length = byte_buffer_size(&exchange->body);
    }
    exchange_start_deadline(exchange);
    if (exchange_write_head(exchange, framing, length))
        status = exchange_start_transfer(exchange, streams);
    if (status != STATUS_OK)
        answer_error(exchange, status, FRONT_EXECUTED_NO,
                     status == STATUS_OVERLOADED
                         ? "queue.requests_max requests wait for Chroma already; retry later"
                         : NULL);
}

void pass_path_ask_again(struct exchange *exchange)
{
    exchange->was_retried = true;
    exchange->answer_bytes = 0;
    exchange_move(exchange, EXCHANGE_WAITING);
    start(exchange, false);
}

static void on_deadline(struct exchange *exchange)
{
    bool sent = exchange->transfer != NULL && upstream_transfer_is_sent(exchange->transfer);

    if (exchange->state == EXCHANGE_ANSWERING && upstream_transfer_is_paused(exchange->transfer)) {
        exchange_start_deadline(exchange); /* the client is slow, not Chroma */
        return;
    }
    pass_path_drop_transfer(exchange);
    answer_error(exchange, STATUS_TIMED_OUT, sent ? FRONT_EXECUTED_MAYBE : FRONT_EXECUTED_NO,
                 sent ? "Chroma did not answer within deadline.read"
                      : "no connection to Chroma became free in time; see "
                        "backend.connections_max, queue.wait_max and deadline.read");
}

static void on_client_gone(struct exchange *exchange)
{
    pass_path_drop_transfer(exchange);
    exchange_finish(exchange);
}

void pass_path_drop_transfer(struct exchange *exchange)
{
    struct upstream_transfer *transfer = exchange->transfer;

    exchange_stop_clocks(exchange);
    if (transfer == NULL)
        return;
    if (exchange->route.info->is_write && upstream_transfer_is_sent(transfer)) {
        exchange_detach(exchange);
        return;
    }
    exchange->transfer = NULL;
    upstream_transfer_cancel(transfer);
}
