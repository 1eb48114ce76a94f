#include "proxy/proxy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "auth/auth.h"
#include "auth/auth_look.h"
#include "calls/backend_breaker.h"
#include "calls/call.h"
#include "calls/own_flows.h"
#include "calls/read_limit.h"
#include "calls/services.h"
#include "copies/mirror_keeper.h"
#include "copies/mirror_lookup.h"
#include "copies/mirror_verify.h"
#include "io/clock.h"
#include "lanes/guard.h"
#include "lanes/write_lanes.h"
#include "proxy/cache_path.h"
#include "proxy/cache_verify.h"
#include "proxy/dispatch.h"
#include "proxy/exchange.h"
#include "proxy/mirror_path.h"
#include "proxy/pass_path.h"

/* Calls are looked at so often for those that hang. */
static const uint64_t hung_check_us = 1000000;

/* A read that Chroma died under is asked again after this: until its exit is seen, others would
 * meet the dead one too. */
static const uint64_t repeat_us = 100000;

/* A write of which nobody will know the outcome may be applied as late as this: SQLite's busy
 * time-out in Chroma is 1000 s. */
static const uint64_t lost_us = UINT64_C(1100) * 1000000;

/* Some 350 bytes each, and 8 more for each metadata key of one whose description is kept, and 4 KiB
 * for one whose records are asked for by id. */
enum { collections_max = 1 << 14, collections_bytes_max = 8 << 20 };

static void make_secrets(struct proxy *proxy);
static void on_recovery(void *ctx);
static void on_reached(struct proxy *proxy)
{
    mirror_keeper_new_incarnation(proxy->mirror);
}

static bool   new_turns(struct proxy *proxy);
static bool   new_timeouts(struct proxy *proxy);
static void   proxy_set_cache(struct proxy *proxy, bool is_gateway);
static void   run_waiters(void *ctx);
static bool   take_control_turn(void *ctx);
static void   give_control_turn(void *ctx);
static void   on_hung_timer(void *ctx);
static void   free_turns(struct proxy *proxy);
static void   count_unfinished(struct proxy *proxy);
static size_t proxy_count_own(const struct proxy *proxy);

struct proxy *proxy_new(struct loop *loop, struct worker_pool *workers,
                        struct memory_account_budget *budget, struct upstream_pool *pool,
                        const struct proxy_options       *options,
                        const struct proxy_write_options *writes)
{
    struct proxy  *proxy = calloc(1, sizeof *proxy);
    const uint64_t settled_us =
        writes->is_supervised ? 0 : loop_now_us(loop) + options->settle_time_us;
    struct collection_table_options collections = {.collections_max = collections_max,
                                                   .bytes_max = collections_bytes_max,
                                                   .lost_us = lost_us,
                                                   .settled_us = settled_us};

    if (proxy == NULL)
        return NULL;
    proxy->loop = loop;
    proxy->workers = workers;
    proxy->budget = budget;
    proxy->pool = pool;
    proxy->options = *options;
    proxy->write_options = *writes;
    proxy->is_supervised = writes->is_supervised;
    proxy->settled_us = settled_us;
    list_init(&proxy->exchanges);
    list_init(&proxy->spare_exchanges);
    list_init(&proxy->writes);
    list_init(&proxy->calls);
    list_init(&proxy->write_calls);
    write_observer_init(&proxy->observers);
    proxy->on_reached = on_reached;
    loop_task_init(&proxy->room_task, run_waiters, proxy);
    admission_init(&proxy->admission, loop, options->requests_max);
    make_secrets(proxy);
    proxy->collections = collection_table_new(&collections, proxy->secret);
    proxy->lane_rooms =
        lane_rooms_new(loop, proxy->secret, &budget->accounts[MEMORY_ACCOUNT_WRITES]);
    proxy->read_rooms =
        lane_rooms_new(loop, proxy->secret, &budget->accounts[MEMORY_ACCOUNT_READS]);
    proxy->lanes = write_lanes_new(proxy);
    proxy->cache = cache_path_new(&options->cache, &budget->accounts[MEMORY_ACCOUNT_CACHE], loop);
    cache_path_on_hit(proxy->cache, cache_verify_hit);
    proxy_set_cache(proxy, writes->is_gateway);
    proxy->breaker = backend_breaker_new(loop, proxy->secret, writes->is_supervised);
    proxy->hung_timer = loop_timer_new(loop, on_hung_timer, proxy);
    if (proxy->collections == NULL || !new_turns(proxy) || proxy->lane_rooms == NULL ||
        proxy->read_rooms == NULL || proxy->lanes == NULL || proxy->breaker == NULL ||
        proxy->hung_timer == NULL || !new_timeouts(proxy)) {
        proxy_free(proxy);
        return NULL;
    }
    backend_breaker_set(proxy->breaker, options->breaker_refuses_reads);
    backend_breaker_on_recovery(proxy->breaker, on_recovery, proxy);
    write_observer_add(&proxy->observers, collection_table_observer(proxy->collections));
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

static void on_recovery(void *ctx)
{
    struct proxy *proxy = ctx;

    read_limit_restart(proxy->read_limit);
}

static bool new_turns(struct proxy *proxy)
{
    struct turn_queue_options options = {.connections_max = proxy->options.connections_max,
                                         .services = OWN_FLOWS_END};

    proxy->turns = turn_queue_new(&options);
    if (proxy->turns != NULL)
        proxy->read_limit = read_limit_new(proxy->turns);
    proxy->shed_timer = loop_timer_new(proxy->loop, call_on_shed_time, proxy);
    proxy->shed_us = UINT64_MAX;
    if (proxy->read_limit == NULL || proxy->shed_timer == NULL)
        return false;
    read_limit_set(proxy->read_limit, &proxy->options);
    return true;
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
    proxy->shed_waits = timeout_queue_new(proxy->loop, READ_LIMIT_SHED_US, dispatch_on_shed_wait);
    proxy->repeats = timeout_queue_new(proxy->loop, repeat_us, pass_path_on_repeat);
    return proxy->repeats != NULL && proxy->shed_waits != NULL && proxy->read_deadlines != NULL &&
           proxy->write_deadlines != NULL && proxy->wait_limits != NULL;
}

void proxy_set_backend(struct proxy *proxy, const struct proxy_backend *backend)
{
    if (backend->incarnation != proxy->incarnation) {
        collection_table_new_incarnation(proxy->collections, false);
        backend_breaker_new_incarnation(proxy->breaker);
        proxy->is_lost = backend->is_lost || turn_queue_is_held(proxy->turns);
        if (proxy->is_lost)
            proxy->lost_us = loop_now_us(proxy->loop);
        else
            proxy_state_note_reached(proxy);
    }
    proxy->incarnation = backend->incarnation;
    proxy->family = backend->family;
    proxy->is_single = backend->batch_records_max > PROXY_DISTRIBUTED_BATCH_RECORDS;
    write_lanes_set_backend(proxy->lanes, backend->batch_records_max);
}

void proxy_watch_write_answers(struct proxy *proxy,
                               void (*on_answer)(void *ctx, enum chroma_operation operation,
                                                 unsigned status, struct bytes body),
                               void *ctx)
{
    proxy->on_write_answer = on_answer;
    proxy->write_answer_ctx = ctx;
}

void proxy_backend_ended(struct proxy *proxy)
{
    proxy->ends++;
    proxy->ended_us = loop_now_us(proxy->loop);
    collection_table_new_incarnation(proxy->collections, true);
    write_lanes_backend_ended(proxy->lanes);
}

void proxy_set_gateway(struct proxy *proxy, bool is_gateway)
{
    write_lanes_set_gateway(proxy->lanes, is_gateway);
    proxy_set_cache(proxy, is_gateway);
}

static void proxy_set_cache(struct proxy *proxy, bool is_gateway)
{
    if (is_gateway != proxy->is_gateway)
        mirror_path_forget(proxy->mirror_path);
    proxy->is_gateway = is_gateway;
    cache_path_set(proxy->cache, &proxy->options.cache,
                   is_gateway && !proxy_state_is_unwatched(proxy));
    mirror_keeper_set_gateway(proxy->mirror, is_gateway);
}

/* It is let go when the Chroma that was started is ready. */
void proxy_hold(struct proxy *proxy, bool held)
{
    if (!held && proxy->is_lost)
        proxy_state_note_reached(proxy);
    turn_queue_hold(proxy->turns, held);
    call_run_turns(proxy);
}

void proxy_refuse_all(struct proxy *proxy, const char *reason)
{
    LIST_FOR_EACH(node, &proxy->exchanges)
    {
        struct exchange *exchange = LIST_ITEM(node, struct exchange, node);

        if (exchange->state != EXCHANGE_DONE) /* else it is freed at the end of this turn */
            reply_error(&exchange->reply, STATUS_BACKEND_DOWN, FRONT_EXECUTED_NO, reason);
    }
}

void proxy_heartbeat(struct proxy *proxy, bool is_answered)
{
    backend_breaker_heartbeat(proxy->breaker, is_answered);
}

void proxy_on_want_heartbeat(struct proxy *proxy, void (*fn)(void *ctx), void *ctx)
{
    backend_breaker_on_want(proxy->breaker, fn, ctx);
}

void proxy_each_breaker(const struct proxy *proxy, breaker_state_fn *fn, void *ctx)
{
    backend_breaker_each(proxy->breaker, fn, ctx);
}

void proxy_on_finished(struct proxy *proxy, finished_request_fn *fn, void *ctx)
{
    proxy->on_finished = fn;
    proxy->on_finished_ctx = ctx;
}

bool proxy_keeps_answers(const struct proxy *proxy)
{
    return cache_path_keeps_answers(proxy->cache);
}

void proxy_set_options(struct proxy *proxy, const struct proxy_options *options)
{
    proxy->options = *options;
    proxy_set_cache(proxy, proxy->is_gateway);
    backend_breaker_set(proxy->breaker, options->breaker_refuses_reads);
    admission_set_max(&proxy->admission, options->requests_max);
    read_limit_set(proxy->read_limit, options);
    timeout_queue_set_duration(proxy->read_deadlines, options->deadline_read_us);
    timeout_queue_set_duration(proxy->write_deadlines, options->deadline_write_us);
    timeout_queue_set_duration(proxy->wait_limits, options->queue_wait_max_us);
    proxy_wake(proxy);
    call_run_turns(proxy);
}

/* Who never had any pays nothing for them. */
enum status proxy_set_services(struct proxy *proxy, const struct proxy_services_options *options)
{
    enum status status;

    if (proxy->services == NULL && options->count == 0)
        return STATUS_OK;
    if (proxy->services == NULL)
        proxy->services = services_new(proxy->turns, proxy->secret);
    if (proxy->services == NULL)
        return STATUS_NO_MEMORY;
    status = services_set(proxy->services, options, loop_now_us(proxy->loop));
    write_lanes_set_weights(proxy->lanes);
    call_run_turns(proxy);
    return status;
}

enum status proxy_set_auth(struct proxy *proxy, const struct proxy_auth_options *options)
{
    if (proxy->auth == NULL && options->keys == NULL && options->credential_name.size == 0)
        return STATUS_OK;
    if (proxy->auth == NULL)
        proxy->auth = auth_new(proxy);
    return proxy->auth == NULL ? STATUS_NO_MEMORY : auth_set(proxy->auth, options);
}

/* Likewise. */
enum status proxy_set_mirror(struct proxy *proxy, const struct proxy_mirror_options *options)
{
    if (proxy->mirror == NULL && options->mode == PROXY_MIRROR_OFF)
        return STATUS_OK;
    if (proxy->mirror_path == NULL)
        proxy->mirror_path = mirror_path_new(proxy);
    if (proxy->mirror == NULL && proxy->mirror_path != NULL)
        proxy->mirror = mirror_keeper_new(proxy);
    if (options->mode == PROXY_MIRROR_OFF)
        mirror_path_forget(proxy->mirror_path);
    return proxy->mirror == NULL ? STATUS_NO_MEMORY : mirror_keeper_set(proxy->mirror, options);
}

bool proxy_tell_auth(const struct proxy *proxy, struct auth_state *ret)
{
    if (proxy->auth != NULL)
        auth_tell(proxy->auth, ret);
    return proxy->auth != NULL;
}

void proxy_each_service(const struct proxy *proxy, service_state_fn *fn, void *ctx)
{
    if (proxy->services != NULL)
        services_each(proxy->services, fn, ctx, loop_now_us(proxy->loop));
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

    for (size_t i = 0; i < COUNT_OF(proxy->control_turns); i++) {
        struct turn *turn = &proxy->control_turns[i];

        if (proxy->control_is_taken[i])
            continue;
        if (turn->state == TURN_IDLE) {
            *turn = (struct turn){.class = TURN_CONTROL};
            (void)!turn_queue_ask(proxy->turns, turn, loop_now_us(proxy->loop));
        }
        proxy->control_is_taken[i] = turn->state == TURN_OPEN;
        return proxy->control_is_taken[i];
    }
    return false;
}

static void give_control_turn(void *ctx)
{
    struct proxy *proxy = ctx;

    for (size_t i = 0; i < COUNT_OF(proxy->control_turns); i++) {
        if (!proxy->control_is_taken[i])
            continue;
        proxy->control_is_taken[i] = false;
        turn_queue_done(proxy->turns, &proxy->control_turns[i], 0);
        proxy->control_turns[i].state = TURN_IDLE;
        break;
    }
    call_run_turns(proxy);
}

static void on_hung_timer(void *ctx)
{
    struct proxy *proxy = ctx;

    call_count_hung(proxy);
    loop_timer_set(proxy->hung_timer, loop_now_us(proxy->loop) + hung_check_us);
}

/* Those of nobody's call. */
static void free_turns(struct proxy *proxy)
{
    struct turn *turns[] = {&proxy->lanes_turn, &proxy->control_turns[0], &proxy->control_turns[1]};

    for (size_t i = 0; i < COUNT_OF(turns) && proxy->turns != NULL; i++) {
        turn_queue_leave(proxy->turns, turns[i], loop_now_us(proxy->loop));
        if (turns[i]->state != TURN_IDLE)
            turn_queue_done(proxy->turns, turns[i], 0);
    }
    loop_timer_free(proxy->shed_timer);
    read_limit_free(proxy->read_limit);
    turn_queue_free(proxy->turns);
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
    cache_verify_free(proxy->verify);
    mirror_lookup_free(proxy->mirror_lookup);
    mirror_verify_free(proxy->mirror_verify);
    mirror_path_free(proxy->mirror_path);
    mirror_keeper_free(proxy->mirror);
    auth_free(proxy->auth);
    cache_path_free(proxy->cache);
    backend_breaker_free(proxy->breaker);
    lane_rooms_free(proxy->lane_rooms);
    lane_rooms_free(proxy->read_rooms);
    collection_table_free(proxy->collections);
    admission_done(&proxy->admission);
    loop_task_cancel(&proxy->room_task);
    loop_timer_free(proxy->hung_timer);
    services_free(proxy->services);
    guard_free(proxy->guard);
    free_turns(proxy);
    timeout_queue_free(proxy->read_deadlines);
    timeout_queue_free(proxy->write_deadlines);
    timeout_queue_free(proxy->wait_limits);
    timeout_queue_free(proxy->shed_waits);
    timeout_queue_free(proxy->repeats);
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
    if (status == STATUS_OK)
        status = read_limit_print_metrics(proxy->read_limit,
                                          write_lanes_in_flight_max(proxy->lanes), out);
    if (status == STATUS_OK)
        status = cache_path_print_metrics(proxy->cache, out);
    if (status == STATUS_OK)
        status = backend_breaker_print_metrics(proxy->breaker, out);
    if (status == STATUS_OK)
        status =
            read_repeats_print_metrics(&proxy->repeats_made, upstream_pool_retry_at_us(proxy->pool),
                                       loop_now_us(proxy->loop), out);
    if (status == STATUS_OK)
        status = client_deadline_print_metrics(&proxy->client_deadlines, out);
    if (status == STATUS_OK)
        status = cache_verify_print_metrics(proxy->verify, out);
    if (status == STATUS_OK)
        status = mirror_keeper_print_metrics(proxy->mirror, out);
    if (status == STATUS_OK)
        status = mirror_path_print_metrics(proxy->mirror_path, out);
    if (status == STATUS_OK && proxy->auth != NULL)
        status = auth_print_metrics(proxy->auth, out);
    if (status == STATUS_OK && proxy->services != NULL)
        status = services_print_metrics(proxy->services, out);
    if (status == STATUS_OK)
        status = guard_print_metrics(proxy, out);
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

struct limits_state proxy_limits(const struct proxy *proxy)
{
    const struct turn_queue_stats *turns = turn_queue_stats(proxy->turns);
    struct limits_state            state = {.requests = proxy->admission.held,
                                            .requests_max = proxy->admission.max,
                                            .requests_waiting = proxy->admission.waiting_count,
                                            .connections_max = proxy->options.connections_max,
                                            .writes = turns->turns[TURN_WRITE],
                                            .writes_max = write_lanes_in_flight_max(proxy->lanes),
                                            .writes_waiting = turns->waiting[TURN_WRITE],
                                            .body_max = proxy_state_body_max(proxy),
                                            .refused = proxy->refused};

    for (enum turn_class each = 0; each < TURN_CLASSES; each++)
        state.connections += turns->connections[each];
    state.refused.client_deadlines =
        proxy->client_deadlines.unsent + proxy->client_deadlines.passed;
    read_limit_state(proxy->read_limit, &state);
    backend_breaker_limits(proxy->breaker, &state);
    return state;
}

void proxy_pause(struct proxy *proxy, bool is_paused)
{
    admission_pause(&proxy->admission, is_paused);
    if (proxy->auth != NULL)
        auth_look_resume(auth_looks(proxy->auth));
}

bool proxy_is_paused(const struct proxy *proxy)
{
    return proxy->admission.is_paused;
}

size_t proxy_under_way(const struct proxy *proxy)
{
    return proxy_unfinished(proxy) - proxy->admission.waiting_count + proxy_count_own(proxy);
}

/* To fill copies, to verify what is kept, and to compare. None is begun during a pause. */
static size_t proxy_count_own(const struct proxy *proxy)
{
    size_t count = mirror_path_is_asking(proxy->mirror_path);

    for (uint32_t flow = SERVICES_FLOWS; flow < OWN_FLOWS_END; flow++)
        count += turn_queue_service_turns(proxy->turns, flow);
    return count;
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
