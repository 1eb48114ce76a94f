/* Requests that ask the same at the same time: one asks, those who may wait for its answer, and
 * whatever becomes of one of them, the others are answered, and none with what is older than what
 * it may know of. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "io/clock.h"
#include "proxy/cache_report.h"
#include "support/check_main.h"

#define COLLECTION "/api/v2/tenants/t/databases/d/collections/11111111-2222-3333-4444-555555555555/"
#define JSON       "Content-Type: application/json\r\n"

enum { MANY = 32, kib = 1024, LARGE = 400 * kib, TOO_LARGE = 600 * kib };

static const uint64_t second_us = 1000000;

static struct flow_world world;
static struct flow_plan  read_plan;
static unsigned          faulty; /* so many of the next reads meet `fault` */
static enum flow_fault   fault;
static uint64_t          write_delay_us;
static char              large[TOO_LARGE + 1];

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    (void)id;
    (void)ctx;
    if (strstr(flow_backend_last_head(backend), "/upsert") != NULL) {
        ret_plan->delay_us = write_delay_us;
        return;
    }
    *ret_plan = read_plan;
    if (faulty > 0) {
        faulty--;
        ret_plan->fault = fault;
    }
}

/* A gateway before a Chroma that takes 50 ms for a read, and says what it holds when it is asked.
 */
static void begin(void)
{
    flow_world_begin(&world, 1);
    flow_world_keep_answers(&world);
    world.backend.on_plan = plan;
    read_plan = (struct flow_plan){
        .delay_us = 50000, .fields = JSON, .is_bare = true, .status = 200, .body = "\"old\""};
    write_delay_us = 1000;
    faulty = 0;
    fault = FLOW_FAULT_RESET_AFTER;
    memset(large, 'x', sizeof large - 1);
}

static void end(void)
{
    flow_world_end(&world);
}

static void be_a_sidecar(void)
{
    world.write_options.is_gateway = false;
}

static void send_body(struct flow_client *client, const char *body, const char *fields)
{
    flow_client_printf(client,
                       "POST " COLLECTION "get HTTP/1.1\r\nHost: chroma\r\n%s"
                       "Content-Length: %zu\r\n\r\n%s",
                       fields, strlen(body), body);
}

static struct flow_client *asker(const char *body, const char *fields)
{
    struct flow_client *client = flow_world_client(&world);

    send_body(client, body, fields);
    flow_world_run_ms(&world, 1);
    return client;
}

static struct flow_client *ask(void)
{
    return asker("{}", "");
}

static bool is_collapsed(struct flow_client *client)
{
    const char *head = flow_client_head(client, client->answer_count - 1);
    bool        is = strstr(head, "Cache-Status: chromabouncer; fwd=miss; collapsed\r\n") != NULL;

    ck_assert(!is || strstr(head, "X-Chromabouncer-Source: backend\r\n") != NULL);
    ck_assert(!is || strstr(head, "content-type: application/json\r\n") != NULL);
    return is;
}

static void expect(struct flow_client *client, const char *body, bool collapsed)
{
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert_str_eq(flow_client_body(client, 0), body);
    ck_assert_int_eq(is_collapsed(client), collapsed);
}

static void expect_error(struct flow_client *client, unsigned status)
{
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, status);
}

static void expect_calls(size_t count)
{
    ck_assert_uint_eq(world.backend.request_count, count);
}

static void write_record(void)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request_record(client, "upsert", 1);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
}

static uint64_t metric(const char *series)
{
    struct byte_buffer page = {0};
    unsigned long long value = 0;
    const char        *at;

    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, (struct bytes){.data = "", .size = 1}, SIZE_MAX),
                     STATUS_OK);
    at = strstr(byte_buffer_bytes(&page).data, series);
    if (at != NULL)
        ck_assert_int_eq(sscanf(at + strlen(series), " %llu", &value), 1);
    byte_buffer_done(&page);
    return value;
}

/* ---- Who waits for whom ---------------------------------------------------------------------- */

START_TEST(many_who_ask_the_same_at_once_cause_one_call)
{
    struct cache_usage_row rows[QUERY_CACHE_OWNERS_MAX];
    struct cache_report    report;
    struct flow_client    *clients[MANY];

    flow_world_start(&world);
    for (size_t i = 0; i < MANY; i++)
        clients[i] = asker(i % 2 ? "{\"limit\":null}" : "{}", "");
    for (size_t i = 0; i < MANY; i++)
        expect(clients[i], "\"old\"", i > 0);
    expect_calls(1);
    ck_assert_uint_eq(metric("chromabouncer_requests_total{op=\"get\",code=\"200\",source="
                             "\"collapsed\"}"),
                      MANY - 1);
    ck_assert_uint_eq(metric("chromabouncer_cache_lookups_total{result=\"collapsed\"}"), MANY - 1);
    ck_assert_uint_eq(metric("chromabouncer_cache_lookups_total{result=\"miss\"}"), 1);
    cache_report_read(world.proxy, &report);
    ck_assert_uint_eq(report.lookups, MANY);
    ck_assert_uint_eq(report.stats.joined, MANY - 1);
    ck_assert_uint_eq(cache_report_list(world.proxy, QUERY_CACHE_COLLECTION, rows), 1);
    ck_assert_uint_eq(rows[0].counts.lookups, MANY);
}
END_TEST

START_TEST(a_flight_takes_64_who_wait_and_the_next_one_leads_another)
{
    struct flow_client *clients[130];

    flow_world_start(&world);
    read_plan.delay_us = second_us;
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"old\"", i % 65 != 0);
    expect_calls(2);
}
END_TEST

START_TEST(counts_and_descriptions_are_joined_too)
{
    static const char *const paths[] = {COLLECTION "count", "/api/v2/auth/identity"};

    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct flow_client *clients[3];

        for (size_t j = 0; j < COUNT_OF(clients); j++) {
            clients[j] = flow_world_client(&world);
            flow_client_printf(clients[j], "GET %s HTTP/1.1\r\nHost: chroma\r\n\r\n", paths[i]);
            flow_world_run_ms(&world, 1);
        }
        for (size_t j = 0; j < COUNT_OF(clients); j++)
            expect(clients[j], "\"old\"", j > 0);
        expect_calls(i + 1);
    }
}
END_TEST

START_TEST(only_the_same_question_of_the_same_asker_is_joined)
{
    static const char *const others[][2] = {
        {"{\"limit\":1}", ""},
        {"{}", "Authorization: a\r\n"},
        {"{}", "Cache-Control: no-cache\r\n"},
        {"{}", "Cache-Control: no-cache\r\n"},
        {"{}", "Cache-Control: no-store\r\n"},
        {"{}", "Cache-Control: max-age=0\r\n"},
        {"{}", "Pragma: no-cache\r\n"},
        {"{}", "Pragma: no-cache\r\n"},
        {"{\"unknown\":1}", ""},
        {"{\"unknown\":1}", ""},
    };
    struct flow_client *clients[COUNT_OF(others)], *first;

    if (_i == 1) { /* where only what was not sent may be joined */
        be_a_sidecar();
        world.pool_options.connections_max = 1;
        read_plan.delay_us = 20000;
    }
    flow_world_start(&world);
    if (_i == 1)
        asker("{\"limit\":9}", "");
    first = ask();
    for (size_t i = 0; i < COUNT_OF(others); i++)
        clients[i] = asker(others[i][0], others[i][1]);
    expect(ask(), "\"old\"", true);
    expect(first, "\"old\"", false);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        expect(clients[i], "\"old\"", false);
    expect_calls((size_t)_i + 1 + COUNT_OF(others));
}
END_TEST

/* The other proxy of the two writes to Chroma while the read of the first is there. */
START_TEST(a_sidecar_joins_nothing_that_was_sent)
{
    struct flow_client *first, *second;

    be_a_sidecar();
    if (_i == 1) /* whose answers may be old, but not those of who asks now */
        world.proxy_options.cache.max_staleness_us = second_us;
    flow_world_start(&world);
    first = ask();
    ck_assert(flow_world_run_to_requests(&world, 1));
    read_plan.body = "\"new\"";
    second = ask();
    expect(second, "\"new\"", false);
    expect(first, "\"old\"", false);
    expect_calls(2);
}
END_TEST

START_TEST(what_waits_for_its_turn_is_joined_by_a_sidecar_too)
{
    struct flow_client *holder, *clients[5];

    be_a_sidecar();
    world.pool_options.connections_max = 1;
    flow_world_start(&world);
    holder = asker("{\"limit\":1}", "");
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    read_plan.body = "\"new\""; /* what another proxy wrote before the last of them asked */
    expect(ask(), "\"new\"", true);
    expect(holder, "\"old\"", false);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"new\"", i > 0);
    expect_calls(2);
    ck_assert_uint_eq(metric("chromabouncer_requests_total{op=\"get\",code=\"200\",source="
                             "\"collapsed\"}"),
                      5);
    ck_assert_uint_eq(metric("chromabouncer_cache_lookups_total{result=\"collapsed\"}"), 5);
}
END_TEST

/* Else who waited for one that is refused would wait for as long again. */
START_TEST(where_waiting_reads_are_refused_each_is_in_its_own_time)
{
    struct flow_client *holder, *clients[5];
    uint64_t            began_us;

    if (_i == 1)
        be_a_sidecar();
    world.pool_options.connections_max = 1;
    world.proxy_options.sheds = true;
    read_plan.delay_us = second_us;
    flow_world_start(&world);
    holder = asker("{\"limit\":1}", "");
    began_us = clock_now_us();
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect_error(clients[i], 429);
    ck_assert_uint_lt(clock_now_us() - began_us, 120000);
    expect(holder, "\"old\"", false);
    expect_calls(1);
}
END_TEST

START_TEST(where_answers_are_not_to_be_kept_nothing_is_joined)
{
    world.proxy_options.cache.is_enabled = false;
    world.pool_options.connections_max = 1;
    flow_world_start(&world);
    for (size_t i = 0; i < 5; i++)
        ask();
    flow_world_run_ms(&world, 1000);
    expect_calls(5);
}
END_TEST

START_TEST(after_a_write_nobody_joins_what_was_sent_before_it)
{
    struct flow_client *before, *crossing, *after;

    flow_world_start(&world);
    before = ask();
    ck_assert(flow_world_run_to_requests(&world, 1));
    write_record();
    read_plan.body = "\"new\"";
    after = ask();
    expect(ask(), "\"new\"", true);
    expect(after, "\"new\"", false);
    expect(before, "\"old\"", false);
    expect_calls(3);

    /* While one is in flight nothing that is sent can be joined. */
    write_delay_us = second_us;
    flow_world_request_record(flow_world_client(&world), "upsert", 2);
    flow_world_run_ms(&world, 5);
    crossing = ask();
    flow_world_run_ms(&world, 5);
    expect(ask(), "\"new\"", false);
    expect(crossing, "\"new\"", false);
}
END_TEST

START_TEST(after_a_restart_nobody_joins_what_was_sent_before_it)
{
    struct flow_client *before, *after;

    flow_world_start(&world);
    before = ask();
    ck_assert(flow_world_run_to_requests(&world, 1));
    proxy_set_backend(world.proxy,
                      &(struct proxy_backend){.family = CHROMA_FAMILY_RUST, .incarnation = 2});
    read_plan.body = "\"new\"";
    after = ask();
    expect(after, "\"new\"", false);
    expect(before, "\"old\"", false);
}
END_TEST

START_TEST(who_ceases_to_be_a_gateway_joins_nothing_that_was_sent)
{
    struct flow_client *first, *waits;

    flow_world_start(&world);
    first = ask();
    waits = ask();
    proxy_set_gateway(world.proxy, false);
    read_plan.body = "\"new\"";
    expect(ask(), "\"new\"", false);
    expect(first, "\"old\"", false);
    expect(waits, "\"old\"", true); /* it asked while there was no other */
    expect_calls(2);
}
END_TEST

static void take_state(void *ctx, const struct service_state *state)
{
    *(struct service_state *)ctx = *state; /* there is one */
}

START_TEST(who_waits_is_charged_its_request_and_no_time_of_chroma)
{
    struct proxy_service_options service = {
        .name = PROXY_SERVICE_DEFAULT, .weight = 1, .priority = 1, .rate = 1, .burst = 100};
    struct flow_client  *clients[5];
    struct service_state state = {0};

    flow_world_start(&world);
    ck_assert_int_eq(
        proxy_set_services(world.proxy,
                           &(struct proxy_services_options){.services = &service, .count = 1}),
        STATUS_OK);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"old\"", i > 0);
    proxy_each_service(world.proxy, take_state, &state);
    ck_assert_uint_eq(state.requests, 5);
    ck_assert_uint_eq(state.remaining, 95);
    ck_assert_uint_ge(state.chroma_time_us, 50000);
    ck_assert_uint_lt(state.chroma_time_us, 60000);
}
END_TEST

/* ---- Whoever leaves -------------------------------------------------------------------------- */

START_TEST(if_the_one_that_asks_leaves_one_of_the_others_asks)
{
    struct flow_client *clients[5];

    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    read_plan.body = "\"new\"";
    flow_client_reset(clients[0]);
    for (size_t i = 1; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"new\"", i > 1);
    expect_calls(2);
}
END_TEST

START_TEST(who_waits_may_leave_at_any_time)
{
    struct flow_client *clients[4];

    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    flow_client_reset(clients[2]);
    flow_world_run_ms(&world, 1);
    flow_client_reset(clients[0]); /* and in one turn with who would ask */
    flow_client_reset(clients[1]);
    expect(clients[3], "\"old\"", false);
    ck_assert_uint_le(world.backend.request_count, 3);
}
END_TEST

START_TEST(all_may_leave)
{
    struct flow_client *clients[4];

    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        flow_client_reset(clients[i]);
    flow_world_run_ms(&world, 200);
    expect(ask(), "\"old\"", false);
}
END_TEST

/* Left as they are, for the end of the world to find. */
START_TEST(the_proxy_may_end_while_they_wait)
{
    flow_world_start(&world);
    for (size_t i = 0; i < 4; i++)
        ask();
}
END_TEST

START_TEST(all_are_refused_when_the_proxy_says_so)
{
    struct flow_client *clients[4];

    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    proxy_refuse_all(world.proxy, "Chroma is gone");
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect_error(clients[i], 503);
    expect_calls(1);
}
END_TEST

START_TEST(a_pause_lets_those_that_wait_come_to_their_end)
{
    struct flow_client *first, *second, *later;

    flow_world_start(&world);
    first = ask();
    second = ask();
    proxy_pause(world.proxy, true);
    later = ask();
    ck_assert_uint_eq(proxy_under_way(world.proxy), 2);
    expect(first, "\"old\"", false);
    expect(second, "\"old\"", true);
    ck_assert_uint_eq(proxy_under_way(world.proxy), 0);
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(later->answer_count, 0);
    proxy_pause(world.proxy, false);
    ck_assert(flow_world_run_to_answers(&world, later, 1));
}
END_TEST

/* ---- Failures and deadlines ------------------------------------------------------------------ */

START_TEST(if_the_call_fails_one_of_the_others_asks)
{
    struct flow_client *clients[5];

    faulty = 1;
    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    expect_error(clients[0], 502);
    for (size_t i = 1; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"old\"", i > 1);
    expect_calls(2);
}
END_TEST

START_TEST(what_failed_twice_each_asks_for_itself)
{
    struct flow_client *clients[5];

    faulty = 2;
    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    expect_error(clients[0], 502);
    expect_error(clients[1], 502);
    for (size_t i = 2; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"old\"", false);
    expect_calls(5);
}
END_TEST

START_TEST(if_the_answer_breaks_one_of_the_others_asks)
{
    struct flow_client *clients[5];

    faulty = 1;
    fault = FLOW_FAULT_HALF_ANSWER;
    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    ck_assert(flow_world_run_to_end(&world, clients[0]));
    for (size_t i = 1; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"old\"", i > 1);
    expect_calls(2);
}
END_TEST

START_TEST(a_chroma_of_our_own_dies_and_nobody_notices)
{
    struct flow_client *clients[5];

    world.write_options.is_supervised = true;
    faulty = 1;
    fault = _i == 0 ? FLOW_FAULT_RESET_AFTER : FLOW_FAULT_HALF_ANSWER;
    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], "\"old\"", i > 0);
    expect_calls(2);
}
END_TEST

START_TEST(each_has_the_deadline_that_it_would_have_alone)
{
    struct flow_client *first, *second;
    uint64_t            began_us;

    world.proxy_options.deadline_read_us = second_us;
    read_plan.delay_us = 100 * second_us;
    flow_world_start(&world);
    began_us = clock_now_us();
    first = ask();
    flow_world_run_ms(&world, 500);
    second = ask();
    expect_error(first, 504);
    ck_assert_uint_lt(clock_now_us() - began_us, 1050000);
    ck_assert_uint_eq(second->answer_count, 0);
    flow_world_run_ms(&world, 5);
    expect_calls(2); /* now it asks itself */
    expect_error(second, 504);
    ck_assert_uint_gt(clock_now_us() - began_us, 1450000);
    ck_assert_uint_lt(clock_now_us() - began_us, 1550000);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_deadlines, 2);
}
END_TEST

START_TEST(who_asks_instead_has_the_rest_of_its_time)
{
    struct flow_client *first, *second;

    world.proxy_options.deadline_read_us = second_us;
    read_plan.delay_us = 400000;
    faulty = 1;
    fault = FLOW_FAULT_LEAVES_HALF;
    flow_world_start(&world);
    first = ask();
    flow_world_run_ms(&world, 900); /* half an answer came at 400 ms, the rest never does */
    second = ask();
    ck_assert(flow_world_run_to_end(&world, first));
    expect(second, "\"old\"", false);
    expect_calls(2);
}
END_TEST

START_TEST(the_limit_of_waits_is_one_for_a_turn)
{
    struct flow_client *first, *second;
    uint64_t            began_us;

    world.proxy_options.queue_wait_max_us = second_us;
    world.pool_options.connections_max = 1;
    read_plan.delay_us = 3 * second_us;
    flow_world_start(&world);
    began_us = clock_now_us();
    asker("{\"limit\":1}", "");
    first = ask();
    flow_world_run_ms(&world, 500);
    second = ask();
    expect_error(first, 504);
    expect_error(second, 504);
    ck_assert_uint_gt(clock_now_us() - began_us, 1450000);
    ck_assert_uint_lt(clock_now_us() - began_us, 1600000);
    expect_calls(1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.connections, 2); /* it took over */

    /* Whose call is sent, for that one nobody waits for a turn. */
    flow_world_run_ms(&world, 3000);
    first = ask();
    second = ask();
    expect(first, "\"old\"", false);
    expect(second, "\"old\"", true);
}
END_TEST

/* ---- Answers --------------------------------------------------------------------------------- */

static void plan_answer(int kind)
{
    if (kind == 0)
        read_plan.status = 404;
    else if (kind == 1)
        read_plan.body = large;
    else
        read_plan.fields = JSON "Set-Cookie: a=b\r\n";
}

static void expect_alone(struct flow_client *client)
{
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, read_plan.status);
    ck_assert_uint_eq(byte_buffer_size(&client->answers[0].body), strlen(read_plan.body));
    ck_assert(!is_collapsed(client));
}

START_TEST(an_answer_that_is_not_for_others_is_asked_for_by_each)
{
    struct flow_client *clients[4];

    plan_answer(_i);
    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect_alone(clients[i]);
    expect_calls(4);

    /* And not waited for in the next two seconds. */
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    flow_world_run_ms(&world, 10);
    expect_calls(8);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect_alone(clients[i]);
    flow_world_run_ms(&world, 2100);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    flow_world_run_ms(&world, 10);
    expect_calls(9);
}
END_TEST

/* Where answers are kept they would find it there. */
START_TEST(without_room_for_all_copies_each_asks_for_itself)
{
    struct memory_account *answers = &world.budget.accounts[MEMORY_ACCOUNT_ANSWERS];
    struct flow_client    *clients[6];
    size_t                 charged = 0;

    large[LARGE] = '\0';
    read_plan.body = large;
    be_a_sidecar();
    world.pool_options.connections_max = 1;
    flow_world_start(&world);
    asker("{\"limit\":1}", "");
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        clients[i] = ask();
    for (; memory_account_has_room(answers, 1 << 20); charged += 64 * kib)
        memory_account_charge(answers, 64 * kib);
    for (size_t i = 0; i < COUNT_OF(clients); i++)
        expect(clients[i], large, false);
    expect_calls(7);
    memory_account_release(answers, charged);
}
END_TEST

START_TEST(slow_clients_slow_nobody_else)
{
    struct flow_client *leader, *slow, *quick;

    large[LARGE] = '\0';
    read_plan.body = large;
    flow_world_start(&world);
    leader = flow_world_client(&world);
    slow = flow_world_client(&world);
    quick = flow_world_client(&world);
    leader->reads = slow->reads = false;
    send_body(leader, "{}", "");
    flow_world_run_ms(&world, 1);
    send_body(slow, "{}", "");
    if (_i == 1) /* it comes when the answer is held up by the other's client */
        flow_world_run_ms(&world, 500);
    send_body(quick, "{}", "");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(quick->answer_count, 1);
    ck_assert_uint_eq(byte_buffer_size(&quick->answers[0].body), LARGE);
    ck_assert_uint_eq(slow->answer_count + leader->answer_count, 0);
    flow_client_go_on(slow);
    flow_client_go_on(leader);
    ck_assert(flow_world_run_to_answers(&world, slow, 1));
    ck_assert(flow_world_run_to_answers(&world, leader, 1));
    ck_assert_uint_eq(byte_buffer_size(&slow->answers[0].body), LARGE);
    ck_assert_uint_eq(byte_buffer_size(&leader->answers[0].body), LARGE);
    expect_calls(1);
}
END_TEST

START_TEST(an_answer_held_up_by_its_client_is_joined_and_read_on)
{
    struct flow_client *leader, *quick;

    large[LARGE] = '\0';
    read_plan.body = large;
    world.net_options.capacity_min = world.net_options.capacity_max = 16 * kib;
    flow_world_start(&world);
    leader = flow_world_client(&world);
    leader->reads = false;
    send_body(leader, "{}", "");
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(leader->answer_count, 0);
    quick = ask();
    expect(quick, large, true);
    flow_client_go_on(leader);
    expect(leader, large, false);
    expect_calls(1);
}
END_TEST

START_TEST(the_next_request_of_a_connection_follows)
{
    struct flow_client *first, *second;

    flow_world_start(&world);
    first = ask();
    second = flow_world_client(&world);
    for (size_t i = 0; i < 3; i++)
        send_body(second, i == 1 ? "{\"limit\":1}" : "{}", "");
    ck_assert(flow_world_run_to_answers(&world, second, 3));
    expect(first, "\"old\"", false);
    expect_calls(2);
}
END_TEST

/* Some of each: whatever they meet, everybody is answered. */
START_TEST(whatever_happens_each_is_answered_once)
{
    struct flow_client *clients[40];
    size_t              answered = 0;

    fake_loop_begin((uint64_t)_i + 1);
    flow_world_start(&world);
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        char body[30];

        snprintf(body, sizeof body, "{\"limit\":%u}", fake_loop_random(2) + 1);
        faulty = fake_loop_random(8) == 0;
        fault = fake_loop_random(2) ? FLOW_FAULT_RESET_AFTER : FLOW_FAULT_HALF_ANSWER;
        read_plan.status = fake_loop_random(10) == 0 ? 500 : 200;
        read_plan.delay_us = fake_loop_random(20000);
        clients[i] = asker(body, fake_loop_random(10) == 0 ? "Cache-Control: no-cache\r\n" : "");
        if (fake_loop_random(6) == 0)
            flow_client_reset(clients[fake_loop_random((uint32_t)i + 1)]);
        if (fake_loop_random(6) == 0)
            write_record();
    }
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        ck_assert(clients[i]->has_ended || flow_world_run_to_answers(&world, clients[i], 1));
        answered += clients[i]->answer_count;
    }
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(proxy_unfinished(world.proxy), 0);
    ck_assert_uint_gt(answered, COUNT_OF(clients) / 2);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_collapse");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, many_who_ask_the_same_at_once_cause_one_call);
    tcase_add_test(tcase, a_flight_takes_64_who_wait_and_the_next_one_leads_another);
    tcase_add_test(tcase, counts_and_descriptions_are_joined_too);
    tcase_add_loop_test(tcase, only_the_same_question_of_the_same_asker_is_joined, 0, 2);
    tcase_add_loop_test(tcase, a_sidecar_joins_nothing_that_was_sent, 0, 2);
    tcase_add_test(tcase, what_waits_for_its_turn_is_joined_by_a_sidecar_too);
    tcase_add_loop_test(tcase, where_waiting_reads_are_refused_each_is_in_its_own_time, 0, 2);
    tcase_add_test(tcase, where_answers_are_not_to_be_kept_nothing_is_joined);
    tcase_add_test(tcase, after_a_write_nobody_joins_what_was_sent_before_it);
    tcase_add_test(tcase, after_a_restart_nobody_joins_what_was_sent_before_it);
    tcase_add_test(tcase, who_ceases_to_be_a_gateway_joins_nothing_that_was_sent);
    tcase_add_test(tcase, who_waits_is_charged_its_request_and_no_time_of_chroma);
    tcase_add_test(tcase, if_the_one_that_asks_leaves_one_of_the_others_asks);
    tcase_add_test(tcase, who_waits_may_leave_at_any_time);
    tcase_add_test(tcase, all_may_leave);
    tcase_add_test(tcase, the_proxy_may_end_while_they_wait);
    tcase_add_test(tcase, all_are_refused_when_the_proxy_says_so);
    tcase_add_test(tcase, a_pause_lets_those_that_wait_come_to_their_end);
    tcase_add_test(tcase, if_the_call_fails_one_of_the_others_asks);
    tcase_add_test(tcase, what_failed_twice_each_asks_for_itself);
    tcase_add_test(tcase, if_the_answer_breaks_one_of_the_others_asks);
    tcase_add_loop_test(tcase, a_chroma_of_our_own_dies_and_nobody_notices, 0, 2);
    tcase_add_test(tcase, each_has_the_deadline_that_it_would_have_alone);
    tcase_add_test(tcase, who_asks_instead_has_the_rest_of_its_time);
    tcase_add_test(tcase, the_limit_of_waits_is_one_for_a_turn);
    tcase_add_loop_test(tcase, an_answer_that_is_not_for_others_is_asked_for_by_each, 0, 3);
    tcase_add_test(tcase, without_room_for_all_copies_each_asks_for_itself);
    tcase_add_loop_test(tcase, slow_clients_slow_nobody_else, 0, 2);
    tcase_add_test(tcase, an_answer_held_up_by_its_client_is_joined_and_read_on);
    tcase_add_test(tcase, the_next_request_of_a_connection_follows);
    tcase_add_loop_test(tcase, whatever_happens_each_is_answered_once, 0, 40);
    return check_main("flow_collapse", tcase);
}
