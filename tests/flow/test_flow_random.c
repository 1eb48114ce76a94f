/* Random clients, requests, faults and timings; what must hold after each of them.
 *
 * FLOW_SEEDS=20000 runs so many seeds, FLOW_SEED=17 one of them with a trace of what happened.
 * FLOW_MUTANT=swap lets the backend give wrong answers, twice lets it apply writes twice: the
 * checks must fail then. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flow/flow_world.h"
#include "io/clock.h"
#include "support/check_main.h"

enum {
    default_seeds = 2000,
    seeds_per_test = 100,
    clients_max = 16,
    requests_max = 8, /* of a client */
    kib = 1024
};

static const uint64_t second_us = 1000000;

struct request {
    unsigned    id;
    const char *operation;
    size_t      n, m;
    bool        is_record;                    /* may share a call */
    bool        is_write, is_chunked, is_old; /* HTTP/1.0 */
    const char *fields;
};

struct actor {
    struct flow_client *client;
    struct request      requests[requests_max];
    size_t              request_count, sent_count;
    bool                pipelines, has_left, is_done;
    uint64_t            think_us, start_us;
    unsigned            piece_max, pause_us, read_per_second, stalls;
    unsigned            leave_how; /* 0: not at all */
    uint64_t            leave_us;
};

static struct flow_world world;
static struct actor      actors[clients_max];
static size_t            actor_count;
static unsigned          next_id;
static bool              is_traced;
static unsigned          fault_percent, slow_percent;
static const char       *mutant;
static struct {
    unsigned merged, retried, refused;
} seen; /* worlds in which it happened, so that nobody believes in what is never reached */
static struct request *request_of[FLOW_BACKEND_RECORDS_MAX];
static enum flow_fault fault_of[FLOW_BACKEND_RECORDS_MAX];

static void draw_world(void);
static void draw_actor(struct actor *actor);
static void draw_request(struct request *request);
static void draw_plan(struct flow_backend *backend, unsigned id, struct flow_plan *plan, void *ctx);
static void start_actor(void *ctx);
static void send_next(void *ctx);
static void on_answer(struct flow_client *client, void *ctx);
static void leave(void *ctx);
static void go_on(void *ctx);
static void draw_outage(void);
static bool is_over(void *ctx);
static void check_all(void);
static void check_answer(const struct actor *actor, size_t index);
static void check_record(unsigned id);

static void trace(const char *what, unsigned id, unsigned long long value)
{
    if (is_traced)
        printf("%12.6f %-10s id=%u %llu\n", (double)(clock_now_us() - 1000 * second_us) / 1e6, what,
               id, value);
}

static void violated(const char *what, unsigned id)
{
    ck_abort_msg("seed %llu: id %u: %s (replay: FLOW_SEED=%llu)", (unsigned long long)world.seed,
                 id, what, (unsigned long long)world.seed);
}

static void on_crash(int number)
{
    char text[80];
    int  size =
        snprintf(text, sizeof text, "crash with FLOW_SEED=%llu\n", (unsigned long long)world.seed);

    (void)!write(2, text, (size_t)size);
    signal(number, SIG_DFL);
    raise(number);
}

static uint32_t draw(uint32_t least, uint32_t most)
{
    return least + fake_loop_random(most - least + 1);
}

static uint32_t pick(const uint32_t *values, uint32_t count)
{
    return values[fake_loop_random(count)];
}

#define PICK(...) pick((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static void draw_world(void)
{
    world.net_options.latency_min_us = draw(1, 100);
    world.net_options.latency_max_us = world.net_options.latency_min_us + PICK(0, 100, 3000);
    world.net_options.capacity_min = PICK(512, 4096, 65536, 262144);
    world.net_options.capacity_max = world.net_options.capacity_min * PICK(1, 4);
    world.net_options.short_percent = PICK(0, 0, 20, 70);
    world.net_options.full_percent = PICK(0, 0, 10, 40);
    world.net_options.connects_at_once = fake_loop_chance(30);
    world.pool_options.connections_max = PICK(1, 1, 2, 3, 8);
    world.proxy_options.requests_max = PICK(1, 4, 4096, 4096);
    world.pool_options.idle_timeout_us = PICK(10000, 1000000, 30000000);
    world.pool_options.connect_timeout_us = PICK(100000, 5000000);
    world.queue_bytes_max = PICK(64, 1024, 65536) * kib;
    world.proxy_options.deadline_read_us = PICK(1, 5, 60) * second_us;
    world.proxy_options.deadline_write_us = PICK(1, 5, 120) * second_us;
    world.proxy_options.queue_wait_max_us = PICK(1, 60) * second_us;
    world.proxy_options.body_bytes_max = PICK(20, 40 * 1024, 40 * 1024) * kib;
    world.front_options.connections_max = PICK(4, 4096, 4096);
    world.front_options.idle_timeout_us = PICK(1, 75) * second_us;
    world.front_options.body_timeout_us = PICK(2, 30) * second_us;
    world.front_options.send_timeout_us = PICK(2, 30) * second_us;
    world.memory_max = PICK(30, 300, 262144) * kib;
    world.write_options = (struct proxy_write_options){.is_coalescing = fake_loop_chance(50),
                                                       .is_gateway = fake_loop_chance(40),
                                                       .in_flight_max = PICK(0, 1, 4),
                                                       .batch_bytes_max = 8192 * kib,
                                                       .patience_us = PICK(1, 60) * second_us};
    world.backend.read_per_second = fake_loop_chance(10) ? draw(50000, 2000000) : 0;
    world.backend.idle_close_us = PICK(0, 0, 0, 1000, 50000);
    world.backend.on_plan = draw_plan;
    fault_percent = PICK(0, 10, 40);
    slow_percent = PICK(0, 10, 30);
}

static void draw_request(struct request *request)
{
    static const char *const operations[] = {"query", "get", "add", "upsert", "delete", "count"};
    static const char *const fields[] = {NULL, NULL, NULL, "Expect: 100-continue\r\n",
                                         "Connection: close\r\n"};
    uint32_t                 which = fake_loop_random(6);

    *request = (struct request){.id = next_id++, .operation = operations[which]};
    request->is_write = which >= 2 && which <= 4;
    request->n = which == 5 ? 0 : fake_loop_chance(10) ? draw(200, 600) * kib : draw(0, 3000);
    request->m = fake_loop_chance(10) ? draw(50, 600) * kib : draw(0, 3000);
    request->fields = fields[fake_loop_chance(80) ? 0 : fake_loop_random(5)];
    request->is_chunked = which != 5 && fake_loop_chance(20);
    request->is_record = world.write_options.is_coalescing && request->is_write &&
                         strcmp(request->operation, "delete") != 0 && fake_loop_chance(70);
    if (request->is_record)
        request->m = 0;
    request_of[request->id] = request;
}

static void draw_actor(struct actor *actor)
{
    *actor = (struct actor){.request_count = draw(1, requests_max)};
    for (size_t i = 0; i < actor->request_count; i++)
        draw_request(&actor->requests[i]);
    actor->pipelines = fake_loop_chance(25);
    actor->think_us = PICK(0, 0, 1000, 100000, 2000000);
    actor->start_us = clock_now_us() + draw(0, PICK(1, 10000, 3000000));
    actor->piece_max = PICK(0, 0, 0, 1000, 20000);
    actor->pause_us = draw(1, 5000);
    actor->read_per_second = PICK(0, 0, 0, 0, 100000, 3000);
    actor->stalls = fake_loop_chance(5);
    actor->leave_how = fake_loop_chance(20) ? draw(1, 3) : 0;
    actor->leave_us = actor->start_us + draw(0, PICK(2000, 100000, 4000000));
    fake_loop_at(actor->start_us, start_actor, actor);
}

static void start_actor(void *ctx)
{
    struct actor *actor = ctx;

    actor->client = flow_world_client(&world);
    actor->client->on_answer = on_answer;
    actor->client->ctx = actor;
    actor->client->piece_max = actor->piece_max;
    actor->client->piece_pause_us = actor->pause_us;
    actor->client->read_per_second = actor->read_per_second;
    actor->client->reads = !actor->stalls;
    if (actor->stalls)
        fake_loop_at(clock_now_us() + draw(1, 10) * second_us, go_on, actor);
    if (actor->leave_how != 0)
        fake_loop_at(actor->leave_us, leave, actor);
    send_next(actor);
}

static void send_next(void *ctx)
{
    struct actor *actor = ctx;

    while (actor->sent_count < actor->request_count && !actor->client->has_ended &&
           !actor->has_left) {
        struct request *request = &actor->requests[actor->sent_count++];

        trace("request", request->id, request->n);
        if (request->is_record)
            flow_world_request_record(actor->client, request->operation, request->id);
        else if (request->is_chunked)
            flow_world_request_chunked(actor->client, request->operation, request->id, request->n,
                                       request->m, request->fields);
        else
            flow_world_request(actor->client, request->operation, request->id, request->n,
                               request->m, request->fields);
        if (!actor->pipelines)
            return;
    }
}

static void on_answer(struct flow_client *client, void *ctx)
{
    struct actor *actor = ctx;

    if (client->has_ended) {
        trace("end", 0, client->answer_count);
        actor->is_done = true;
        return;
    }
    trace("answer", actor->requests[client->answer_count - 1].id,
          client->answers[client->answer_count - 1].status);
    if (client->answer_count == actor->request_count) {
        actor->is_done = true;
        if (fake_loop_chance(50))
            flow_client_close(client);
    } else if (!actor->pipelines) {
        fake_loop_at(clock_now_us() + actor->think_us, send_next, actor);
    }
}

static void leave(void *ctx)
{
    struct actor *actor = ctx;

    if (actor->is_done)
        return;
    trace("leave", 0, actor->leave_how);
    actor->has_left = actor->is_done = true;
    if (actor->leave_how == 1)
        flow_client_reset(actor->client);
    else if (actor->leave_how == 2)
        flow_client_close(actor->client);
    else
        flow_client_shutdown(actor->client);
}

static void go_on(void *ctx)
{
    struct actor *actor = ctx;

    flow_client_go_on(actor->client);
}

static void draw_plan(struct flow_backend *backend, unsigned id, struct flow_plan *plan, void *ctx)
{
    static const enum http_framing framings[] = {HTTP_FRAMING_LENGTH, HTTP_FRAMING_LENGTH,
                                                 HTTP_FRAMING_CHUNKED, HTTP_FRAMING_UNTIL_CLOSE};

    (void)backend;
    (void)ctx;
    plan->framing = framings[fake_loop_random(COUNT_OF(framings))];
    plan->delay_us = draw(0, PICK(1, 1000, 50000));
    plan->later_us = draw(0, 5000);
    plan->close = fake_loop_chance(5);
    plan->status = fake_loop_chance(10) ? PICK(201, 204, 304, 400, 404, 422, 429, 500, 503) : 200;
    if (fake_loop_chance(slow_percent))
        plan->delay_us = draw(1, 20) * second_us;
    if (fake_loop_chance(fault_percent))
        plan->fault = (enum flow_fault)fake_loop_random(FLOW_FAULT_COUNT);
    if ((plan->fault == FLOW_FAULT_HALF_CLOSE || plan->fault == FLOW_FAULT_TOO_LONG) &&
        plan->framing == HTTP_FRAMING_UNTIL_CLOSE)
        plan->framing = HTTP_FRAMING_LENGTH; /* else nobody could see it */
    if (plan->fault == FLOW_FAULT_EARLY_CLOSE || plan->fault == FLOW_FAULT_EARLY_DRAIN)
        plan->status = PICK(400, 404, 413, 422);
    if (id == 0 && plan->status == 304)
        plan->status = 201; /* that a call was not modified would mean nothing */
    if (plan->status == 204 || plan->status == 304)
        plan->framing = HTTP_FRAMING_LENGTH;
    fault_of[id] = plan->fault;
    trace("backend", id, (unsigned long long)plan->fault * 1000 + plan->status);
}

static void refuse(void *ctx)
{
    (void)ctx;
    trace("refuse", 0, 0);
    fake_net_set_mode(fake_loop_chance(50) ? FAKE_NET_REFUSE : FAKE_NET_SILENT);
}

static void kill_backend(void *ctx)
{
    (void)ctx;
    trace("kill", 0, 0);
    flow_backend_kill(&world.backend);
}

static void accept_again(void *ctx)
{
    (void)ctx;
    trace("accept", 0, 0);
    fake_net_set_mode(FAKE_NET_ACCEPT);
}

static void drain(void *ctx)
{
    (void)ctx;
    trace("drain", 0, 0);
    front_drain(world.front);
}

static void lack_descriptors(void *ctx)
{
    (void)ctx;
    trace("descriptors", 0, fake_net_descriptors());
    fake_net_set_descriptors_max(fake_net_descriptors());
}

static void have_descriptors(void *ctx)
{
    (void)ctx;
    fake_net_set_descriptors_max(8192);
}

static void draw_outage(void)
{
    uint64_t at_us = clock_now_us() + draw(0, 3000000), later_us = at_us + draw(0, 8000000);

    if (fake_loop_chance(20)) {
        fake_loop_at(at_us, refuse, NULL);
        fake_loop_at(at_us + draw(0, 1000), kill_backend, NULL);
        fake_loop_at(later_us, accept_again, NULL);
    }
    if (fake_loop_chance(10))
        fake_loop_at(at_us, kill_backend, NULL);
    if (fake_loop_chance(10))
        fake_loop_at(at_us, drain, NULL);
    if (fake_loop_chance(10)) {
        fake_loop_at(at_us, lack_descriptors, NULL);
        fake_loop_at(later_us, have_descriptors, NULL);
    }
}

static bool is_over(void *ctx)
{
    (void)ctx;
    for (size_t i = 0; i < actor_count; i++)
        if (!actors[i].is_done)
            return false;
    return proxy_unfinished(world.proxy) == 0;
}

static void run_seed(uint64_t seed)
{
    uint64_t limit_us, settle_ms;

    flow_world_begin(&world, seed);
    memset(request_of, 0, sizeof request_of);
    memset(fault_of, 0, sizeof fault_of);
    next_id = 1;
    draw_world();
    flow_world_start(&world);
    actor_count = draw(1, clients_max);
    for (size_t i = 0; i < actor_count; i++)
        draw_actor(&actors[i]);
    draw_outage();
    if (mutant != NULL && strcmp(mutant, "swap") == 0)
        world.backend.swaps_bodies = true;
    limit_us = clock_now_us() + 3600 * second_us;
    if (!fake_loop_run_until(world.loop, is_over, NULL, limit_us))
        violated("not over after an hour", 0);
    check_all();
    for (struct flow_client *client = world.clients; client != NULL;
         client = client->next_of_world) {
        if (fake_loop_chance(50))
            flow_client_close(client);
    }
    seen.merged += world.backend.batch_peak > 1;
    seen.retried += upstream_pool_stats(world.pool)->retries > 0;
    settle_ms = PICK(0, 10, 400000);
    flow_world_run_ms(&world, settle_ms);
    /* Sooner, requests of who has left may yet be under way. */
    if (settle_ms == 400000 &&
        proxy_waiting(world.proxy) + upstream_pool_stats(world.pool)->busy > 0)
        violated("the pool still waits for something", 0);
    flow_world_end(&world);
}

static void check_all(void)
{
    for (size_t i = 0; i < actor_count; i++) {
        const struct actor       *actor = &actors[i];
        const struct flow_client *client = actor->client;

        if (client->is_garbled)
            violated("an answer is not HTTP", actor->requests[client->answer_count].id);
        if (client->answer_count > actor->sent_count)
            violated("an answer without a request", 0);
        if (!actor->has_left && !client->has_ended && client->answer_count < actor->sent_count)
            violated("no answer", actor->requests[client->answer_count].id);
        for (size_t k = 0; k < client->answer_count; k++)
            check_answer(actor, k);
    }
    for (unsigned id = 1; id < next_id; id++)
        check_record(id);
}

static bool head_has(const struct flow_answer *answer, const char *text)
{
    struct bytes head = byte_buffer_bytes(&answer->head);

    return memmem(head.data, head.size, text, strlen(text)) != NULL;
}

static void check_answer(const struct actor *actor, size_t index)
{
    const struct flow_answer *answer = &actor->client->answers[index];
    const struct request     *request = &actor->requests[index];
    const struct flow_record *record = &world.backend.records[request->id];
    char                      expected[40];
    bool                      has_body = answer->status != 204 && answer->status != 304;

    snprintf(expected, sizeof expected, request->is_record ? ",%u," : "X-Id: %u\r\n", request->id);
    if (head_has(answer, "X-Id: ")) {
        if (!head_has(answer, expected) && !head_has(answer, "X-Ids: ,\r\n"))
            violated("the answer belongs to another request", request->id);
        if (!flow_world_is_answer_of(answer, request->id, has_body ? request->m : 0))
            violated("the answer's body is wrong", request->id);
        if (answer->status < 300 && record->applied == 0)
            violated("answered 2xx but not applied", request->id);
    } else if (head_has(answer, "Executed: no\r\n")) {
        seen.refused++;
        if (record->applied > 0)
            violated("said not to be executed but applied", request->id);
    } else if (!head_has(answer, "Executed: maybe\r\n") && answer->status != 413 &&
               answer->status != 500) {
        violated("an answer of unknown origin", request->id);
    }
}

static void check_record(unsigned id)
{
    struct flow_record *record = &world.backend.records[id];
    bool                is_write = request_of[id]->is_write;

    if (mutant != NULL && strcmp(mutant, "twice") == 0)
        record->applied *= 2;
    if (record->body_is_wrong)
        violated("its body was changed", id);
    /* Whoever has all writers behind him may repeat what is safe to repeat. */
    if (world.write_options.is_coalescing && world.write_options.is_gateway)
        is_write = is_write && strcmp(request_of[id]->operation, "delete") == 0;
    /* Refused in company, it may have been asked again alone. */
    if (is_write && record->heads > 1 && !request_of[id]->is_record)
        violated("a write was sent twice", id);
    if (is_write && record->applied > 1)
        violated("a write was applied twice", id);
    if (is_write && record->cancelled > 0)
        violated("a write was cancelled", id);
    if (!is_write && record->heads > 4)
        violated("a read was sent more than twice for each of two answers", id);
}

START_TEST(whatever_happens_the_rules_hold)
{
    const char *one = getenv("FLOW_SEED");

    mutant = getenv("FLOW_MUTANT");
    is_traced = one != NULL;
    if (one == NULL) {
        signal(SIGABRT, on_crash);
        signal(SIGSEGV, on_crash);
    } else {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (int i = 0; i < seeds_per_test; i++)
        run_seed((uint64_t)_i * seeds_per_test + (uint64_t)i + 1);
    ck_assert_uint_gt(seen.merged, 0);
    ck_assert_uint_gt(seen.retried, 0);
    ck_assert_uint_gt(seen.refused, 0);
}
END_TEST

int main(void)
{
    TCase      *tcase = tcase_create("test_flow_random");
    const char *seeds = getenv("FLOW_SEEDS");
    int         count = seeds != NULL ? atoi(seeds) : default_seeds;

    if (getenv("FLOW_SEED") != NULL)
        count = 1;
    tcase_set_timeout(tcase, 300);
    tcase_add_loop_test(tcase, whatever_happens_the_rules_hold, 0,
                        (count + seeds_per_test - 1) / seeds_per_test);
    return check_main("test_flow_random", tcase);
}
