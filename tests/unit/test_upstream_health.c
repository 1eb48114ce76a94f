/* What must hold: up after one answer below 500, down after two failures, with a reason of the same
 * moment; a heartbeat that finds no place is a failure the third time; what requests met is not
 * cleared by what began before. */
#include "support/check_main.h"
#include "support/tiny_chroma.h"
#include "upstream/upstream_health.h"
#include "upstream/upstream_state.h" /* to meet a problem as requests do */

static const char heartbeat[] = "/api/v2/heartbeat", version[] = "/api/v2/version",
                  limits[] = "/api/v2/pre-flight-checks";

static struct upstream_identity *identity;
static struct upstream_health   *health;
static int                       changes;

static void on_change(void *ctx)
{
    ck_assert_ptr_eq(ctx, &changes);
    changes++;
}

static void on_identity(void *ctx)
{
    (void)ctx;
}

static void setup(void)
{
    tiny_chroma_init(4);
    tiny_chroma_answer(heartbeat, 200, "{\"nanosecond heartbeat\":1}");
    tiny_chroma_answer(version, 200, "\"1.0.0\"");
    tiny_chroma_answer(limits, 200, "{\"max_batch_size\":5461}");
}

static void teardown(void)
{
    upstream_health_free(health);
    upstream_identity_free(identity);
    tiny_chroma_done();
}

static void begin(uint64_t timeout_us)
{
    struct upstream_identity_options named = {.timeout_us = 1000000};
    struct upstream_health_options   options = {.interval_us = 5000, .timeout_us = timeout_us};
    struct upstream_health_parts     parts = {
            .pool = tiny.pool, .control = tiny.control, .incarnation = tiny.incarnation};

    changes = 0;
    identity = upstream_identity_new(tiny.control, tiny.incarnation, &named, on_identity, NULL);
    parts.identity = identity;
    health = upstream_health_new(tiny.loop, &parts, &options, on_change, &changes);
    ck_assert_ptr_nonnull(health);
    ck_assert_int_eq(upstream_health_state(health), UPSTREAM_HEALTH_UNKNOWN);
}

/* State and reason belong together at every moment. */
static void look(void)
{
    const char *reason;
    bool        is_up = upstream_health_is_up(health, &reason);

    tiny_backend_turn(&tiny.backend);
    ck_assert_int_eq(is_up, reason[0] == '\0');
    ck_assert_int_eq(upstream_health_state(health) == UPSTREAM_HEALTH_UP,
                     upstream_health_problem(health)[0] == '\0');
    ck_assert_uint_eq(upstream_health_stats(health)->up, is_up);
}

static bool is_up(void)
{
    look();
    return upstream_health_state(health) == UPSTREAM_HEALTH_UP;
}

static bool is_down(void)
{
    look();
    return upstream_health_state(health) == UPSTREAM_HEALTH_DOWN;
}

static bool is_rust(void)
{
    look();
    return upstream_identity_facts(identity)->family == CHROMA_FAMILY_RUST;
}

START_TEST(it_is_up_after_one_answer_and_asks_what_it_is)
{
    begin(1000000);
    loop_drive_until(tiny.loop, is_up);
    ck_assert_int_eq(changes, 1);
    ck_assert_uint_gt(upstream_health_took_us(health), 0);
    loop_drive_until(tiny.loop, is_rust);
    ck_assert_uint_eq(tiny_chroma_asked(version), 1);
}
END_TEST

START_TEST(nobody_there_is_down_with_a_reason)
{
    const char *reason;

    tiny_chroma_stop();
    begin(1000000);
    loop_drive_until(tiny.loop, is_down);
    ck_assert_int_eq(changes, 1);
    ck_assert_uint_ge(upstream_health_stats(health)->failures, 1);
    ck_assert(!upstream_health_is_up(health, &reason));
    ck_assert_str_ne(reason, "");
}
END_TEST

/* Chroma 0.4 has no such route; others ask for credentials. */
static const struct {
    unsigned code;
    bool     is_up;
} codes[] = {{404, true}, {401, true}, {410, true}, {500, false}, {503, false}};

START_TEST(an_answer_below_500_is_a_life_sign)
{
    tiny_chroma_answer(heartbeat, codes[_i].code, "");
    begin(1000000);
    loop_drive_until(tiny.loop, codes[_i].is_up ? is_up : is_down);
    if (!codes[_i].is_up)
        ck_assert_ptr_nonnull(strstr(upstream_health_problem(health), "was answered 50"));
}
END_TEST

static bool has_failed_once(void)
{
    look();
    return upstream_health_stats(health)->failures > 0;
}

START_TEST(it_goes_down_after_two_failures_and_comes_up_again)
{
    begin(1000000);
    loop_drive_until(tiny.loop, is_up);
    tiny_chroma_answer(heartbeat, 503, "");
    loop_drive_until(tiny.loop, has_failed_once);
    loop_drive_until(tiny.loop, is_down);
    ck_assert_uint_ge(upstream_health_stats(health)->failures, 2);
    tiny_chroma_answer(heartbeat, 200, "");
    loop_drive_until(tiny.loop, is_up);
    loop_drive_until(tiny.loop, is_rust);
}
END_TEST

static unsigned heartbeats[2]; /* told of: not answered, answered */

static void count_heartbeat(void *ctx, bool is_answered)
{
    ck_assert_ptr_eq(ctx, heartbeats);
    heartbeats[is_answered]++;
}

static bool has_told_both(void)
{
    look();
    return heartbeats[false] >= 2 && heartbeats[true] >= 2;
}

START_TEST(each_heartbeat_is_told_as_it_is)
{
    heartbeats[false] = heartbeats[true] = 0;
    begin(1000000);
    upstream_health_on_heartbeat(health, count_heartbeat, heartbeats);
    loop_drive_until(tiny.loop, is_up);
    ck_assert_uint_ge(heartbeats[true], 1);
    ck_assert_uint_eq(heartbeats[false], 0);
    tiny_chroma_answer(heartbeat, 503, "");
    loop_drive_until(tiny.loop, is_down);
    tiny_chroma_answer(heartbeat, 200, "");
    loop_drive_until(tiny.loop, has_told_both);
    ck_assert_uint_eq(heartbeats[false] + heartbeats[true], upstream_health_stats(health)->checks);
}
END_TEST

static bool is_asked_twice(void)
{
    look();
    return tiny_chroma_asked(heartbeat) >= 2;
}

START_TEST(who_needs_to_know_need_not_wait_for_the_interval)
{
    begin(1000000);
    loop_drive_until(tiny.loop, is_up);
    loop_drive_until(tiny.loop, is_rust);
    upstream_health_set_times(health, 3600000000, 1000000);
    loop_drive_for(tiny.loop, 20000);
    tiny_chroma_route(heartbeat)->asked = 1;
    upstream_health_ask(health);
    loop_drive_until(tiny.loop, is_asked_twice);
    upstream_health_hold(health, true);
    upstream_health_ask(health);
    loop_drive_for(tiny.loop, 20000);
    ck_assert_uint_eq(tiny_chroma_asked(heartbeat), 2);
}
END_TEST

START_TEST(no_answer_in_time_is_a_failure)
{
    begin(20000);
    loop_drive_until(tiny.loop, is_up);
    tiny_chroma_answer(heartbeat, 0, "");
    loop_drive_until(tiny.loop, is_down);
    ck_assert_str_ne(upstream_health_problem(health), "");
}
END_TEST

static bool is_blocked_twice(void)
{
    look();
    return upstream_health_stats(health)->blocked >= 2;
}

START_TEST(checks_that_find_no_place_are_a_failure_the_third_time)
{
    for (int i = 0; i < 4; i++)
        ck_assert(upstream_pool_take_place(tiny.pool));
    begin(5000);
    loop_drive_until(tiny.loop, is_blocked_twice);
    ck_assert_uint_eq(upstream_health_stats(health)->failures, 0);
    loop_drive_until(tiny.loop, is_down);
    ck_assert_ptr_nonnull(strstr(upstream_health_problem(health), "3 health checks in a row"));
    ck_assert_uint_eq(tiny.backend.count, 0);
    for (int i = 0; i < 4; i++)
        upstream_pool_give_place(tiny.pool);
    loop_drive_until(tiny.loop, is_up);
}
END_TEST

static bool has_no_problem(void)
{
    look();
    return upstream_pool_problem(tiny.pool)[0] == '\0';
}

START_TEST(what_requests_met_counts_until_a_later_connection_succeeds)
{
    const char *reason;
    uint64_t    before_us;
    size_t      connections;

    begin(1000000);
    loop_drive_until(tiny.loop, is_rust);
    before_us = loop_now_us(tiny.loop);
    loop_drive_for(tiny.loop, 1000);
    upstream_pool_set_problem(tiny.pool, NULL, "connection refused");
    ck_assert(!upstream_health_is_up(health, &reason));
    ck_assert_str_eq(reason, "connection refused");
    ck_assert_uint_eq(upstream_health_stats(health)->up, 0);
    upstream_pool_clear_problem(tiny.pool, before_us); /* a check that began before */
    ck_assert(!upstream_health_is_up(health, &reason));
    connections = tiny.backend.count;
    loop_drive_until(tiny.loop, has_no_problem); /* a connection of its own */
    ck_assert_uint_gt(tiny.backend.count, connections);
    ck_assert(upstream_health_is_up(health, &reason));
}
END_TEST

/* The connection that carries the heartbeat is the one that is kept: set up later it would say that
 * Chroma may be another one, and what it is would have to be asked again. */
START_TEST(after_a_start_that_requests_have_met_it_asks_once_what_it_is)
{
    upstream_pool_set_problem(tiny.pool, NULL, "connection refused");
    begin(1000000);
    loop_drive_until(tiny.loop, is_rust);
    ck_assert_uint_eq(tiny_chroma_asked(version), 1);
}
END_TEST

START_TEST(while_held_nothing_is_asked_and_afterwards_it_asks_at_once)
{
    uint64_t checks;

    begin(1000000);
    loop_drive_until(tiny.loop, is_rust);
    changes = 0;
    upstream_health_hold(health, true);
    look();
    ck_assert_int_eq(upstream_health_state(health), UPSTREAM_HEALTH_UNKNOWN);
    ck_assert_int_eq(changes, 1);
    checks = upstream_health_stats(health)->checks;
    loop_drive_for(tiny.loop, 12000);
    ck_assert_uint_eq(upstream_health_stats(health)->checks, checks);
    upstream_health_hold(health, false);
    loop_drive_until(tiny.loop, is_up);
}
END_TEST

START_TEST(held_while_it_asks_it_forgets_the_question)
{
    tiny_chroma_answer(heartbeat, 0, "");
    begin(1000000);
    loop_drive_for(tiny.loop, 3000);
    upstream_health_hold(health, true);
    tiny_chroma_answer(heartbeat, 200, "{}");
    loop_drive_for(tiny.loop, 5000);
    ck_assert_int_eq(upstream_health_state(health), UPSTREAM_HEALTH_UNKNOWN);
}
END_TEST

START_TEST(it_may_be_freed_while_it_asks)
{
    tiny_chroma_answer(heartbeat, 0, "");
    begin(1000000);
    loop_drive_for(tiny.loop, 3000);
    upstream_health_free(health);
    health = NULL;
    loop_drive_for(tiny.loop, 2000);
    ck_assert_int_eq(changes, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("upstream_health");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_is_up_after_one_answer_and_asks_what_it_is);
    tcase_add_test(tcase, nobody_there_is_down_with_a_reason);
    tcase_add_loop_test(tcase, an_answer_below_500_is_a_life_sign, 0, COUNT_OF(codes));
    tcase_add_test(tcase, it_goes_down_after_two_failures_and_comes_up_again);
    tcase_add_test(tcase, each_heartbeat_is_told_as_it_is);
    tcase_add_test(tcase, who_needs_to_know_need_not_wait_for_the_interval);
    tcase_add_test(tcase, no_answer_in_time_is_a_failure);
    tcase_add_test(tcase, checks_that_find_no_place_are_a_failure_the_third_time);
    tcase_add_test(tcase, what_requests_met_counts_until_a_later_connection_succeeds);
    tcase_add_test(tcase, after_a_start_that_requests_have_met_it_asks_once_what_it_is);
    tcase_add_test(tcase, while_held_nothing_is_asked_and_afterwards_it_asks_at_once);
    tcase_add_test(tcase, held_while_it_asks_it_forgets_the_question);
    tcase_add_test(tcase, it_may_be_freed_while_it_asks);
    return check_main("upstream_health", tcase);
}
