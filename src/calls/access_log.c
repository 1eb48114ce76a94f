#include "calls/access_log.h"

#include "base/log.h"

static bool     is_wanted(enum proxy_access_log wanted, unsigned code);
static void     log_peer(struct log_line *line, const struct socket_address *peer);
static void     log_batch(struct log_line *line, const struct access_record *record);
static uint64_t span(uint64_t from_us, uint64_t to_us);

static const char *const end_names[] = {[ACCESS_END_OK] = "ok",
                                        [ACCESS_END_CLIENT] = "client",
                                        [ACCESS_END_BACKEND] = "backend",
                                        [ACCESS_END_PROXY] = "proxy"};

void access_log_request(enum proxy_access_log wanted, const struct access_request *request,
                        const struct access_record *record, uint64_t now_us)
{
    uint64_t        done_us = record->answered_us;
    struct log_line line;

    if (!is_wanted(wanted, record->code))
        return;
    log_begin(&line, LOG_INFO, "request");
    log_text(&line, "op", request->op);
    log_bytes(&line, "method", request->method);
    log_bytes(&line, "path", request->path);
    log_number(&line, "status", record->code);
    log_text(&line, "source", request_metrics_source_name(record->source));
    log_text(&line, "end", end_names[record->end]);
    if (record->reason[0] != '\0')
        log_text(&line, "reason", record->reason);
    log_ms(&line, "total_ms", span(record->began_us, now_us));
    log_ms(&line, "receive_ms", span(record->began_us, record->body_ended_us));
    if (record->deadline_us != 0)
        log_ms(&line, "client_deadline_ms", record->deadline_us);
    if (record->limit_us != 0)
        log_ms(&line, "limit_ms", record->limit_us);
    if (record->room_us != 0)
        log_ms(&line, "room_ms", record->room_us);
    log_ms(&line, "queue_ms", record->queue_us);
    log_ms(&line, "backend_ms", span(record->connected_us, record->first_byte_us));
    log_ms(&line, "send_ms", span(record->first_byte_us, done_us != 0 ? done_us : now_us));
    log_ms(&line, "overhead_ms", record->overhead_us);
    log_number(&line, "request_bytes", record->request_bytes);
    log_number(&line, "answer_bytes", record->answer_bytes);
    if (record->batch.attempts > 0)
        log_batch(&line, record);
    if (record->was_retried)
        log_flag(&line, "retried", true);
    if (record->write_goes_on)
        log_flag(&line, "write_goes_on", true);
    if (record->key != NULL)
        log_text(&line, "key", record->key);
    if (record->service != NULL)
        log_text(&line, "service", record->service);
    log_peer(&line, request->peer);
    log_end(&line);
}

static bool is_wanted(enum proxy_access_log wanted, unsigned code)
{
    if (wanted == PROXY_LOG_OFF || !log_is_on(LOG_INFO))
        return false;
    return wanted == PROXY_LOG_ALL || code == 0 || code >= 400;
}

/* The last call that the write was part of, its place in it, and how long it had waited for it:
 * calls by number and writes by place are the order in which Chroma got them. */
static void log_batch(struct log_line *line, const struct access_record *record)
{
    const struct access_batch *batch = &record->batch;

    log_number(line, "batch", batch->id);
    log_number(line, "batch_writes", batch->members);
    log_number(line, "batch_index", batch->index);
    log_number(line, "batch_attempts", batch->attempts);
    log_ms(line, "batch_wait_ms", span(record->body_ended_us, batch->sent_us));
}

static void log_peer(struct log_line *line, const struct socket_address *peer)
{
    char text[SOCKET_ADDRESS_TEXT_MAX];

    if (peer->size == 0)
        return;
    socket_address_format(peer, text);
    log_text(line, "client", text);
}

/* 0 where one of the two did not happen. */
static uint64_t span(uint64_t from_us, uint64_t to_us)
{
    return from_us == 0 || to_us < from_us ? 0 : to_us - from_us;
}

void access_log_refused(enum proxy_access_log wanted, const struct front_connection *connection,
                        const struct error *error)
{
    struct log_line line;

    if (!is_wanted(wanted, (unsigned)status_http_code(error->status)))
        return;
    log_begin(&line, LOG_INFO, "request_refused");
    log_number(&line, "status", (uint64_t)status_http_code(error->status));
    log_text(&line, "reason", error->text);
    log_text(&line, "end", "client");
    log_peer(&line, front_connection_peer(connection));
    log_end(&line);
}
