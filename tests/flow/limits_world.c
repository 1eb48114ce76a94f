#include "flow/limits_world.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/binary_heap.h"
#include "base/list.h"
#include "base/rng.h"
#include "limits/concurrency_limit.h"
#include "limits/turn_queue.h"
#include "support/sim_seeds.h"

enum { REQUESTS = 200000 };

static const double client_patience_us = 1e6;
static const double slower_per_excess = 0.01;
static const double spread = 0.5; /* sigma of the lognormal */
static const double beside_write = 0.2;

static const struct kind {
    double part, mean_us;
    enum concurrency_class class;
    uint64_t expected_us;
} kinds[] = {{0.80, 5000, CONCURRENCY_QUERY, 5000},
             {0.15, 2000, CONCURRENCY_GET, 2000},
             {0.05, 40000, CONCURRENCY_QUERY, 5000}};

struct proxy {
    struct turn_queue        *queue;
    struct concurrency_limit *limit;
};

/* One try of one request. */
struct request {
    struct turn             turn;
    struct binary_heap_node timer; /* its client's patience, or when it tries again */
    struct binary_heap_node work;  /* at Chroma: key is where the work clock ends it */
    struct list_node        free_node;
    const struct kind      *kind;
    struct proxy           *proxy;
    unsigned                service, tries;
    uint64_t                asked_us, sent_us;
    bool                    is_slow, is_waiting_to_retry, has_client;
};

struct world {
    const struct limits_world_options *options;
    struct limits_world_result        *result;
    struct rng                         rng;
    uint64_t                           now_us;
    struct proxy                       proxies[LIMITS_WORLD_PROXIES_MAX];
    struct request                    *requests;
    size_t                             request_count; /* that were ever used */
    struct list                        free;          /* of those */
    struct binary_heap                 timers, work;
    double                             clock_ns; /* the work clock: what each in flight got */
    uint64_t                           write_us; /* when a write was under way for the last time */
    uint64_t                           next_arrival_us[LIMITS_WORLD_SERVICES];
};

static double          mean_us(void);
static void            schedule_arrival(struct world *world, unsigned service);
static bool            is_writing(const struct world *world);
static double          work_rate(const struct world *world);
static uint64_t        next_completion_us(const struct world *world);
static uint64_t        next_event_us(const struct world *world);
static void            move_to(struct world *world, uint64_t at_us);
static void            arrive(struct world *world, unsigned service);
static struct request *take_request(struct world *world);
static void            ask(struct world *world, struct request *request);
static void            send(struct world *world, struct request *request);
static void            complete(struct world *world);
static void            on_timer(struct world *world);
static void            give_up(struct world *world, struct request *request);
static void            end_turn(struct world *world, struct request *request,
                                enum concurrency_outcome outcome);
static void            fail_try(struct world *world, struct request *request);
static void            serve(struct world *world, struct proxy *proxy);
static void            give_back(struct world *world, struct request *request);
static double          normal(struct rng *rng);

static void world_init(struct world *world, const struct limits_world_options *options,
                       struct limits_world_result *result)
{
    struct concurrency_limit_options limit = {.start = 4, .min = 1, .max = UINT16_MAX};
    struct turn_queue_options        queue = {.connections_max = 1000000,
                                              .services = LIMITS_WORLD_SERVICES};

    *world = (struct world){.options = options, .result = result};
    memset(result, 0, sizeof *result);
    result->capacity = options->cores * 1e6 / mean_us();
    rng_init(&world->rng, options->seed);
    queue.turns_max[TURN_READ] =
        options->reads_max == LIMITS_WORLD_ADAPTIVE ? limit.start : options->reads_max;
    if (options->is_shed) {
        queue.shed_us[TURN_READ] = 100000;
        queue.standing_us = 10000;
    }
    for (unsigned i = 0; i < options->proxies; i++) {
        world->proxies[i].queue = turn_queue_new(&queue);
        world->proxies[i].limit = concurrency_limit_new(&limit);
    }
    list_init(&world->free);
    world->requests = calloc(REQUESTS, sizeof *world->requests);
    SIM_CHECK(options->seed, binary_heap_reserve(&world->timers, REQUESTS) == STATUS_OK &&
                                 binary_heap_reserve(&world->work, REQUESTS) == STATUS_OK);
    for (unsigned i = 0; i < LIMITS_WORLD_SERVICES; i++)
        schedule_arrival(world, i);
}

static double mean_us(void)
{
    double sum = 0;

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        sum += kinds[i].part * kinds[i].mean_us;
    return sum;
}

void limits_world_run(const struct limits_world_options *options,
                      struct limits_world_result        *ret_result)
{
    struct world world;
    uint64_t     end_us = options->seconds * UINT64_C(1000000);
    uint64_t     at_us;

    world_init(&world, options, ret_result);
    while ((at_us = next_event_us(&world)) < end_us) {
        move_to(&world, at_us);
        if (next_completion_us(&world) <= at_us)
            complete(&world);
        if (binary_heap_first_key(&world.timers) <= at_us)
            on_timer(&world);
        for (unsigned i = 0; i < LIMITS_WORLD_SERVICES; i++)
            if (world.next_arrival_us[i] <= at_us)
                arrive(&world, i);
        if (options->is_shed)
            for (unsigned i = 0; i < options->proxies; i++)
                if (turn_queue_wake_us(world.proxies[i].queue) <= at_us)
                    serve(&world, &world.proxies[i]);
    }
    for (size_t i = 0; i < world.request_count; i++) { /* whoever is still there leaves */
        struct turn *turn = &world.requests[i].turn;

        if (turn->state == TURN_WAITING)
            turn_queue_leave(world.requests[i].proxy->queue, turn, world.now_us);
        if (turn->state != TURN_IDLE)
            turn_queue_done(world.requests[i].proxy->queue, turn, 0);
    }
    for (unsigned i = 0; i < options->proxies; i++) {
        turn_queue_free(world.proxies[i].queue); /* asserts that nobody is lost */
        concurrency_limit_free(world.proxies[i].limit);
    }
    binary_heap_done(&world.timers);
    binary_heap_done(&world.work);
    free(world.requests);
}

static uint64_t next_event_us(const struct world *world)
{
    uint64_t next_us = next_completion_us(world);
    uint64_t timer_us = binary_heap_first_key(&world->timers);

    next_us = timer_us < next_us ? timer_us : next_us;
    for (unsigned i = 0; i < LIMITS_WORLD_SERVICES; i++)
        if (world->next_arrival_us[i] < next_us)
            next_us = world->next_arrival_us[i];
    for (unsigned i = 0; i < world->options->proxies && world->options->is_shed; i++) {
        uint64_t wake_us = turn_queue_wake_us(world->proxies[i].queue);

        next_us = wake_us < next_us ? wake_us : next_us;
    }
    return next_us > world->now_us ? next_us : world->now_us;
}

/* ---- Chroma --------------------------------------------------------------------------------- */

static bool is_writing(const struct world *world)
{
    return world->options->writes != NULL && world->options->writes((double)world->now_us / 1e6);
}

static double work_rate(const struct world *world)
{
    double count = (double)world->work.count, cores = world->options->cores;
    double excess = count > cores ? count - cores : 0;
    double share = count > cores ? cores / count : 1;
    double speed =
        world->options->speed == NULL ? 1 : world->options->speed((double)world->now_us / 1e6);

    if (is_writing(world))
        speed *= beside_write;
    return speed * share / (1 + slower_per_excess * excess);
}

/* A change of speed is seen at the next event, 10 ms later at most. */
static uint64_t next_completion_us(const struct world *world)
{
    uint64_t key = binary_heap_first_key(&world->work);
    uint64_t look_again_us = world->now_us + 10000;
    double   left_ns, rate = work_rate(world);

    if (key == UINT64_MAX)
        return UINT64_MAX;
    left_ns = (double)key - world->clock_ns;
    if (left_ns <= 1)
        return world->now_us;
    if (rate <= 0 || left_ns / rate > 1e7)
        return look_again_us;
    return world->now_us + (uint64_t)(left_ns / rate / 1000) + 1;
}

static void move_to(struct world *world, uint64_t at_us)
{
    world->clock_ns += (double)(at_us - world->now_us) * 1000 * work_rate(world);
    world->now_us = at_us;
    if (is_writing(world))
        world->write_us = at_us;
}

static void complete(struct world *world)
{
    struct limits_world_result *result = world->result;
    struct request             *request = CONTAINER_OF(world->work.nodes[0], struct request, work);

    if ((double)request->work.key - world->clock_ns > 1)
        return;
    binary_heap_remove(&world->work, &request->work);
    if (request->has_client) {
        end_turn(world, request, CONCURRENCY_ANSWERED);
        binary_heap_remove(&world->timers, &request->timer);
        result->good[request->service]++;
        result->good_by_second[world->now_us / 1000000]++;
        histogram_record(&result->answered, world->now_us - request->asked_us);
    }
    give_back(world, request);
}

static void end_turn(struct world *world, struct request *request, enum concurrency_outcome outcome)
{
    struct concurrency_read read = {.class = request->kind->class,
                                    .group = request->is_slow,
                                    .outcome = outcome,
                                    .took_us = world->now_us - request->sent_us,
                                    .is_beside_write = world->write_us >= request->sent_us &&
                                                       world->write_us != 0};

    turn_queue_done(request->proxy->queue, &request->turn, read.took_us);
    concurrency_limit_ended(request->proxy->limit, &read, world->now_us);
    if (world->options->reads_max == LIMITS_WORLD_ADAPTIVE)
        turn_queue_set_turns_max(request->proxy->queue, TURN_READ,
                                 concurrency_limit_value(request->proxy->limit));
    serve(world, request->proxy);
}

/* ---- Clients -------------------------------------------------------------------------------- */

/* Poisson. A service without load looks again later. */
static void schedule_arrival(struct world *world, unsigned service)
{
    double per_s =
        world->options->load(service, (double)world->now_us / 1e6) * world->result->capacity;
    double wait_us = per_s <= 0 ? 1e5 : -log(1 - rng_double(&world->rng)) * 1e6 / per_s;

    world->next_arrival_us[service] =
        world->now_us + (wait_us < 1e5 ? (uint64_t)wait_us : UINT64_C(100000)) + 1;
}

static void arrive(struct world *world, unsigned service)
{
    bool            is_none = world->options->load(service, (double)world->now_us / 1e6) <= 0;
    double          draw = rng_double(&world->rng);
    struct request *request;

    schedule_arrival(world, service);
    if (is_none)
        return;
    request = take_request(world);
    *request = (struct request){.service = service, .kind = kinds};
    if (world->options->slow != NULL) {
        request->is_slow = draw < world->options->slow((double)world->now_us / 1e6);
        request->kind = request->is_slow ? &kinds[2] : &kinds[0];
        draw = 0;
    }
    while (draw >= request->kind->part && request->kind < kinds + COUNT_OF(kinds) - 1)
        draw -= (request->kind++)->part;
    request->proxy = &world->proxies[rng_below(&world->rng, world->options->proxies)];
    world->result->offered[service]++;
    world->result->offered_by_second[world->now_us / 1000000]++;
    ask(world, request);
}

static struct request *take_request(struct world *world)
{
    struct list_node *node = list_first(&world->free);

    if (node != NULL) {
        list_remove(node);
        return LIST_ITEM(node, struct request, free_node);
    }
    SIM_CHECK(world->options->seed, world->request_count < REQUESTS);
    return &world->requests[world->request_count++];
}

static void ask(struct world *world, struct request *request)
{
    request->tries++;
    request->asked_us = world->now_us;
    request->has_client = true;
    request->is_waiting_to_retry = false;
    binary_heap_add(&world->timers, &request->timer, world->now_us + (uint64_t)client_patience_us);
    request->turn = (struct turn){
        .class = TURN_READ, .service = request->service, .cost_us = request->kind->expected_us};
    if (turn_queue_ask(request->proxy->queue, &request->turn, world->now_us) == STATUS_OK)
        send(world, request);
    else
        serve(world, request->proxy);
}

static void send(struct world *world, struct request *request)
{
    double work_us =
        request->kind->mean_us * exp(spread * normal(&world->rng) - spread * spread / 2);
    const struct turn_queue_stats *stats = turn_queue_stats(request->proxy->queue);
    size_t                         max = turn_queue_turns_max(request->proxy->queue, TURN_READ);

    SIM_CHECK(world->options->seed, stats->turns[TURN_READ] <= max);
    request->sent_us = world->now_us;
    concurrency_limit_sent(request->proxy->limit);
    binary_heap_add(&world->work, &request->work, (uint64_t)(world->clock_ns + work_us * 1000) + 1);
    if (world->work.count > world->result->in_flight_max)
        world->result->in_flight_max = world->work.count;
}

static void on_timer(struct world *world)
{
    struct request *request = CONTAINER_OF(world->timers.nodes[0], struct request, timer);

    binary_heap_remove(&world->timers, &request->timer);
    if (request->is_waiting_to_retry) {
        ask(world, request);
        return;
    }
    if (request->turn.state == TURN_WAITING) {
        turn_queue_leave(request->proxy->queue, &request->turn, world->now_us);
        fail_try(world, request);
        return;
    }
    give_up(world, request);
}

/* Chroma works on; a new try is another request there. */
static void give_up(struct world *world, struct request *request)
{
    request->has_client = false;
    end_turn(world, request, CONCURRENCY_LEFT);
    if (request->tries < world->options->tries) {
        struct request *again = take_request(world);

        *again = (struct request){.service = request->service,
                                  .kind = request->kind,
                                  .is_slow = request->is_slow,
                                  .proxy = request->proxy,
                                  .tries = request->tries};
        fail_try(world, again);
    }
}

/* Without an answer: the client tries again after a while, or has had enough. */
static void fail_try(struct world *world, struct request *request)
{
    if (request->tries >= world->options->tries) {
        give_back(world, request);
        return;
    }
    request->is_waiting_to_retry = true;
    binary_heap_add(&world->timers, &request->timer,
                    world->now_us + 50000 + rng_below(&world->rng, 200000 << request->tries));
}

static void serve(struct world *world, struct proxy *proxy)
{
    struct turn *turn;

    while ((turn = turn_queue_shed(proxy->queue, world->now_us)) != NULL) {
        struct request *request = CONTAINER_OF(turn, struct request, turn);

        world->result->refused++;
        world->result->refused_late += world->now_us - request->asked_us > 110000;
        binary_heap_remove(&world->timers, &request->timer);
        fail_try(world, request);
    }
    while ((turn = turn_queue_next(proxy->queue, world->now_us)) != NULL)
        send(world, CONTAINER_OF(turn, struct request, turn));
}

static void give_back(struct world *world, struct request *request)
{
    list_push_front(&world->free, &request->free_node);
}

static double normal(struct rng *rng)
{
    double radius = sqrt(-2 * log(1 - rng_double(rng)));

    return radius * cos(6.283185307179586 * rng_double(rng));
}

double limits_world_goodput(const struct limits_world_result *result, unsigned from_s,
                            unsigned to_s)
{
    uint64_t good = 0;

    for (unsigned i = from_s; i < to_s; i++)
        good += result->good_by_second[i];
    return (double)good / (to_s - from_s) / result->capacity;
}
