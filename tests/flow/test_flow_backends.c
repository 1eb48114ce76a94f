/* A backend that is absent, dies, stalls, talks nonsense: what clients get, what is sent again. */
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

static struct flow_world world;

static void begin(void)
{
    flow_world_begin(&world, 1);
}

static void end(void)
{
    flow_world_end(&world);
}

/* An idle connection to the backend, used before; what comes next has `plan`. */
static void warm_up(struct flow_plan plan)
{
    struct flow_client *client = flow_world_ask(&world, "query", 1000, 10, 10);

    ck_assert_uint_eq(client->answer_count, 1);
    flow_client_close(client);
    flow_world_run_ms(&world, 1);
    world.backend.plan = plan;
}

static void expect_error(struct flow_client *client, unsigned status, const char *executed)
{
    flow_world_expect(client, status);
    ck_assert_ptr_nonnull(strstr(flow_client_body(client, 0), "{\"error\":\"ChromaError\""));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), executed));
}

static void expect_works_again(void)
{
    struct flow_client *client;

    world.backend.plan = (struct flow_plan){0};
    client = flow_world_ask(&world, "add", 900, 100, 100);
    flow_world_expect(client, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 900, 100));
    ck_assert_uint_eq(world.backend.records[900].applied, 1);
}

#define EXECUTED_NO    "X-Chromabouncer-Executed: no\r\n"
#define EXECUTED_MAYBE "X-Chromabouncer-Executed: maybe\r\n"

START_TEST(an_absent_backend_is_said_so)
{
    world.net_options.connects_at_once = _i;
    flow_world_start(&world);
    fake_net_set_mode(FAKE_NET_REFUSE);
    expect_error(flow_world_ask(&world, "query", 1, 10, 10), 503, EXECUTED_NO);
    expect_error(flow_world_ask(&world, "query", 3, 1000000, 10), 503, EXECUTED_NO);
    fake_net_set_mode(FAKE_NET_ACCEPT);
    expect_works_again();
}
END_TEST

/* Whatever it is: what is created goes by itself, records in their lane. */
START_TEST(a_write_waits_until_the_backend_comes)
{
    static const char *const targets[] = {
        "/api/v2/tenants/t/databases/d/collections",
        "/api/v2/tenants/t/databases/d/collections/11111111-2222-3333-4444-555555555555/add",
        "/api/v2/tenants/t/databases/d/collections/some-name/unknown"};
    struct flow_client *waits, *gives_up;

    world.proxy_options.deadline_write_us = 5000000;
    world.write_options.is_coalescing = _i < 3;
    flow_world_start(&world);
    fake_net_set_mode(FAKE_NET_REFUSE);
    gives_up = flow_world_client(&world);
    flow_client_printf(gives_up, "POST %s?id=1&n=0&m=5 HTTP/1.1\r\nHost: h\r\n\r\n",
                       targets[_i % 3]);
    flow_world_run_ms(&world, 3000);
    waits = flow_world_client(&world);
    flow_client_printf(waits, "POST %s?id=2&n=0&m=5 HTTP/1.1\r\nHost: h\r\n\r\n", targets[_i % 3]);
    flow_world_run_ms(&world, 3000);
    expect_error(gives_up, _i == 1 ? 504 : 503, EXECUTED_NO);
    fake_net_set_mode(FAKE_NET_ACCEPT);
    flow_world_run_ms(&world, 3000);
    flow_world_expect(waits, 200);
    ck_assert_uint_eq(world.backend.records[1].heads, 0);
    ck_assert_uint_eq(world.backend.records[2].applied, 1);
}
END_TEST

START_TEST(a_backend_that_does_not_answer_the_connection_attempt_is_given_up)
{
    flow_world_start(&world);
    fake_net_set_mode(FAKE_NET_SILENT);
    expect_error(flow_world_ask(&world, "get", 1, 10, 10), 503, EXECUTED_NO);
    fake_net_set_mode(FAKE_NET_ACCEPT);
    expect_works_again();
}
END_TEST

struct death {
    enum flow_fault fault;
    bool            is_cut; /* the client of a read had a part of an answer already */
};

static const struct death deaths[] = {
    {FLOW_FAULT_RESET_AT_HEAD, false}, {FLOW_FAULT_RESET_BEFORE, false},
    {FLOW_FAULT_RESET_AFTER, false},   {FLOW_FAULT_CLOSE_AFTER, false},
    {FLOW_FAULT_HALF_HEAD, false},     {FLOW_FAULT_HALF_ANSWER, true},
    {FLOW_FAULT_HALF_CLOSE, true},     {FLOW_FAULT_GARBAGE, false},
};

/* On a fresh connection nothing is sent again. */
START_TEST(a_backend_that_dies_is_told_and_nothing_is_sent_twice)
{
    const struct death *death = &deaths[(size_t)_i % COUNT_OF(deaths)];

    for (unsigned i = 0; i < 4; i++) {
        static const char *const operations[] = {"query", "add", "count", "upsert"};
        struct flow_client      *client;

        if (i == 0) {
            world.write_options.is_coalescing = (size_t)_i < COUNT_OF(deaths);
            flow_world_start(&world);
        }
        flow_backend_kill(&world.backend);
        flow_world_run_ms(&world, 5);
        world.backend.plan.fault = death->fault;
        client = flow_world_ask(&world, operations[i], i + 1, i == 2 ? 0 : 500, 500);
        ck_assert_uint_eq(world.backend.records[i + 1].heads, 1);
        if (death->is_cut && i % 2 == 0) {
            ck_assert(client->has_ended);
            ck_assert(client->answers[0].was_cut);
        } else {
            expect_error(client, 502, EXECUTED_MAYBE);
        }
    }
    flow_backend_kill(&world.backend);
    flow_world_run_ms(&world, 5);
    expect_works_again();
}
END_TEST

/* Closed without a word while idle, the FIN on its way: a read is sent once more. */
START_TEST(a_read_that_meets_a_closed_connection_is_sent_once_more)
{
    struct flow_client *client;
    bool                is_write = _i;

    flow_world_start(&world);
    warm_up((struct flow_plan){0});
    client = flow_world_send(&world, is_write ? "add" : "query", 1, 100, 100);
    fake_loop_run_for(world.loop, 150); /* the request is on its way to the backend */
    flow_backend_kill(&world.backend);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    if (is_write) {
        expect_error(client, 502, EXECUTED_MAYBE);
        ck_assert_uint_eq(world.backend.records[1].heads, 0);
    } else {
        flow_world_expect(client, 200);
        ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100));
        ck_assert_uint_eq(upstream_pool_stats(world.pool)->retries, 1);
    }
    expect_works_again();
}
END_TEST

START_TEST(a_read_is_sent_twice_at_most)
{
    struct flow_client *client;

    flow_world_start(&world);
    warm_up((struct flow_plan){.fault = FLOW_FAULT_RESET_BEFORE});
    client = flow_world_ask(&world, "query", 1, 100, 100);
    expect_error(client, 502, EXECUTED_MAYBE);
    ck_assert_uint_eq(world.backend.records[1].heads, 2);
    expect_works_again();
}
END_TEST

/* And when that fails before a byte is out: the first time one was. */
START_TEST(a_read_that_cannot_be_sent_once_more_may_have_been_executed)
{
    struct flow_client *client;

    flow_world_start(&world);
    warm_up((struct flow_plan){0});
    client = flow_world_send(&world, "query", 1, 100, 100);
    fake_loop_run_for(world.loop, 150);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect_error(client, 503, EXECUTED_MAYBE);
}
END_TEST

START_TEST(a_write_on_a_used_connection_is_never_sent_twice)
{
    flow_world_start(&world);
    for (unsigned id = 1; id <= COUNT_OF(deaths); id++) {
        struct flow_client *client;

        world.backend.plan = (struct flow_plan){0};
        warm_up((struct flow_plan){.fault = deaths[id - 1].fault});
        client = flow_world_ask(&world, id % 2 ? "add" : "delete", id, 100, 100);
        ck_assert(client->has_ended || client->answers[0].status == 502);
        ck_assert_uint_eq(world.backend.records[id].heads, 1);
    }
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->retries, 0);
}
END_TEST

START_TEST(a_500_without_a_body_passes)
{
    world.backend.plan.status = 500;
    flow_world_start(&world);
    flow_world_expect(flow_world_ask(&world, "query", 1, 10, 0), 500);
}
END_TEST

START_TEST(error_finding_id_is_asked_again_once)
{
    struct flow_client *client;

    world.backend.plan.fault = FLOW_FAULT_FINDING_ID;
    flow_world_start(&world);
    client = flow_world_ask(&world, "query", 1, 100, 100);
    flow_world_expect(client, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100));
    ck_assert_uint_eq(world.backend.records[1].heads, 2);
    client = flow_world_ask(&world, "add", 2, 100, 100);
    flow_world_expect(client, 500);
    ck_assert_uint_eq(world.backend.records[2].heads, 1);
}
END_TEST

START_TEST(a_read_whose_answer_breaks_is_not_sent_again)
{
    struct flow_client *client;

    flow_world_start(&world);
    warm_up((struct flow_plan){.fault = _i ? FLOW_FAULT_HALF_ANSWER : FLOW_FAULT_HALF_HEAD});
    client = flow_world_ask(&world, "query", 1, 100, 100);
    ck_assert(_i ? client->answers[0].was_cut : client->answers[0].status == 502);
    ck_assert_uint_eq(world.backend.records[1].heads, 1);
    expect_works_again();
}
END_TEST

static void plan_a_slow_failure(struct flow_backend *backend, unsigned id, struct flow_plan *plan,
                                void *ctx)
{
    (void)backend;
    (void)id;
    (void)ctx;
    plan->fault = FLOW_FAULT_FINDING_ID;
    plan->delay_us = 1500000;
}

START_TEST(both_attempts_of_a_read_have_one_deadline)
{
    struct flow_client *client;
    uint64_t            began_us;

    world.proxy_options.deadline_read_us = 2000000;
    world.backend.on_plan = plan_a_slow_failure;
    flow_world_start(&world);
    began_us = loop_now_us(world.loop);
    client = flow_world_ask(&world, "query", 1, 100, 100);
    expect_error(client, 504, EXECUTED_MAYBE);
    ck_assert_uint_eq(world.backend.records[1].heads, 2);
    ck_assert_uint_le(loop_now_us(world.loop) - began_us, 2100000);
}
END_TEST

static void plan_first_to_fail(struct flow_backend *backend, unsigned id, struct flow_plan *plan,
                               void *ctx)
{
    (void)backend;
    (void)ctx;
    plan->fault = id == 1 ? FLOW_FAULT_FINDING_ID : FLOW_FAULT_NONE;
    plan->delay_us = id == 1 ? 5000 : 100000000;
}

/* Its second turn does not come; the first was not for nothing. */
START_TEST(who_was_asked_again_in_vain_may_have_been_executed)
{
    struct flow_client *client;

    world.pool_options.connections_max = 1;
    world.proxy_options.queue_wait_max_us = 2000000;
    world.backend.on_plan = plan_first_to_fail;
    flow_world_start(&world);
    client = flow_world_send(&world, "query", 1, 100, 100);
    flow_world_run_ms(&world, 2);
    flow_world_send(&world, "query", 2, 100, 100);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect_error(client, 504, EXECUTED_MAYBE);
    ck_assert_uint_eq(world.backend.records[1].heads, 1);
}
END_TEST

/* The end of the idle connection and the write arrive in one turn of the loop, in any order. */
START_TEST(a_write_does_not_meet_a_connection_that_is_known_to_be_closed)
{
    struct flow_client *client;

    flow_world_begin(&world, (uint64_t)_i);
    world.net_options.latency_min_us = world.net_options.latency_max_us = 0;
    flow_world_start(&world);
    warm_up((struct flow_plan){0});
    if (_i % 2) /* one that has carried a long answer */
        flow_world_expect(flow_world_ask(&world, "query", 1001, 10, 300000), 200);
    client = flow_world_client(&world);
    flow_world_run_ms(&world, 1);
    flow_world_request(client, "add", 1, 100, 100, NULL);
    flow_backend_quit(&world.backend);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert_uint_eq(world.backend.records[1].heads, 1);
}
END_TEST

START_TEST(a_connection_closed_after_a_refusal_or_as_announced_is_not_used)
{
    struct flow_client *client;

    flow_world_start(&world);
    client = flow_world_client(&world);
    for (unsigned id = 1; id <= 20; id += 2) {
        world.backend.plan =
            (struct flow_plan){.status = _i ? 200 : 404,
                               .fault = _i ? FLOW_FAULT_NONE : FLOW_FAULT_UNANNOUNCED,
                               .close = _i,
                               .later_us = 350}; /* the next request is on its way then */
        flow_world_request(client, id % 4 == 1 ? "add" : "query", id, 100, 100, NULL);
        ck_assert(flow_world_run_to_answers(&world, client, id));
        ck_assert_uint_eq(client->answers[id - 1].status, _i ? 200 : 404);
        world.backend.plan = (struct flow_plan){0};
        flow_world_request(client, "add", id + 1, 100, 100, NULL);
        ck_assert(flow_world_run_to_answers(&world, client, id + 1));
        ck_assert_uint_eq(client->answers[id].status, 200);
    }
}
END_TEST

/* Chroma refuses without having read the body (429 of its circuit breaker, 400 of a path that is
 * not UTF-8) and closes without a word, while a write waits for the place. */
START_TEST(a_connection_whose_body_was_not_read_gets_no_write)
{
    static const unsigned statuses[] = {404, 429, 400};
    struct flow_client   *first, *second;

    world.pool_options.connections_max = 1;
    world.backend.plan = (struct flow_plan){
        .status = statuses[_i], .fault = FLOW_FAULT_UNANNOUNCED, .delay_us = 5000, .later_us = 50};
    flow_world_start(&world);
    first = flow_world_send(&world, "add", 1, 100, 100);
    flow_world_run_ms(&world, 2);
    second = flow_world_send(&world, "add", 2, 100, 100);
    flow_world_run_ms(&world, 2);
    world.backend.plan = (struct flow_plan){0};
    ck_assert(flow_world_run_to_answers(&world, first, 1));
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    ck_assert_uint_eq(first->answers[0].status, statuses[_i]);
    ck_assert_uint_eq(second->answers[0].status, 200);
}
END_TEST

/* The backend answers and closes while the body is still being sent: the answer is passed on, and
 * what the client still sends is thrown away. */
START_TEST(an_early_answer_reaches_a_client_that_still_sends)
{
    struct flow_client *client;

    world.backend.plan = (struct flow_plan){
        .status = 413, .fault = _i ? FLOW_FAULT_EARLY_CLOSE : FLOW_FAULT_EARLY_DRAIN};
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->piece_max = 20000;
    client->piece_pause_us = 1000;
    flow_world_request(client, "query", 1, 3000000, 50, NULL);
    ck_assert(flow_world_run_to_end(&world, client));
    flow_world_expect(client, 413);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 50));
    ck_assert(!client->answers[0].keep_alive);
    ck_assert(!client->was_reset);
    ck_assert_uint_eq(fake_net_backend_open(), 0);
    expect_works_again();
}
END_TEST

/* Whatever the answer says, the rest of the body would be taken for the next request. */
START_TEST(a_connection_answered_before_the_end_of_the_body_is_not_used_again)
{
    bool                is_write = _i % 2 == 1;
    size_t              size = _i < 2 ? 3000000 : 100000; /* given out in part, or queued */
    struct flow_client *client;

    world.net_options.capacity_min = world.net_options.capacity_max = 8192;
    world.backend.read_per_second = 100000;
    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_EARLY_DRAIN};
    flow_world_start(&world);
    client = flow_world_send(&world, is_write ? "add" : "query", 1, size, 50);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 50));
    ck_assert_uint_eq(world.backend.records[1].complete, 0);
    flow_world_run_ms(&world, 1);
    ck_assert_uint_eq(fake_net_backend_open(), 0);
    expect_works_again();
}
END_TEST

START_TEST(a_connection_that_carried_more_than_its_answer_is_closed)
{
    struct flow_client *client;

    world.backend.plan.fault = FLOW_FAULT_TOO_LONG;
    flow_world_start(&world);
    client = flow_world_ask(&world, "query", 1, 100, 100);
    flow_world_expect(client, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100));
    flow_world_run_ms(&world, 5);
    ck_assert_uint_eq(fake_net_backend_open(), 0);
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->unsolicited, 1);
    expect_works_again();
}
END_TEST

START_TEST(an_idle_connection_on_which_bytes_arrive_is_closed)
{
    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_UNSOLICITED, .later_us = 1000};
    flow_world_start(&world);
    flow_world_expect(flow_world_ask(&world, "query", 1, 100, 100), 200);
    ck_assert_uint_eq(fake_net_backend_open(), 1);
    flow_world_run_ms(&world, 5);
    ck_assert_uint_eq(fake_net_backend_open(), 0);
    expect_works_again();
}
END_TEST

START_TEST(idle_connections_are_closed_in_time)
{
    flow_world_start(&world);
    flow_world_expect(flow_world_ask(&world, "query", 1, 100, 100), 200);
    flow_world_run_ms(&world, 29000);
    ck_assert_uint_eq(fake_net_backend_open(), 1);
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(fake_net_backend_open(), 0);
}
END_TEST

START_TEST(a_read_that_is_not_answered_ends_at_its_deadline)
{
    struct flow_client *client;

    world.backend.plan.delay_us = 100000000;
    world.proxy_options.deadline_read_us = 2000000;
    flow_world_start(&world);
    client = flow_world_ask(&world, "query", 1, 100, 100);
    expect_error(client, 504, EXECUTED_MAYBE);
    flow_world_run_ms(&world, 1);
    ck_assert_uint_eq(world.backend.records[1].cancelled, 1);
    ck_assert_uint_eq(fake_net_backend_open(), 0);
    expect_works_again();
}
END_TEST

/* The deadline is for the next sign of life, not for the whole of a long answer. */
START_TEST(an_answer_that_comes_in_pieces_has_its_time)
{
    struct flow_client *client;
    uint64_t            began_us;

    world.backend.plan.fault = FLOW_FAULT_IN_PIECES;
    world.proxy_options.deadline_read_us = world.proxy_options.deadline_write_us = 100000;
    flow_world_start(&world);
    began_us = loop_now_us(world.loop);
    client = flow_world_ask(&world, _i ? "add" : "query", 1, 100, 200000);
    flow_world_expect(client, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 200000));
    ck_assert_uint_gt(loop_now_us(world.loop) - began_us, 200000);
}
END_TEST

START_TEST(a_write_that_is_not_answered_goes_on_after_its_deadline)
{
    struct flow_client *client;

    world.write_options.is_coalescing = _i % 2 == 1;
    world.backend.plan.delay_us = 30000000;
    world.proxy_options.deadline_write_us = 2000000;
    flow_world_start(&world);
    client = flow_world_ask(&world, "add", 1, 100, _i < 2 ? 100 : 300000);
    expect_error(client, 504, EXECUTED_MAYBE);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 1);
    flow_world_run_ms(&world, 29000);
    ck_assert_uint_eq(world.backend.records[1].cancelled, 0);
    ck_assert_uint_eq(world.backend.records[1].applied, 1);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 0);
    expect_works_again();
    ck_assert_uint_eq(world.backend.accepted, 1);
}
END_TEST

START_TEST(an_answer_that_stops_halfway_is_cut)
{
    struct flow_client *client;

    world.backend.plan.fault = FLOW_FAULT_LEAVES_HALF;
    world.proxy_options.deadline_read_us = world.proxy_options.deadline_write_us = 2000000;
    flow_world_start(&world);
    client = flow_world_send(&world, _i ? "add" : "query", 1, 100, 100);
    if (_i == 0) {
        ck_assert(flow_world_run_to_end(&world, client));
        ck_assert(client->answers[0].was_cut);
    } else {
        ck_assert(flow_world_run_to_answers(&world, client, 1));
        expect_error(client, 504, EXECUTED_MAYBE);
    }
    ck_assert_uint_eq(world.backend.records[1].cancelled, 0);
    flow_backend_kill(&world.backend);
    flow_world_run_ms(&world, 5);
    expect_works_again();
}
END_TEST

/* A final answer after an interim one is still possible, so it is given. */
/* With HTTP/1.0 only the end of the connection tells the end of an answer of unknown length: an
 * early one must not look like it. */
START_TEST(half_an_answer_without_a_length_ends_with_a_reset)
{
    struct flow_client *client;

    world.backend.plan =
        (struct flow_plan){.fault = FLOW_FAULT_HALF_CLOSE, .framing = HTTP_FRAMING_CHUNKED};
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_client_printf(client, "GET /api/v2?id=1&n=0&m=50000 HTTP/1.%d\r\nHost: h\r\n\r\n", _i);
    ck_assert(flow_world_run_to_end(&world, client));
    ck_assert_uint_eq(client->answer_count, 0);
    ck_assert(client->was_reset == (_i == 0));
}
END_TEST

START_TEST(a_backend_that_dies_after_an_interim_answer_is_told)
{
    struct flow_client *client;

    world.backend.plan = (struct flow_plan){.fault = FLOW_FAULT_INTERIM, .only_interim = true};
    flow_world_start(&world);
    client = flow_world_ask(&world, "query", 1, 100, 100);
    ck_assert_uint_eq(client->interims[0], 1);
    expect_error(client, 502, EXECUTED_MAYBE);
}
END_TEST

START_TEST(requests_under_way_survive_a_restart_of_the_backend_as_errors)
{
    struct flow_client *clients[20];

    world.backend.plan.delay_us = 1000000;
    world.pool_options.connections_max = 8;
    flow_world_start(&world);
    for (unsigned i = 0; i < COUNT_OF(clients); i++)
        clients[i] = flow_world_send(&world, i % 2 ? "add" : "query", i + 1, 100, 100);
    flow_world_run_ms(&world, 500);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_backend_kill(&world.backend);
    flow_world_run_ms(&world, 500);
    for (unsigned i = 0; i < COUNT_OF(clients); i++) {
        bool was_sent = world.backend.records[i + 1].heads > 0;

        if (was_sent || i % 2 == 0)
            expect_error(clients[i], was_sent ? 502 : 503, was_sent ? EXECUTED_MAYBE : EXECUTED_NO);
        else
            ck_assert_uint_eq(clients[i]->answer_count, 0); /* a write waits */
    }
    world.backend.plan = (struct flow_plan){0};
    fake_net_set_mode(FAKE_NET_ACCEPT);
    flow_world_run_ms(&world, 2000);
    for (unsigned i = 1; i < COUNT_OF(clients); i += 2) {
        if (clients[i]->answers[0].status != 502)
            flow_world_expect(clients[i], 200);
    }
    expect_works_again();
}
END_TEST

/* A query whose connection was closed while idle; its body is too large to be kept. */
START_TEST(a_streamed_read_does_not_meet_a_closed_connection)
{
    struct flow_client *client;

    flow_world_start(&world);
    warm_up((struct flow_plan){0});
    client = flow_world_client(&world);
    flow_world_request(client, "query", 1, 1000000, 100, NULL);
    flow_backend_kill(&world.backend);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert(!world.backend.records[1].body_is_wrong);
}
END_TEST

/* The end of the connection and the end of the body arrive in one turn, in any order. */
START_TEST(a_streamed_body_may_end_as_the_backend_dies)
{
    struct flow_client *client;

    flow_world_begin(&world, (uint64_t)_i);
    world.net_options.latency_min_us = world.net_options.latency_max_us = 0;
    flow_world_start(&world);
    client = flow_world_client(&world);
    flow_world_request_head(client, "query", 1, 0, 100, "Transfer-Encoding: chunked\r\n");
    flow_client_send(client, "61a80\r\n");
    flow_world_request_body(client, 1, 0, 400000);
    flow_world_run_ms(&world, 10);
    flow_client_send(client, "\r\n0\r\n\r\n");
    flow_backend_kill(&world.backend);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    expect_error(client, 502, EXECUTED_MAYBE);
}
END_TEST

/* Chroma never does it, but what passes through may: answer while the request still comes. */
START_TEST(a_body_streams_on_while_the_answer_streams_back)
{
    struct flow_client *client;

    world.backend.plan.answers_halfway = true;
    world.backend.read_per_second = 500000;
    flow_world_start(&world);
    client = flow_world_client(&world);
    client->piece_max = 50000;
    client->piece_pause_us = 1000;
    flow_world_request(client, "query", 1, 3000000, 100000, NULL);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
    ck_assert(flow_world_is_answer_of(&client->answers[0], 1, 100000));
    ck_assert_uint_eq(world.backend.records[1].complete, 1);
    ck_assert(!world.backend.records[1].body_is_wrong);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("test_flow_backends");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, an_absent_backend_is_said_so, 0, 2);
    tcase_add_loop_test(tcase, a_write_waits_until_the_backend_comes, 0, 6);
    tcase_add_test(tcase, a_backend_that_does_not_answer_the_connection_attempt_is_given_up);
    tcase_add_loop_test(tcase, a_backend_that_dies_is_told_and_nothing_is_sent_twice, 0,
                        2 * COUNT_OF(deaths));
    tcase_add_loop_test(tcase, a_read_that_meets_a_closed_connection_is_sent_once_more, 0, 2);
    tcase_add_test(tcase, a_read_is_sent_twice_at_most);
    tcase_add_test(tcase, a_read_that_cannot_be_sent_once_more_may_have_been_executed);
    tcase_add_test(tcase, a_write_on_a_used_connection_is_never_sent_twice);
    tcase_add_test(tcase, a_500_without_a_body_passes);
    tcase_add_test(tcase, error_finding_id_is_asked_again_once);
    tcase_add_loop_test(tcase, a_read_whose_answer_breaks_is_not_sent_again, 0, 2);
    tcase_add_test(tcase, both_attempts_of_a_read_have_one_deadline);
    tcase_add_test(tcase, who_was_asked_again_in_vain_may_have_been_executed);
    tcase_add_loop_test(tcase, a_connection_whose_body_was_not_read_gets_no_write, 0, 3);
    tcase_add_loop_test(tcase, a_connection_closed_after_a_refusal_or_as_announced_is_not_used, 0,
                        2);
    tcase_add_loop_test(tcase, a_write_does_not_meet_a_connection_that_is_known_to_be_closed, 1, 9);
    tcase_add_loop_test(tcase, an_early_answer_reaches_a_client_that_still_sends, 0, 2);
    tcase_add_loop_test(tcase, a_connection_answered_before_the_end_of_the_body_is_not_used_again,
                        0, 4);
    tcase_add_test(tcase, a_connection_that_carried_more_than_its_answer_is_closed);
    tcase_add_test(tcase, an_idle_connection_on_which_bytes_arrive_is_closed);
    tcase_add_test(tcase, idle_connections_are_closed_in_time);
    tcase_add_test(tcase, a_read_that_is_not_answered_ends_at_its_deadline);
    tcase_add_loop_test(tcase, an_answer_that_comes_in_pieces_has_its_time, 0, 2);
    tcase_add_loop_test(tcase, a_write_that_is_not_answered_goes_on_after_its_deadline, 0, 4);
    tcase_add_loop_test(tcase, an_answer_that_stops_halfway_is_cut, 0, 2);
    tcase_add_loop_test(tcase, half_an_answer_without_a_length_ends_with_a_reset, 0, 2);
    tcase_add_test(tcase, a_backend_that_dies_after_an_interim_answer_is_told);
    tcase_add_test(tcase, requests_under_way_survive_a_restart_of_the_backend_as_errors);
    tcase_add_test(tcase, a_streamed_read_does_not_meet_a_closed_connection);
    tcase_add_loop_test(tcase, a_streamed_body_may_end_as_the_backend_dies, 1, 9);
    tcase_add_test(tcase, a_body_streams_on_while_the_answer_streams_back);
    return check_main("test_flow_backends", tcase);
}
