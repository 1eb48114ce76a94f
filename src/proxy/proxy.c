#include "proxy/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "io/clock.h"
#include "proxy/call.h"
#include "proxy/dispatch.h"
#include "proxy/exchange.h"
#include "proxy/write_lanes.h"

/* Calls are looked at so often for those that hang. */
static const uint64_t hung_check_us = 1000000;

static void                      make_secrets(struct proxy *proxy);
static bool                      new_timeouts(struct proxy *proxy);
static struct turn_queue_options turn_options(const struct proxy_options *options);
static void                      run_waiters(void *ctx);
static bool                      take_control_turn(void *ctx);
static void                      give_control_turn(void *ctx);
static void                      on_hung_timer(void *ctx);
static void                      count_unfinished(struct proxy *proxy);

struct proxy *proxy_new(struct loop *loop, struct worker_pool *workers,
                        struct memory_account_budget *budget, struct upstream_pool *pool,
                        const struct proxy_options       *options,
                        const struct proxy_write_options *writes)
{
    struct proxy             *proxy = calloc(1, sizeof *proxy);
    struct turn_queue_options turns = turn_options(options);

    if (proxy == NULL)
        return NULL;
    proxy->loop = loop;
    proxy->workers = workers;
    proxy->budget = budget;
    proxy->pool = pool;
    proxy->options = *options;
    list_init(&proxy->exchanges);
    list_init(&proxy->spare_exchanges);
    list_init(&proxy->writes);
    list_init(&proxy->calls);
    loop_task_init(&proxy->room_task, run_waiters, proxy);
    admission_init(&proxy->admission, loop, options->requests_max);
    make_secrets(proxy);
    proxy->turns = turn_queue_new(&turns);
    proxy->lane_rooms =
        lane_rooms_new(loop, proxy->secret, &budget->accounts[MEMORY_ACCOUNT_WRITES]);
    proxy->lanes = write_lanes_new(proxy, writes);
    proxy->hung_timer = loop_timer_new(loop, on_hung_timer, proxy);
    if (proxy->turns == NULL || proxy->lane_rooms == NULL || proxy->lanes == NULL ||
        proxy->hung_timer == NULL || !new_timeouts(proxy)) {
        proxy_free(proxy);
        return NULL;
    }
    loop_timer_set(proxy->hung_timer, loop_now_us(loop) + hung_check_us);
    upstream_pool_set_control(pool, take_control_turn, give_control_turn, proxy);
    return proxy;
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

static bool new_timeouts(struct proxy *proxy)
{
    const struct proxy_options *options = &proxy->options;

    proxy->read_deadlines =
        timeout_queue_new(proxy->loop, options->deadline_read_us, dispatch_on_deadline);
    proxy->write_deadlines =
        timeout_queue_new(proxy->loop, options->deadline_write_us, dispatch_on_deadline);
    proxy->wait_limits =
        timeout_queue_new(proxy->loop, options->queue_wait_max_us, dispatch_on_wait_limit);
    return proxy->read_deadlines != NULL && proxy->write_deadlines != NULL &&
           proxy->wait_limits != NULL;
}

static struct turn_queue_options turn_options(const struct proxy_options *options)
{
    return (struct turn_queue_options){.connections_max = options->connections_max};
}

void proxy_set_backend(struct proxy *proxy, bool may_merge, uint64_t batch_records_max)
{
    write_lanes_set_backend(proxy->lanes, may_merge, batch_records_max);
}

void proxy_set_options(struct proxy *proxy, const struct proxy_options *options)
{
    struct turn_queue_options turns = turn_options(options);

    proxy->options = *options;
    admission_set_max(&proxy->admission, options->requests_max);
    turn_queue_set_options(proxy->turns, &turns);
    timeout_queue_set_duration(proxy->read_deadlines, options->deadline_read_us);
    timeout_queue_set_duration(proxy->write_deadlines, options->deadline_write_us);
    timeout_queue_set_duration(proxy->wait_limits, options->queue_wait_max_us);
    proxy_wake(proxy);
    call_run_turns(proxy);
}

uint64_t proxy_waiting(const struct proxy *proxy)
{
    const struct turn_queue_stats *stats = turn_queue_stats(proxy->turns);

    return stats->waiting[TURN_READ] + stats->waiting[TURN_WRITE];
}

void proxy_wake(void *ctx)
{
    struct proxy *proxy = ctx;

    loop_later(proxy->loop, &proxy->room_task);
}

static void run_waiters(void *ctx)
{
    struct proxy *proxy = ctx;

    memory_account_run_waiters(proxy->budget);
}

/* One that has to wait stays in the queue, where it goes first: the next to ask finds it granted.
 */
static bool take_control_turn(void *ctx)
{
    struct proxy *proxy = ctx;

    if (proxy->control_turn.state == TURN_IDLE) {
        proxy->control_turn = (struct turn){.class = TURN_CONTROL};
        return turn_queue_ask(proxy->turns, &proxy->control_turn, loop_now_us(proxy->loop)) ==
               STATUS_OK;
    }
    return proxy->control_turn.state == TURN_OPEN;
}

static void give_control_turn(void *ctx)
{
    struct proxy *proxy = ctx;

    turn_queue_done(proxy->turns, &proxy->control_turn, loop_now_us(proxy->loop), 0);
    call_run_turns(proxy);
}

static void on_hung_timer(void *ctx)
{
    struct proxy *proxy = ctx;

    call_count_hung(proxy);
    loop_timer_set(proxy->hung_timer, loop_now_us(proxy->loop) + hung_check_us);
}

void proxy_free(struct proxy *proxy)
{
    struct list_node *node;

    if (proxy == NULL)
        return;
    loop_free_pending(proxy->loop);
    write_lanes_free(proxy->lanes);
    while ((node = list_first(&proxy->exchanges)) != NULL ||
           (node = list_first(&proxy->spare_exchanges)) != NULL)
        exchange_free(LIST_ITEM(node, struct exchange, node));
    lane_rooms_free(proxy->lane_rooms);
    admission_done(&proxy->admission);
    loop_task_cancel(&proxy->room_task);
    loop_timer_free(proxy->hung_timer);
    turn_queue_free(proxy->turns);
    timeout_queue_free(proxy->read_deadlines);
    timeout_queue_free(proxy->write_deadlines);
    timeout_queue_free(proxy->wait_limits);
    free(proxy);
}

const struct front_handler *proxy_handler(void)
{
    return &dispatch_handler;
}

enum status proxy_print_metrics(struct proxy *proxy, struct byte_buffer *out)
{
    enum status status;

    count_unfinished(proxy);
    status = request_metrics_print(&proxy->metrics, out);
    if (status == STATUS_OK)
        status = metric_print(out, turn_queue_metrics, turn_queue_metric_count,
                              turn_queue_stats(proxy->turns));
    return status == STATUS_OK ? write_lanes_print_metrics(proxy->lanes, out) : status;
}

/* Counted when it is asked for: what waits becomes what is sent in many places. */
static void count_unfinished(struct proxy *proxy)
{
    struct request_metrics *metrics = &proxy->metrics;

    memset(metrics->inflight, 0, sizeof metrics->inflight);
    memset(metrics->queued, 0, sizeof metrics->queued);
    metrics->hung = call_count_hung(proxy);
    LIST_FOR_EACH(node, &proxy->exchanges)
    {
        const struct exchange *exchange = LIST_ITEM(node, struct exchange, node);
        bool                   is_sent = exchange->pass.call.connected_us != 0 ||
                       call_is_sent(&exchange->pass.call) || exchange->state == EXCHANGE_ANSWERING;

        if (exchange->write == NULL)
            (is_sent ? metrics->inflight : metrics->queued)[exchange->route.info->class]++;
    }
    LIST_FOR_EACH(node, &proxy->writes)
    {
        const struct write *write = LIST_ITEM(node, struct write, node);

        (write_is_sent(write) ? metrics->inflight : metrics->queued)[write->route.info->class]++;
    }
}

size_t proxy_unfinished(const struct proxy *proxy)
{
    size_t count = proxy->exchange_count;

    LIST_FOR_EACH(node, &proxy->writes)
    {
        const struct write *write = LIST_ITEM(node, struct write, node);

        count += write->waiter == NULL && write->stream_to == NULL;
    }
    return count;
}
