#include "upstream/upstream_pool.h"

#include <stdio.h>
#include <stdlib.h>

#include "upstream/upstream_state.h"

const struct metric_desc upstream_pool_metrics[] = {
    METRIC_LABELED(GAUGE, upstream_pool_stats, idle, "chromabouncer_backend_connections",
                   "state=\"idle\"", "Connections to the backend by state."),
    METRIC_LABELED(GAUGE, upstream_pool_stats, busy, "chromabouncer_backend_connections",
                   "state=\"busy\"", ""),
    METRIC_LABELED(GAUGE, upstream_pool_stats, connecting, "chromabouncer_backend_connections",
                   "state=\"connecting\"", ""),
    METRIC(COUNTER, upstream_pool_stats, opened, "chromabouncer_backend_connections_opened_total",
           "Connections opened: rising with the requests, connections are not reused."),
    METRIC(COUNTER, upstream_pool_stats, reused, "chromabouncer_backend_connections_reused_total",
           "Requests sent on a connection that was used before."),
    METRIC(COUNTER, upstream_pool_stats, connect_failures,
           "chromabouncer_backend_connect_failures_total",
           "Attempts to connect that were refused or not answered."),
    METRIC(COUNTER, upstream_pool_stats, unsolicited,
           "chromabouncer_backend_unsolicited_bytes_total",
           "Connections closed because the backend sent what was not asked for."),
    METRIC(COUNTER, upstream_pool_stats, retries, "chromabouncer_backend_retries_total",
           "Requests sent again because an idle connection turned out to be closed."),
    METRIC(COUNTER, upstream_pool_stats, garbled, "chromabouncer_backend_garbled_answers_total",
           "Answers of the backend that are not valid HTTP."),
};
const size_t upstream_pool_metric_count = COUNT_OF(upstream_pool_metrics);

static void on_resolved(void *ctx);
static void on_failed_task(void *ctx);
static void close_all(struct list *connections);
static bool upstream_pool_is_full(const struct upstream_pool *pool);

struct upstream_pool *upstream_pool_new(struct loop *loop, struct worker_pool *workers,
                                        struct memory_account_budget       *budget,
                                        const struct upstream_pool_options *options)
{
    struct upstream_pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return NULL;
    pool->loop = loop;
    pool->budget = budget;
    pool->options = *options;
    pool->limits =
        (struct http_reader_limits){.start_line_bytes_max = options->head_bytes_max,
                                    .head_bytes_max = options->head_bytes_max,
                                    .body_bytes_max = UINT64_MAX,
                                    .account = &budget->accounts[MEMORY_ACCOUNT_ANSWERS]};
    list_init(&pool->idle);
    list_init(&pool->busy);
    list_init(&pool->connecting);
    list_init(&pool->failed);
    loop_task_init(&pool->failed_task, on_failed_task, pool);
    pool->idle_timeouts =
        timeout_queue_new(loop, options->idle_timeout_us, upstream_connection_on_idle_timeout);
    pool->connect_timeouts = timeout_queue_new(loop, options->connect_timeout_us,
                                               upstream_connection_on_connect_timeout);
    pool->resolver = upstream_resolver_new(loop, workers, &options->backend,
                                           options->resolve_interval_us, on_resolved, pool);
    if (pool->idle_timeouts == NULL || pool->connect_timeouts == NULL || pool->resolver == NULL) {
        upstream_pool_free(pool);
        return NULL;
    }
    return pool;
}

void upstream_pool_set_options(struct upstream_pool               *pool,
                               const struct upstream_pool_options *options)
{
    pool->options = *options;
    timeout_queue_set_duration(pool->idle_timeouts, options->idle_timeout_us);
    timeout_queue_set_duration(pool->connect_timeouts, options->connect_timeout_us);
    upstream_resolver_set_interval(pool->resolver, options->resolve_interval_us);
    while (upstream_pool_is_over(pool) && !list_is_empty(&pool->idle))
        upstream_connection_close(
            LIST_ITEM(list_last(&pool->idle), struct upstream_connection, node));
}

void upstream_pool_free(struct upstream_pool *pool)
{
    struct list_node *node;

    if (pool == NULL)
        return;
    pool->is_closing = true; /* who is told of a failure below must not begin anew */
    close_all(&pool->idle);
    while ((node = list_first(&pool->busy)) != NULL)
        upstream_transfer_on_broken(LIST_ITEM(node, struct upstream_connection, node)->transfer,
                                    STATUS_SHUTTING_DOWN);
    while ((node = list_first(&pool->connecting)) != NULL)
        upstream_transfer_on_broken(LIST_ITEM(node, struct upstream_connection, node)->transfer,
                                    STATUS_SHUTTING_DOWN);
    loop_task_cancel(&pool->failed_task);
    on_failed_task(pool);
    timeout_queue_free(pool->idle_timeouts);
    timeout_queue_free(pool->connect_timeouts);
    upstream_resolver_free(pool->resolver);
    free(pool);
}

static void close_all(struct list *connections)
{
    struct list_node *node;

    while ((node = list_first(connections)) != NULL)
        upstream_connection_close(LIST_ITEM(node, struct upstream_connection, node));
}

const struct upstream_pool_stats *upstream_pool_stats(struct upstream_pool *pool)
{
    pool->stats.idle = pool->idle_count;
    pool->stats.busy = pool->busy_count;
    pool->stats.connecting = pool->connecting_count;
    return &pool->stats;
}

size_t upstream_pool_unanswered_writes(const struct upstream_pool *pool)
{
    size_t count = 0;

    LIST_FOR_EACH(node, &pool->busy)
    {
        const struct upstream_connection *connection =
            LIST_ITEM(node, struct upstream_connection, node);

        count += connection->transfer->request.is_write;
    }
    return count;
}

bool upstream_pool_is_resolving(const struct upstream_pool *pool)
{
    return upstream_resolver_is_busy(pool->resolver);
}

const char *upstream_pool_problem(const struct upstream_pool *pool)
{
    return pool->problem;
}

uint64_t upstream_pool_retry_at_us(const struct upstream_pool *pool)
{
    return pool->retry_at_us;
}

void upstream_pool_clear_problem(struct upstream_pool *pool, uint64_t began_us)
{
    if (pool->problem_us <= began_us)
        pool->problem[0] = '\0';
}

struct upstream_resolver *upstream_pool_resolver(struct upstream_pool *pool)
{
    return pool->resolver;
}

size_t upstream_pool_good_address(const struct upstream_pool *pool)
{
    return pool->good_address;
}

void upstream_pool_set_good_address(struct upstream_pool *pool, size_t index)
{
    pool->good_address = index;
}

void upstream_pool_set_problem(struct upstream_pool *pool, const struct socket_address *address,
                               const char *what)
{
    char text[SOCKET_ADDRESS_TEXT_MAX] = "";

    pool->problem_us = loop_now_us(pool->loop);
    if (address != NULL)
        socket_address_format(address, text);
    snprintf(pool->problem, sizeof pool->problem, "%s%s%s", text, address == NULL ? "" : ": ",
             what);
}

void upstream_pool_move(struct upstream_connection    *connection,
                        enum upstream_connection_state state)
{
    struct upstream_pool *pool = connection->pool;
    struct list          *list[] = {[UPSTREAM_RESOLVING] = &pool->connecting,
                                    [UPSTREAM_CONNECTING] = &pool->connecting,
                                    [UPSTREAM_IDLE] = &pool->idle,
                                    [UPSTREAM_BUSY] = &pool->busy};
    size_t               *count[] = {[UPSTREAM_RESOLVING] = &pool->connecting_count,
                                     [UPSTREAM_CONNECTING] = &pool->connecting_count,
                                     [UPSTREAM_IDLE] = &pool->idle_count,
                                     [UPSTREAM_BUSY] = &pool->busy_count};

    if (connection->state != UPSTREAM_CLOSED)
        (*count[connection->state])--;
    list_remove(&connection->node);
    connection->state = state;
    if (state == UPSTREAM_CLOSED)
        return;
    (*count[state])++;
    list_push_front(list[state], &connection->node);
}

static void on_resolved(void *ctx)
{
    struct upstream_pool *pool = ctx;

    LIST_FOR_EACH(node, &pool->connecting)
    {
        struct upstream_connection *connection = LIST_ITEM(node, struct upstream_connection, node);

        if (connection->state == UPSTREAM_RESOLVING)
            upstream_connection_on_resolved(connection);
    }
}

bool upstream_pool_has_room(const struct upstream_pool *pool)
{
    return !pool->is_closing && pool->busy_count + pool->connecting_count + pool->places_taken <
                                    pool->options.connections_max;
}

bool upstream_pool_is_over(const struct upstream_pool *pool)
{
    return pool->idle_count + pool->busy_count + pool->connecting_count + pool->places_taken >
           pool->options.connections_max;
}

void upstream_pool_set_control(struct upstream_pool *pool, bool (*take)(void *ctx),
                               void (*give)(void *ctx), void *ctx)
{
    pool->take_turn = take;
    pool->give_turn = give;
    pool->turn_ctx = ctx;
}

bool upstream_pool_take_place(struct upstream_pool *pool)
{
    struct list_node *idle = list_last(&pool->idle);

    if (pool->take_turn != NULL && !pool->take_turn(pool->turn_ctx))
        return false; /* asked, it waits, and goes first */
    if (!upstream_pool_has_room(pool)) {
        if (pool->give_turn != NULL)
            pool->give_turn(pool->turn_ctx);
        return false;
    }
    if (idle != NULL && upstream_pool_is_full(pool))
        upstream_connection_close(LIST_ITEM(idle, struct upstream_connection, node));
    pool->places_taken++;
    return true;
}

void upstream_pool_give_place(struct upstream_pool *pool)
{
    pool->places_taken--;
    if (pool->give_turn != NULL)
        pool->give_turn(pool->turn_ctx);
}

static bool upstream_pool_is_full(const struct upstream_pool *pool)
{
    return pool->idle_count + pool->busy_count + pool->connecting_count + pool->places_taken >=
           pool->options.connections_max;
}

void upstream_pool_place(struct upstream_pool *pool, struct upstream_transfer *transfer)
{
    struct list_node *idle;

    while ((idle = list_first(&pool->idle)) != NULL) {
        if (upstream_connection_use(LIST_ITEM(idle, struct upstream_connection, node), transfer))
            return;
    }
    if (upstream_connection_open(pool, transfer) == NULL)
        upstream_transfer_on_broken(transfer, STATUS_NO_MEMORY);
}

static void on_failed_task(void *ctx)
{
    struct upstream_pool *pool = ctx;
    struct list_node     *node;

    while ((node = list_first(&pool->failed)) != NULL) {
        struct upstream_transfer *transfer = LIST_ITEM(node, struct upstream_transfer, node);

        list_remove(node);
        transfer->events->on_failure(transfer->failure, transfer->failure_sent, transfer->ctx);
        free(transfer);
    }
}
