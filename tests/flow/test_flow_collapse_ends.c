/* Requests that wait for the answer to another: whatever becomes of one of them, be it that its
 * client leaves, its call fails or its time is over, the others are answered. */
#include <string.h>

#include "flow/collapse_world.h"
#include "io/clock.h"
#include "support/check_main.h"

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

int main(void)
{
    TCase *tcase = tcase_create("flow_collapse_ends");

    tcase_add_checked_fixture(tcase, collapse_world_begin, collapse_world_end);
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
    return check_main("flow_collapse_ends", tcase);
}
