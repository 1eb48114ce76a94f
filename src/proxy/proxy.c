#include "proxy/proxy.h"

#include <stdlib.h>

#include "proxy/exchange.h"

static bool new_timeouts(struct proxy *proxy);
static void on_deadline(struct timeout *timeout);
static void on_wait_limit(struct timeout *timeout);

struct proxy *proxy_new(struct loop *loop, struct memory_budget *budget, struct upstream_pool *pool,
                        const struct proxy_options *options)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);

    if (proxy == NULL)
        return NULL;
    proxy->loop = loop;
    proxy->budget = budget;
    proxy->pool = pool;
    proxy->options = *options;
    list_init(&proxy->spare_exchanges);
    body_gate_init(&proxy->bodies, loop, budget, options->queue_bytes_max);
    if (!new_timeouts(proxy)) {
        proxy_free(proxy);
        return NULL;
    }
    return proxy;
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
    proxy->bodies.max = options->queue_bytes_max;
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
    loop_free_pending(proxy->loop);
    while ((node = list_first(&proxy->spare_exchanges)) != NULL) {
        struct exchange *exchange = LIST_ITEM(node, struct exchange, node);

        list_remove(node);
        byte_buffer_done(&exchange->request_head);
        byte_buffer_done(&exchange->answer);
        byte_buffer_done(&exchange->body);
        free(exchange);
    }
    loop_task_cancel(&proxy->bodies.task);
    timeout_queue_free(proxy->read_deadlines);
    timeout_queue_free(proxy->write_deadlines);
    timeout_queue_free(proxy->wait_limits);
    free(proxy);
}

enum status proxy_print_metrics(struct proxy *proxy, struct byte_buffer *out)
{
    return request_metrics_print(&proxy->metrics, out);
}

size_t proxy_unfinished(const struct proxy *proxy)
{
    return proxy->exchange_count;
}
