/* A Chroma that fails: by default every request is sent all the same; where the operator wants it,
 * reads are refused, or wait where we run Chroma, and writes never are. Repeats stay few, and none
 * comes before the time that Chroma asks for. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

static const uint64_t second_us = 1000000;

static struct flow_world world;
static unsigned          wanted; /* heartbeats */

static void begin(void)
{
    flow_world_begin(&world, 1);
    wanted = 0;
}

static void end(void)
{
    flow_world_end(&world);
}

static void on_want(void *ctx)
{
    (void)ctx;
    wanted++;
}

static void start(bool refuses)
{
    world.proxy_options.breaker_refuses_reads = refuses;
    flow_world_start(&world);
    proxy_on_want_heartbeat(world.proxy, on_want, NULL);
}

static void expect(struct flow_client *client, unsigned status, const char *in_head,
                   const char *in_body)
{
    flow_world_expect(client, status);
    ck_assert_msg(strstr(flow_client_head(client, 0), in_head) != NULL, "%s",
                  flow_client_head(client, 0));
    ck_assert_msg(strstr(flow_client_body(client, 0), in_body) != NULL, "%s",
                  flow_client_body(client, 0));
}

static uint64_t metric(const char *name)
{
    struct byte_buffer out = {0};
    unsigned long long value = 0;
    char               line[128];
    const char        *found;

    ck_assert_int_eq(proxy_print_metrics(world.proxy, &out), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&out, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    snprintf(line, sizeof line, "\nchromabouncer_%s ", name);
    found = strstr(byte_buffer_bytes(&out).data, line);
    ck_assert_msg(found != NULL, "no metric %s", name);
    sscanf(found + strlen(line), "%llu", &value);
    byte_buffer_done(&out);
    return value;
}

#define STATE_OF_READS "breaker_state{of=\"reads\"}"

/* Reads one after the other, from a new client each. */
static void read_many(unsigned count, unsigned first_id, unsigned status)
{
    for (unsigned i = 0; i < count; i++) {
        struct flow_client *client = flow_world_ask(&world, "query", first_id + i, 10, 10);

        ck_assert_uint_eq(client->answers[0].status, status);
        flow_client_close(client);
        flow_world_run_ms(&world, 1);
    }
}

START_TEST(by_default_every_read_tries_and_finds_chroma_the_moment_it_is_back)
{
    start(false);
    fake_net_set_mode(FAKE_NET_REFUSE);
    read_many(20, 1, 503);
    ck_assert_uint_eq(metric(STATE_OF_READS), 1);
    ck_assert_uint_eq(metric("breaker_opened_total{of=\"reads\"}"), 1);
    expect(flow_world_ask(&world, "query", 30, 10, 10), 503, "Executed: no\r\n",
           "connection refused");
    fake_net_set_mode(FAKE_NET_ACCEPT);
    read_many(1, 40, 200);
    ck_assert_uint_eq(metric("breaker_refused_total"), 0);
}
END_TEST

START_TEST(by_default_each_read_gets_the_answer_that_chroma_gives)
{
    world.backend.plan.status = 500;
    start(false);
    read_many(40, 1, 500);
    for (unsigned id = 1; id <= 40; id++)
        ck_assert_uint_eq(world.backend.records[id].heads, 1);
    ck_assert_uint_eq(metric(STATE_OF_READS), 1);
    ck_assert_uint_eq(metric("breaker_collections"), 1);
    proxy_heartbeat(world.proxy, true);
    ck_assert_uint_eq(metric(STATE_OF_READS), 2);
    world.backend.plan.status = 0;
    read_many(3, 50, 200);
    ck_assert_uint_eq(metric(STATE_OF_READS), 0);
    ck_assert_uint_eq(metric("breaker_collections"), 0);
}
END_TEST

static void open_by_failures(void)
{
    world.backend.plan.status = 500;
    read_many(20, 1, 500);
    world.backend.plan.status = 0;
    ck_assert_uint_eq(metric(STATE_OF_READS), 1);
}

static void ask_heartbeat(struct flow_client *client)
{
    flow_client_send(client, "GET /api/v2/heartbeat?id=90&n=0&m=10 HTTP/1.1\r\nHost: c\r\n\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
}

START_TEST(where_it_is_wanted_reads_are_refused_at_once_and_nothing_else)
{
    struct flow_client *client;

    start(true);
    open_by_failures();
    client = flow_world_ask(&world, "query", 30, 10, 10);
    expect(client, 503, "\r\nX-Chromabouncer-Executed: no\r\n",
           "the breaker of reads is open: 20 of 20 calls in 10 s failed");
    expect(client, 503, "\r\nRetry-After: 1\r\n", "breaker.reads: watch");
    ck_assert(client->answers[0].keep_alive);
    ck_assert_uint_eq(world.backend.records[30].heads, 0);
    ck_assert_uint_eq(metric("breaker_refused_total"), 1);
    ck_assert_uint_eq(metric("shed_total{reason=\"BREAKER_OPEN\"}"), 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.breaker, 1);
    ck_assert_uint_ge(proxy_limits(world.proxy).breakers_open, 1);
    flow_world_expect(flow_world_ask(&world, "add", 31, 10, 10), 200);
    flow_world_expect(flow_world_ask(&world, "delete", 32, 10, 10), 200);
    client = flow_world_client(&world);
    ask_heartbeat(client);
    flow_world_expect(client, 200);
}
END_TEST

START_TEST(a_heartbeat_is_wanted_after_a_second_and_then_one_read_tries_at_a_time)
{
    struct flow_client *tries[2], *refused;

    start(true);
    ck_assert_uint_gt(metric("reads_adaptive_limit"), 1);
    open_by_failures();
    flow_world_run_ms(&world, 700);
    ck_assert_uint_eq(wanted, 0);
    flow_world_run_ms(&world, 600);
    ck_assert_uint_eq(wanted, 1);
    proxy_heartbeat(world.proxy, true);
    world.backend.plan.delay_us = 100000;
    for (unsigned i = 0; i < 3; i++) {
        tries[0] = flow_world_send(&world, "query", 30 + i, 10, 10);
        flow_world_run_ms(&world, 10);
        refused = flow_world_ask(&world, "query", 40 + i, 10, 10);
        expect(refused, 503, "Executed: no\r\n", "is trying");
        ck_assert(flow_world_run_to_answers(&world, tries[0], 1));
        ck_assert_uint_eq(tries[0]->answers[0].status, 200);
    }
    ck_assert_uint_eq(metric(STATE_OF_READS), 0);
    ck_assert_uint_eq(metric("reads_adaptive_limit"), 1); /* it begins anew */
    for (unsigned i = 0; i < COUNT_OF(tries); i++)
        tries[i] = flow_world_send(&world, "query", 50 + i, 10, 10);
    for (unsigned i = 0; i < COUNT_OF(tries); i++) {
        ck_assert(flow_world_run_to_answers(&world, tries[i], 1));
        ck_assert_uint_eq(tries[i]->answers[0].status, 200);
    }
}
END_TEST

/* Else nobody could ever try again. */
START_TEST(who_leaves_while_he_tries_lets_another_one_try)
{
    struct flow_client *client;

    start(true);
    open_by_failures();
    proxy_heartbeat(world.proxy, true);
    world.backend.plan.delay_us = 5 * second_us;
    client = flow_world_send(&world, "query", 30, 10, 10);
    flow_world_run_ms(&world, 100);
    flow_client_close(client);
    flow_world_run_ms(&world, 100);
    world.backend.plan.delay_us = 0;
    read_many(3, 40, 200);
    ck_assert_uint_eq(metric(STATE_OF_READS), 0);
}
END_TEST

START_TEST(where_we_run_chroma_reads_wait_in_order_and_none_is_refused)
{
    struct flow_client *clients[5];

    world.write_options.is_supervised = true;
    start(true);
    open_by_failures();
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = flow_world_send(&world, "query", 30 + i, 10, 10);
        flow_world_run_ms(&world, 10);
    }
    flow_world_run_ms(&world, 3000);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        ck_assert_uint_eq(clients[i]->answer_count, 0);
        ck_assert_uint_eq(world.backend.records[30 + i].heads, 0);
    }
    ck_assert_uint_eq(metric("breaker_waited_total"), 5);
    world.backend.busy_peak = 0;
    proxy_heartbeat(world.proxy, true);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        ck_assert(flow_world_run_to_answers(&world, clients[i], 1));
        ck_assert_uint_eq(clients[i]->answers[0].status, 200);
        ck_assert_uint_eq(world.backend.order[20 + i], 30 + i);
    }
    ck_assert_uint_eq(metric("breaker_refused_total"), 0);
}
END_TEST

/* They are many because of the outage, not of the load: half a second of work, one at a time, waits
 * when it ends, and nobody is refused early for it, nor who came behind. */
START_TEST(what_it_held_is_not_shed_when_it_lets_them_go)
{
    struct flow_client *clients[57];

    world.write_options.is_supervised = true;
    world.proxy_options.reads_max = 1;
    world.proxy_options.sheds = true;
    start(true);
    open_by_failures();
    for (unsigned i = 0; i < 50; i++)
        clients[i] = flow_world_send(&world, "query", 30 + i, 10, 10);
    flow_world_run_ms(&world, 1000);
    world.backend.plan.delay_us = 10000;
    proxy_heartbeat(world.proxy, true);
    flow_world_run_ms(&world, 200);
    ck_assert_uint_eq(metric(STATE_OF_READS), 0);
    for (unsigned i = 50; i < COUNT_OF(clients); i++)
        clients[i] = flow_world_send(&world, "query", 30 + i, 10, 10);
    flow_world_run_ms(&world, 500);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        flow_world_expect(clients[i], 200);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.reads, 0);

    /* Then the load is looked at again. */
    for (unsigned i = 0; i < 50; i++)
        clients[i] = flow_world_send(&world, "query", 130 + i, 10, 10);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_gt(proxy_limits(world.proxy).refused.reads, 20);
}
END_TEST

START_TEST(who_waits_for_it_has_his_deadline_and_may_leave)
{
    struct flow_client *waits, *leaves;

    world.write_options.is_supervised = true;
    world.proxy_options.deadline_read_us = 3 * second_us;
    start(true);
    open_by_failures();
    waits = flow_world_send(&world, "query", 30, 10, 10);
    leaves = flow_world_send(&world, "query", 31, 10, 10);
    flow_world_run_ms(&world, 1000);
    flow_client_close(leaves);
    ck_assert(flow_world_run_to_answers(&world, waits, 1));
    expect(waits, 504, "Executed: no\r\n", "the breaker held the read back");
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.breaker, 1);
    proxy_heartbeat(world.proxy, true);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(world.backend.records[30].heads + world.backend.records[31].heads, 0);
}
END_TEST

START_TEST(who_waits_is_let_go_when_the_setting_changes)
{
    struct flow_client *client;

    world.write_options.is_supervised = true;
    start(true);
    open_by_failures();
    client = flow_world_send(&world, "query", 30, 10, 10);
    flow_world_run_ms(&world, 100);
    world.proxy_options.breaker_refuses_reads = false;
    proxy_set_options(world.proxy, &world.proxy_options);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
}
END_TEST

static void plan_by_id(struct flow_backend *backend, unsigned id, struct flow_plan *plan, void *ctx)
{
    (void)backend;
    (void)ctx;
    plan->status = id < 100 ? 500 : 0;
}

static struct flow_client *ask_other(unsigned id)
{
    struct flow_client *client = flow_world_client(&world);

    flow_client_printf(client,
                       "GET /api/v2/tenants/t/databases/d/collections/"
                       "22222222-2222-3333-4444-555555555555/count?id=%u&n=0&m=10 HTTP/1.1\r\n"
                       "Host: c\r\n\r\n",
                       id);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    return client;
}

START_TEST(a_collection_that_fails_is_refused_and_no_other)
{
    world.backend.on_plan = plan_by_id;
    start(true);
    for (unsigned i = 0; i < 20; i++) {
        read_many(1, 1 + i, 500);
        for (unsigned j = 0; j < 2; j++)
            flow_client_close(ask_other(100 + 2 * i + j));
    }
    expect(flow_world_ask(&world, "query", 200, 10, 10), 503, "Executed: no\r\n",
           "the breaker of collection 11111111-2222-3333-4444-555555555555 is open");
    flow_world_expect(ask_other(300), 200);
    ck_assert_uint_eq(metric("breaker_opened_total{of=\"collections\"}"), 1);
    ck_assert_uint_eq(metric("breaker_opened_total{of=\"reads\"}"), 0);
}
END_TEST

/* A read without an answer at its deadline is a failure; one whose client left says nothing. */
START_TEST(silence_counts_and_impatience_does_not)
{
    struct flow_client *clients[30];

    world.proxy_options.deadline_read_us = 2 * second_us;
    world.backend.plan.delay_us = 100 * second_us;
    start(false);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = flow_world_send(&world, "query", 1 + i, 10, 10);
    flow_world_run_ms(&world, 1000);
    for (unsigned i = 0; i < COUNT_OF(clients) && _i == 0; i++)
        flow_client_close(clients[i]);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(metric(STATE_OF_READS), (unsigned)_i);
}
END_TEST

static const struct {
    unsigned           status;
    enum chroma_family family;
} innocent[] = {{400, CHROMA_FAMILY_RUST},       {404, CHROMA_FAMILY_RUST},
                {429, CHROMA_FAMILY_RUST},       {501, CHROMA_FAMILY_RUST},
                {500, CHROMA_FAMILY_PYTHON}, /* refuses mistakes with it */
                {500, CHROMA_FAMILY_PYTHON_OLD}, {500, CHROMA_FAMILY_UNKNOWN}};

START_TEST(what_is_not_chromas_fault_opens_nothing)
{
    world.family = innocent[_i].family;
    world.backend.plan.status = innocent[_i].status;
    start(true);
    read_many(40, 1, innocent[_i].status);
    ck_assert_uint_eq(metric(STATE_OF_READS), 0);
}
END_TEST

START_TEST(writes_have_a_breaker_of_their_own)
{
    world.backend.plan.status = 500;
    start(true);
    for (unsigned i = 0; i < 20; i++)
        flow_world_expect(flow_world_ask(&world, "delete", 1 + i, 10, 10), 500);
    ck_assert_uint_eq(metric("breaker_state{of=\"writes\"}"), 1);
    world.backend.plan.status = 0;
    flow_world_expect(flow_world_ask(&world, "delete", 30, 10, 10), 200);
    flow_world_expect(flow_world_ask(&world, "query", 31, 10, 10), 200);
}
END_TEST

/* ---- Repeats -------------------------------------------------------------------------------- */

START_TEST(of_reads_that_fail_once_a_tenth_and_one_a_second_are_repeated)
{
    unsigned repeated = 0;

    world.backend.plan.fault = FLOW_FAULT_FINDING_ID;
    start(false);
    for (unsigned i = 0; i < 15; i++) {
        struct flow_client *client = flow_world_ask(&world, "query", 1 + i, 10, 10);

        repeated += client->answers[0].status == 200;
        ck_assert_uint_eq(world.backend.records[1 + i].heads,
                          client->answers[0].status == 200 ? 2 : 1);
    }
    ck_assert_uint_eq(repeated, 11); /* ten, and the tenth of ten */
    ck_assert_uint_eq(metric("read_repeats_total"), 11);
    ck_assert_uint_eq(metric("read_repeats_refused_total{reason=\"budget\"}"), 4);
}
END_TEST

/* It says that others delete, not that Chroma fails. */
START_TEST(errors_that_go_away_open_nothing)
{
    world.backend.plan.fault = FLOW_FAULT_FINDING_ID;
    start(true);
    for (unsigned i = 0; i < 60; i++) {
        (void)flow_world_ask(&world, "query", 1 + i, 10, 10);
        ck_assert_uint_eq(metric(STATE_OF_READS), 0);
    }
    ck_assert_uint_gt(metric("read_repeats_refused_total{reason=\"budget\"}"), 30);
}
END_TEST

START_TEST(a_try_that_is_repeated_is_one)
{
    start(true);
    open_by_failures();
    proxy_heartbeat(world.proxy, true);
    read_many(2, 30, 200);
    ck_assert_uint_eq(metric(STATE_OF_READS), 2);
    world.backend.plan.status = 500;
    read_many(1, 40, 500);
    ck_assert_uint_eq(metric(STATE_OF_READS), 1);
}
END_TEST

START_TEST(with_an_open_breaker_reads_are_not_repeated)
{
    start(false);
    open_by_failures();
    world.backend.plan.fault = FLOW_FAULT_FINDING_ID;
    read_many(1, 30, 500);
    ck_assert_uint_eq(world.backend.records[30].heads, 1);
    ck_assert_uint_eq(metric("read_repeats_refused_total{reason=\"breaker\"}"), 1);
}
END_TEST

START_TEST(no_read_is_repeated_before_chroma_asks_for_it)
{
    world.backend.plan =
        (struct flow_plan){.status = _i == 0 ? 429 : 503, .fields = "Retry-After: 5\r\n"};
    start(false);
    read_many(1, 1, world.backend.plan.status);
    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_FINDING_ID};
    ck_assert_uint_eq(metric("backend_retry_after_seconds"), 5);
    read_many(1, 2, 500);
    ck_assert_uint_eq(world.backend.records[2].heads, 1);
    ck_assert_uint_eq(metric("read_repeats_refused_total{reason=\"retry_after\"}"), 1);
    flow_world_run_ms(&world, 5000);
    read_many(1, 3, 200);
    ck_assert_uint_eq(world.backend.records[3].heads, 2);
}
END_TEST

/* Where others say so, or nobody says how long, nothing is put off. */
START_TEST(a_retry_after_that_is_none_puts_nothing_off)
{
    static const struct flow_plan plans[] = {{.status = 429, .fields = "Retry-After: soon\r\n"},
                                             {.status = 500, .fields = "Retry-After: 5\r\n"},
                                             {.status = 429}};

    world.backend.plan = plans[_i];
    start(false);
    read_many(1, 1, world.backend.plan.status);
    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_FINDING_ID};
    read_many(1, 2, 200);
}
END_TEST

static void plan_refusal(struct flow_backend *backend, unsigned id, struct flow_plan *plan,
                         void *ctx)
{
    (void)id;
    (void)ctx;
    if (backend->request_count > 0)
        return;
    *plan = (struct flow_plan){
        .status = 429, .fields = "Retry-After: 5\r\n", .body = "You have been rate limited."};
}

START_TEST(no_write_is_repeated_before_chroma_asks_for_it)
{
    struct flow_client *client;

    world.proxy_options.deadline_write_us = _i == 0 ? 120 * second_us : 4 * second_us;
    world.backend.on_plan = plan_refusal;
    start(false);
    client = flow_world_client(&world);
    flow_world_request_record(client, "upsert", 1);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(world.backend.request_count, 1);
    ck_assert_uint_eq(client->answer_count, (unsigned)_i);
    if (_i == 0)
        ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, _i == 0 ? 200 : 429);
    ck_assert_uint_eq(world.backend.request_count, _i == 0 ? 2 : 1);
    if (_i == 1) /* it could not be repeated in time */
        expect(client, 429, "Retry-After: 5\r\n", "You have been rate limited.");
}
END_TEST

/* ---- An outage, by seeds -------------------------------------------------------------------- */

enum { sim_reads = 600, sim_writes = 60, sim_begins_s = 10, sim_seeds_of_each = 2 };

enum sim_outage { SIM_NOT_THERE, SIM_ERRORS, SIM_OVERLOAD, SIM_OUTAGES };
enum sim_mode { SIM_WATCHES, SIM_REFUSES, SIM_WAITS, SIM_MODES };

static struct {
    enum sim_outage     outage;
    enum sim_mode       mode;
    unsigned            lasts_s;
    bool                is_out;
    struct flow_client *reads[sim_reads], *writes[sim_writes];
} sim;

static void plan_outage(struct flow_backend *backend, unsigned id, struct flow_plan *plan,
                        void *ctx)
{
    (void)backend;
    (void)id;
    (void)ctx;
    plan->delay_us = 1000 + fake_loop_random(20000);
    plan->status = !sim.is_out ? 0 : sim.outage == SIM_ERRORS ? 500 : 503;
}

/* Ten reads and a write a second; the breaker's wishes are fulfilled, and a health check made every
 * five seconds. */
static void run_outage(void)
{
    for (unsigned i = 0; i < sim_reads; i++) {
        unsigned second = i / 10;

        sim.is_out = second >= sim_begins_s && second < sim_begins_s + sim.lasts_s;
        fake_net_set_mode(sim.is_out && sim.outage == SIM_NOT_THERE ? FAKE_NET_REFUSE
                                                                    : FAKE_NET_ACCEPT);
        if (i == 10 * sim_begins_s && sim.outage == SIM_NOT_THERE)
            flow_backend_quit(&world.backend);
        if (i % 10 == 0)
            sim.writes[second] = flow_world_send(&world, "delete", 801 + second, 10, 10);
        sim.reads[i] = flow_world_send(&world, "query", 1 + i, 10, 10);
        flow_world_run_ms(&world, 100);
        if (wanted > 0 || i % 50 == 0)
            proxy_heartbeat(world.proxy, !sim.is_out || sim.outage != SIM_NOT_THERE);
        wanted = 0;
    }
    flow_world_run_ms(&world, 60000);
}

static bool is_refused_by_breaker(struct flow_client *client)
{
    return client->answers[0].status == 503 &&
           strstr(flow_client_body(client, 0), "the breaker of") != NULL;
}

static void check_outage(void)
{
    unsigned end = 10 * (sim_begins_s + sim.lasts_s), refused = 0, tried = 0;

    for (unsigned i = 0; i < sim_reads; i++) {
        bool is_refused, is_away;

        ck_assert_msg(sim.reads[i]->answer_count == 1, "seed %d: read %u", (int)world.seed, i);
        is_refused = is_refused_by_breaker(sim.reads[i]);
        refused += is_refused;
        tried += i >= 10 * sim_begins_s && i < end && !is_refused;
        ck_assert(!is_refused || sim.mode == SIM_REFUSES);
        is_away = sim.outage == SIM_NOT_THERE && sim.reads[i]->answers[0].status == 503;
        ck_assert_uint_eq(world.backend.records[1 + i].heads, !is_refused && !is_away);
        if (i < 10 * sim_begins_s || i >= end + 60 || (sim.mode == SIM_WATCHES && i >= end))
            ck_assert_msg(sim.reads[i]->answers[0].status == 200, "seed %d: read %u got %u",
                          (int)world.seed, i, sim.reads[i]->answers[0].status);
    }
    for (unsigned i = 0; i < sim_writes; i++) {
        ck_assert_uint_eq(sim.writes[i]->answer_count, 1);
        ck_assert_uint_eq(world.backend.records[801 + i].heads, 1);
    }
    if (sim.mode != SIM_REFUSES)
        return;
    ck_assert_uint_gt(refused, 10 * (sim.lasts_s - 6)); /* half of the calls in 10 s take five */
    ck_assert_uint_le(tried, sim.outage == SIM_NOT_THERE ? 5 : 55 + 2 * sim.lasts_s);
}

START_TEST(an_outage_costs_others_nothing_and_ends_for_all)
{
    sim.outage = (enum sim_outage)(_i % SIM_OUTAGES);
    sim.mode = (enum sim_mode)(_i / SIM_OUTAGES % SIM_MODES);
    flow_world_begin(&world, (uint64_t)_i + 1);
    sim.lasts_s = 8 + fake_loop_random(12);
    world.write_options.is_supervised = sim.mode == SIM_WAITS;
    world.backend.on_plan = plan_outage;
    start(sim.mode != SIM_WATCHES);
    run_outage();
    check_outage();
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_breaker");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, by_default_every_read_tries_and_finds_chroma_the_moment_it_is_back);
    tcase_add_test(tcase, by_default_each_read_gets_the_answer_that_chroma_gives);
    tcase_add_test(tcase, where_it_is_wanted_reads_are_refused_at_once_and_nothing_else);
    tcase_add_test(tcase, a_heartbeat_is_wanted_after_a_second_and_then_one_read_tries_at_a_time);
    tcase_add_test(tcase, who_leaves_while_he_tries_lets_another_one_try);
    tcase_add_test(tcase, where_we_run_chroma_reads_wait_in_order_and_none_is_refused);
    tcase_add_test(tcase, what_it_held_is_not_shed_when_it_lets_them_go);
    tcase_add_test(tcase, who_waits_for_it_has_his_deadline_and_may_leave);
    tcase_add_test(tcase, who_waits_is_let_go_when_the_setting_changes);
    tcase_add_test(tcase, a_collection_that_fails_is_refused_and_no_other);
    tcase_add_loop_test(tcase, silence_counts_and_impatience_does_not, 0, 2);
    tcase_add_loop_test(tcase, what_is_not_chromas_fault_opens_nothing, 0, COUNT_OF(innocent));
    tcase_add_test(tcase, writes_have_a_breaker_of_their_own);
    tcase_add_test(tcase, of_reads_that_fail_once_a_tenth_and_one_a_second_are_repeated);
    tcase_add_test(tcase, errors_that_go_away_open_nothing);
    tcase_add_test(tcase, a_try_that_is_repeated_is_one);
    tcase_add_test(tcase, with_an_open_breaker_reads_are_not_repeated);
    tcase_add_loop_test(tcase, no_read_is_repeated_before_chroma_asks_for_it, 0, 2);
    tcase_add_loop_test(tcase, a_retry_after_that_is_none_puts_nothing_off, 0, 3);
    tcase_add_loop_test(tcase, no_write_is_repeated_before_chroma_asks_for_it, 0, 2);
    tcase_add_loop_test(tcase, an_outage_costs_others_nothing_and_ends_for_all, 0,
                        SIM_OUTAGES * SIM_MODES * sim_seeds_of_each);
    return check_main("flow_breaker", tcase);
}
