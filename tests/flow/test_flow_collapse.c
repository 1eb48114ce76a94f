/* Requests that ask the same at the same time: one asks, those who may wait for its answer, and
 * none of them gets one that is older than what it may know of. */
#include <stdio.h>
#include <string.h>

#include "flow/collapse_world.h"
#include "io/clock.h"
#include "proxy/cache_report.h"
#include "support/check_main.h"

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

    tcase_add_checked_fixture(tcase, collapse_world_begin, collapse_world_end);
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
    tcase_add_loop_test(tcase, an_answer_that_is_not_for_others_is_asked_for_by_each, 0, 3);
    tcase_add_test(tcase, without_room_for_all_copies_each_asks_for_itself);
    tcase_add_loop_test(tcase, slow_clients_slow_nobody_else, 0, 2);
    tcase_add_test(tcase, an_answer_held_up_by_its_client_is_joined_and_read_on);
    tcase_add_test(tcase, the_next_request_of_a_connection_follows);
    tcase_add_loop_test(tcase, whatever_happens_each_is_answered_once, 0, 40);
    return check_main("flow_collapse", tcase);
}
