/* A copy overtakes a Chroma that is slow, and what both have said is compared; over a fake copy. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "calls/proxy_state.h"
#include "flow/fake_mirror_copy.h"
#include "flow/mirror_path_world.h"
#include "io/clock.h"
#include "proxy/mirror_compare.h"
#include "support/check_main.h"

START_TEST(who_is_late_is_overtaken)
{
    uint64_t began_us;

    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    expect_chroma(ask(JSON));
    read_delay_us = 1000000;
    began_us = clock_now_us();
    expect_mirror(ask(JSON));
    ck_assert_uint_le(clock_now_us() - began_us, 20000);
    ck_assert_uint_eq(reads, 2);
    ck_assert_uint_eq(answers("hedge"), 1);
    read_delay_us = 1000;
    expect_chroma(ask(JSON));
}
END_TEST

START_TEST(who_is_late_is_overtaken_after_a_second_while_little_is_known)
{
    uint64_t began_us;

    start_in(PROXY_MIRROR_HEDGE);
    read_delay_us = 5000000;
    began_us = clock_now_us();
    expect_mirror(ask(JSON));
    ck_assert_uint_ge(clock_now_us() - began_us, 1000000);
    ck_assert_uint_le(clock_now_us() - began_us, 1020000);
}
END_TEST

START_TEST(a_copy_that_cannot_answer_overtakes_nobody)
{
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    read_delay_us = 1000000;
    fake_mirror_copies.answers = 0;
    fake_mirror_copies.answer_fails = STATUS_NOT_IMPLEMENTED;
    expect_chroma(ask(JSON));
    ck_assert_uint_eq(fake_mirror_copies.answers, 1);
}
END_TEST

static unsigned same_before; /* while the delay was learnt */

static unsigned compared(const char *result)
{
    char name[100];

    snprintf(name, sizeof name, "\nchromabouncer_mirror_compared_total{result=\"%s\"}", result);
    return metric(name) - (strcmp(result, "same") == 0 ? same_before : 0);
}

static unsigned compared_in_all(void)
{
    static const char *const results[] = {"same",    "margin",     "different",
                                          "changed", "unanswered", "too_large"};
    unsigned                 count = 0;

    for (size_t i = 0; i < COUNT_OF(results); i++)
        count += compared(results[i]);
    return count;
}

static size_t connections(void)
{
    return turn_queue_stats(world.proxy->turns)->connections[TURN_READ];
}

/* Of the answers' memory nothing is held. */
static void expect_nothing_is_held(void)
{
    ck_assert_uint_eq(connections(), 0);
    ck_assert_uint_eq(world.proxy->budget->accounts[MEMORY_ACCOUNT_ANSWERS].used, 0);
}

/* The copy overtakes Chroma, which takes so long. */
static void overtake(uint64_t delay_us)
{
    read_delay_us = delay_us;
    ck_assert(is_mirrored(ask(JSON)));
}

static void start_hedging(void)
{
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    flow_world_run_ms(&world, 200);
    same_before = 0;
    same_before = compared("same");
}

START_TEST(who_was_overtaken_is_compared)
{
    start_hedging();
    overtake(300000);
    ck_assert_uint_eq(compared_in_all(), 0);
    ck_assert_uint_eq(connections(), 1); /* the client has its answer, and Chroma goes on */
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(compared("same"), 1);
    ck_assert_uint_eq(compared_in_all(), 1);
    ck_assert_uint_eq(reads, 1);
    expect_nothing_is_held();
}
END_TEST

/* Either is first, and the other one is compared. */
START_TEST(who_is_second_by_a_hair_is_compared)
{
    unsigned mirrored = 0;

    start_hedging();
    for (unsigned i = 0; i < 100; i++) {
        read_delay_us = fake_loop_random(10000);
        mirrored += is_mirrored(ask(JSON));
        flow_world_run_ms(&world, 150);
    }
    ck_assert_uint_gt(mirrored, 0);
    ck_assert_uint_gt(compared("same"), mirrored);
    ck_assert_uint_eq(compared("same"), compared_in_all());
    expect_nothing_is_held();
}
END_TEST

/* Somebody has written past us. */
START_TEST(a_copy_that_differs_is_given_up)
{
    start_hedging();
    fake_records_append(&chroma, "past", "us");
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("different"), 1);
    ck_assert_uint_eq(metric("\nchromabouncer_mirror_given_up_total{reason=\"differs\"}"), 1);
    ck_assert(!is_complete(NULL));
    expect_chroma(ask(JSON));
    run_to_complete();
    ck_assert_uint_eq(fake_mirror_copies.made, 2);
}
END_TEST

START_TEST(a_copy_that_differs_is_not_kept_for_bad_times)
{
    options.allows_incomplete = true;
    start_hedging();
    fake_records_append(&chroma, "past", "us");
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("different"), 1);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    flow_world_expect(ask(JSON), 503);
}
END_TEST

START_TEST(a_write_in_between_says_nothing)
{
    struct flow_client *writer;

    start_hedging();
    overtake(300000);
    writer = flow_world_client(&world);
    send_upsert(writer, "between");
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("changed"), 1);
    ck_assert_uint_eq(compared_in_all(), 1);
    ck_assert(is_complete(NULL));
}
END_TEST

/* Chroma may show it already. */
START_TEST(a_write_all_the_time_says_nothing)
{
    struct flow_client *writer;

    start_hedging();
    writer = flow_world_client(&world);
    write_delay_us = 1000000;
    send_upsert(writer, "long");
    flow_world_run_ms(&world, 10);
    overtake(300000);
    ck_assert_uint_eq(connections(), 0);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared_in_all(), 0);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert(is_complete(NULL));
}
END_TEST

/* Chroma has read what was there before a write that the copy has. */
START_TEST(a_write_before_says_nothing)
{
    struct flow_client *writer, *reader;

    start_hedging();
    writer = flow_world_client(&world);
    reader = flow_world_client(&world);
    read_delay_us = 300000;
    write_delay_us = 100;
    flow_world_run_ms(&world, 10);
    send_get(reader, JSON);
    send_upsert(writer, "before");
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert(flow_world_run_to_answers(&world, reader, 1));
    ck_assert(is_mirrored(reader));
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("same") + compared("different"), 0);
    ck_assert(is_complete(NULL));
}
END_TEST

START_TEST(what_does_not_come_is_not_compared)
{
    world.proxy_options.deadline_read_us = 1000000;
    start_hedging();
    overtake(5000000);
    flow_world_run_ms(&world, 900);
    ck_assert_uint_eq(compared_in_all(), 0);
    flow_world_run_ms(&world, 200);
    ck_assert_uint_eq(compared("unanswered"), 1);
    expect_nothing_is_held();
    read_status = 500;
    overtake(300000);
    flow_world_run_ms(&world, 500);
    read_status = 0;
    read_fault = FLOW_FAULT_RESET_AFTER;
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("unanswered"), 3);
    ck_assert_uint_eq(compared_in_all(), 3);
    expect_nothing_is_held();
}
END_TEST

START_TEST(a_pause_waits_for_what_is_compared)
{
    start_hedging();
    overtake(300000);
    proxy_pause(world.proxy, true);
    ck_assert_uint_eq(proxy_under_way(world.proxy), 1);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(proxy_under_way(world.proxy), 0);
    ck_assert_uint_eq(compared("same"), 1);
    proxy_pause(world.proxy, false);
}
END_TEST

/* One at a time, and a few in a second. */
START_TEST(a_sample_is_compared)
{
    start_hedging();
    overtake(300000);
    flow_world_run_ms(&world, 150);
    overtake(300000);
    ck_assert_uint_eq(connections(), 1);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared_in_all(), 1);
    overtake(50000);
    flow_world_run_ms(&world, 80);
    overtake(50000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared_in_all(), 2);
}
END_TEST

START_TEST(a_long_answer_is_not_compared)
{
    start_hedging();
    read_padding = MIRROR_COMPARE_ANSWER_MAX;
    overtake(300000);
    flow_world_run_ms(&world, 500);
    ck_assert_uint_eq(compared("too_large"), 1);
    ck_assert_uint_eq(compared_in_all(), 1);
    ck_assert(is_complete(NULL));
    expect_nothing_is_held();
}
END_TEST

/* The copy waits for a write that Chroma has shown, when both are lost: what it had will do. */
START_TEST(a_hedge_becomes_a_fallback)
{
    struct flow_client *writer, *reader;

    options.allows_incomplete = true;
    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    writer = flow_world_client(&world);
    reader = flow_world_client(&world);
    write_delay_us = 5000000;
    send_upsert(writer, "lost");
    flow_world_run_ms(&world, 10);
    expect_chroma(ask(JSON "Cache-Control: no-store\r\n"));
    read_delay_us = 300000;
    read_fault = FLOW_FAULT_RESET_AFTER;
    send_get(reader, JSON);
    flow_world_run_ms(&world, 600); /* its connection broke, and the copy cannot answer yet */
    ck_assert_uint_eq(reader->answer_count, 0);
    flow_backend_kill(&world.backend);
    fake_net_set_mode(FAKE_NET_REFUSE);
    ck_assert(flow_world_run_to_answers(&world, reader, 1));
    flow_world_expect(reader, 200);
    ck_assert(is_mirrored(reader));
    ck_assert_ptr_nonnull(strstr(flow_client_head(reader, 0), "; complete=no\r\n"));
    ck_assert_uint_eq(answers("fallback"), 1);
}
END_TEST

/* The copy is asked at about the time when Chroma answers: each gets one answer. */
START_TEST(either_may_win_by_a_hair)
{
    unsigned mirrored = 0;

    start_in(PROXY_MIRROR_HEDGE);
    learn_delay();
    for (unsigned i = 0; i < 200; i++) {
        struct flow_client *client;

        read_delay_us = fake_loop_random(10000);
        read_fault = i % 2 == 0 ? FLOW_FAULT_IN_PIECES : FLOW_FAULT_NONE;
        client = ask(JSON);
        expect_body(client);
        mirrored += is_mirrored(client);
    }
    ck_assert_uint_gt(mirrored, 0);
    ck_assert_uint_lt(mirrored, 200);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_path_hedge");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, prepare, end);
    tcase_add_test(tcase, who_is_late_is_overtaken);
    tcase_add_test(tcase, who_is_late_is_overtaken_after_a_second_while_little_is_known);
    tcase_add_test(tcase, a_copy_that_cannot_answer_overtakes_nobody);
    tcase_add_test(tcase, who_was_overtaken_is_compared);
    tcase_add_test(tcase, who_is_second_by_a_hair_is_compared);
    tcase_add_test(tcase, a_copy_that_differs_is_given_up);
    tcase_add_test(tcase, a_copy_that_differs_is_not_kept_for_bad_times);
    tcase_add_test(tcase, a_write_in_between_says_nothing);
    tcase_add_test(tcase, a_write_all_the_time_says_nothing);
    tcase_add_test(tcase, a_write_before_says_nothing);
    tcase_add_test(tcase, what_does_not_come_is_not_compared);
    tcase_add_test(tcase, a_pause_waits_for_what_is_compared);
    tcase_add_test(tcase, a_sample_is_compared);
    tcase_add_test(tcase, a_long_answer_is_not_compared);
    tcase_add_test(tcase, a_hedge_becomes_a_fallback);
    tcase_add_test(tcase, either_may_win_by_a_hair);
    return check_main("flow_mirror_path_hedge", tcase);
}
