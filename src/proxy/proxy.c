#include "proxy/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "io/clock.h"
#include "proxy/exchange.h"
#include "proxy/write_lanes.h"

static uint64_t lane_bytes_max(const struct proxy_options *options);
static void     make_secrets(struct proxy *proxy);
static bool     new_timeouts(struct proxy *proxy);
static void     on_deadline(struct timeout *timeout);
static void     on_wait_limit(struct timeout *timeout);
static void     count_unfinished(struct proxy *proxy);

struct proxy *proxy_new(struct loop *loop, struct worker_pool *workers,
                        struct memory_budget *budget, struct upstream_pool *pool,
                        const struct proxy_options       *options,
                        const struct proxy_write_options *writes)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);

    if (proxy == NULL)
        return NULL;
    proxy->loop = loop;
    proxy->budget = budget;
    proxy->pool = pool;
    proxy->options = *options;
    list_init(&proxy->exchanges);
    list_init(&proxy->spare_exchanges);
    make_secrets(proxy);
    if (writes->is_coalescing)
        proxy->lanes = write_lanes_new(proxy, workers, writes);
    proxy->lane_gates = lane_gates_new(loop, proxy->secret, lane_bytes_max(options));
    if (!body_gate_init(&proxy->bodies, loop, budget, options->queue_bytes_max) ||
        proxy->lane_gates == NULL || !new_timeouts(proxy) ||
        (writes->is_coalescing && proxy->lanes == NULL)) {
        proxy_free(proxy);
        return NULL;
    }
    return proxy;
}

/* A collection whose call hangs leaves half of the room to others. */
static uint64_t lane_bytes_max(const struct proxy_options *options)
{
    return options->queue_bytes_max / 2;
}

/* From the kernel; in the first moments after boot, before it has any, from the clock. */
static void make_secrets(struct proxy *proxy)
{
    if (getrandom(proxy->secret, sizeof proxy->secret, GRND_NONBLOCK) !=
            (ssize_t)sizeof proxy->secret ||
        getrandom(&proxy->trace_prefix, sizeof proxy->trace_prefix, GRND_NONBLOCK) !=
            (ssize_t)sizeof proxy->trace_prefix) {
        uint64_t now_us = clock_now_us();

        memcpy(proxy->secret, &now_us, sizeof now_us);
        proxy->trace_prefix = now_us;
    }
}

void proxy_set_backend(struct proxy *proxy, bool may_merge, uint64_t batch_records_max)
{
    if (proxy->lanes != NULL)
        write_lanes_set_backend(proxy->lanes, may_merge, batch_records_max);
}

static bool new_timeouts(struct proxy *proxy)
{
    const struct proxy_options *options = &proxy->options;

    proxy->read_deadlines = timeout_queue_new(proxy->loop, options->deadline_read_us, on_deadline);
    proxy->write_deadlines =
        timeout_queue_new(proxy->loop, options->deadline_write_us, on_deadline);
    proxy->wait_limits = timeout_queue_new(proxy->loop, options->queue_wait_max_us, on_wait_limit);
    return proxy->read_deadlines != NULL && proxy->write_deadlines != NULL &&
           proxy->wait_limits != NULL;
}

void proxy_set_options(struct proxy *proxy, const struct proxy_options *options)
{
    proxy->options = *options;
    body_gate_set_max(&proxy->bodies, options->queue_bytes_max);
    lane_gates_set_max(proxy->lane_gates, lane_bytes_max(options));
    timeout_queue_set_duration(proxy->read_deadlines, options->deadline_read_us);
    timeout_queue_set_duration(proxy->write_deadlines, options->deadline_write_us);
    timeout_queue_set_duration(proxy->wait_limits, options->queue_wait_max_us);
}

static void on_deadline(struct timeout *timeout)
{
    struct exchange *exchange = CONTAINER_OF(timeout, struct exchange, deadline);

    exchange->path->on_deadline(exchange);
}

/* Counts only while it waits for its turn. */
static void on_wait_limit(struct timeout *timeout)
{
    struct exchange *exchange = CONTAINER_OF(timeout, struct exchange, wait_limit);

    if (exchange->transfer == NULL || !upstream_transfer_is_sent(exchange->transfer))
        exchange->path->on_deadline(exchange);
}

void proxy_free(struct proxy *proxy)
{
    struct list_node *node;

    if (proxy == NULL)
        return;
    write_lanes_free(proxy->lanes);
    loop_free_pending(proxy->loop);
    LIST_FOR_EACH(cut_off, &proxy->exchanges) /* writes, at the end */
    {
        exchange_free_room(LIST_ITEM(cut_off, struct exchange, node));
    }
    loop_free_pending(proxy->loop); /* gates of collections */
    while ((node = list_first(&proxy->exchanges)) != NULL ||
           (node = list_first(&proxy->spare_exchanges)) != NULL)
        exchange_free(LIST_ITEM(node, struct exchange, node));
    lane_gates_free(proxy->lane_gates);
    body_gate_done(&proxy->bodies);
    timeout_queue_free(proxy->read_deadlines);
    timeout_queue_free(proxy->write_deadlines);
    timeout_queue_free(proxy->wait_limits);
    free(proxy);
}

const struct front_handler *proxy_handler(void)
{
    return &exchange_handler;
}

enum status proxy_print_metrics(struct proxy *proxy, struct byte_buffer *out)
{
    enum status status;

    count_unfinished(proxy);
    status = request_metrics_print(&proxy->metrics, out);
    return status == STATUS_OK && proxy->lanes != NULL
               ? write_lanes_print_metrics(proxy->lanes, out)
               : status;
}

/* Counted when it is asked for: what waits becomes what is sent in many places. */
static void count_unfinished(struct proxy *proxy)
{
    struct request_metrics *metrics = &proxy->metrics;

    memset(metrics->inflight, 0, sizeof metrics->inflight);
    memset(metrics->queued, 0, sizeof metrics->queued);
    LIST_FOR_EACH(node, &proxy->exchanges)
    {
        const struct exchange *exchange = LIST_ITEM(node, struct exchange, node);

        if (exchange_is_sent(exchange))
            metrics->inflight[exchange->route.info->class]++;
        else
            metrics->queued[exchange->route.info->class]++;
    }
}

size_t proxy_unfinished(const struct proxy *proxy)
{
    return proxy->exchange_count;
}
