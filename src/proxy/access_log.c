#include "proxy/access_log.h"

#include "base/log.h"
#include "proxy/write_member.h"

static bool     is_wanted(const struct proxy *proxy, unsigned code);
static void     log_peer(struct log_line *line, const struct socket_address *peer);
static void     log_batch(struct log_line *line, const struct exchange *exchange);
static uint64_t span(uint64_t from_us, uint64_t to_us);

static const char *const end_names[] = {[EXCHANGE_END_OK] = "ok",
                                        [EXCHANGE_END_CLIENT] = "client",
                                        [EXCHANGE_END_BACKEND] = "backend",
                                        [EXCHANGE_END_PROXY] = "proxy"};

void access_log_exchange(const struct exchange *exchange, uint64_t now_us)
{
    const struct proxy *proxy = exchange->proxy;
    uint64_t            done_us = exchange->answered_us;
    struct log_line     line;

    if (!is_wanted(proxy, exchange->code))
        return;
    log_begin(&line, LOG_INFO, "request");
    log_text(&line, "op", exchange->route.info->metric_op);
    log_bytes(&line, "method", exchange->head->method);
    log_bytes(&line, "path", exchange->head->path);
    log_number(&line, "status", exchange->code);
    log_text(&line, "source", request_metrics_source_name(exchange->source));
    log_text(&line, "end", end_names[exchange->end]);
    log_ms(&line, "total_ms", span(exchange->began_us, now_us));
    log_ms(&line, "receive_ms", span(exchange->began_us, exchange->body_ended_us));
    log_ms(&line, "queue_ms", span(exchange->body_ended_us, exchange->connected_us));
    log_ms(&line, "backend_ms", span(exchange->connected_us, exchange->first_byte_us));
    log_ms(&line, "send_ms", span(exchange->first_byte_us, done_us != 0 ? done_us : now_us));
    log_ms(&line, "overhead_ms", exchange->overhead_us);
    log_number(&line, "request_bytes", exchange->request_bytes);
    log_number(&line, "answer_bytes", exchange->answer_bytes);
    if (exchange->member != NULL && exchange->member->batch_attempts > 0)
        log_batch(&line, exchange);
    if (exchange->was_retried)
        log_flag(&line, "retried", true);
    if (exchange->state == EXCHANGE_DETACHED)
        log_flag(&line, "write_goes_on", true);
    log_peer(&line, exchange->peer);
    log_end(&line);
}

static bool is_wanted(const struct proxy *proxy, unsigned code)
{
    if (proxy->options.access_log == PROXY_LOG_OFF || !log_is_on(LOG_INFO))
        return false;
    return proxy->options.access_log == PROXY_LOG_ALL || code == 0 || code >= 400;
}

/* The last call that the write was part of, its place in it, and how long it had waited for it:
 * calls by number and writes by place are the order in which Chroma got them. */
static void log_batch(struct log_line *line, const struct exchange *exchange)
{
    const struct write_member *member = exchange->member;

    log_number(line, "batch", member->batch_id);
    log_number(line, "batch_writes", member->batch_members);
    log_number(line, "batch_index", member->batch_index);
    log_number(line, "batch_attempts", member->batch_attempts);
    log_ms(line, "batch_wait_ms", span(exchange->body_ended_us, member->batch_sent_us));
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

void access_log_refused(const struct proxy *proxy, const struct front_connection *connection,
                        const struct error *error)
{
    struct log_line line;

    if (!is_wanted(proxy, (unsigned)status_http_code(error->status)))
        return;
    log_begin(&line, LOG_INFO, "request_refused");
    log_number(&line, "status", (uint64_t)status_http_code(error->status));
    log_text(&line, "reason", error->text);
    log_text(&line, "end", "client");
    log_peer(&line, front_connection_peer(connection));
    log_end(&line);
}
