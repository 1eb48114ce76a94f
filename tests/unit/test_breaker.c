/* What must hold: it opens on failures and on nothing else, comes back soon after Chroma does, and
 * bothers a Chroma that is down less and less. */
#include "base/rng.h"
#include "limits/breaker.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define SECOND UINT64_C(1000000)

static struct breaker breaker;
static struct rng     rng;
static uint64_t       now_us;

static void setup(void)
{
    breaker = (struct breaker){0};
    rng_init(&rng, 1);
    now_us = 1000 * SECOND;
}

static bool report(enum breaker_outcome outcome)
{
    return breaker_report(&breaker, outcome, now_us, now_us, &rng);
}

static void report_many(int count, enum breaker_outcome outcome)
{
    while (count-- > 0)
        report(outcome);
}

START_TEST(five_connect_failures_in_a_row_open_it)
{
    report_many(4, BREAKER_CONNECT_FAILURE);
    report(BREAKER_SUCCESS);
    report_many(4, BREAKER_CONNECT_FAILURE);
    ck_assert(breaker_pass(&breaker));
    report(BREAKER_CONNECT_FAILURE);
    ck_assert(!breaker_pass(&breaker));
    ck_assert_uint_eq(breaker.opened, 1);
}
END_TEST

START_TEST(half_of_twenty_calls_open_it)
{
    report_many(19, BREAKER_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
    report(BREAKER_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
}
END_TEST

START_TEST(less_than_half_does_not)
{
    for (int i = 0; i < 1000; i++) {
        report_many(11, BREAKER_SUCCESS);
        report_many(9, BREAKER_FAILURE);
        now_us += SECOND / 10;
    }
    ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
}
END_TEST

START_TEST(old_calls_do_not_count)
{
    report_many(19, BREAKER_FAILURE);
    now_us += 10 * SECOND;
    report_many(19, BREAKER_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
    now_us += 9 * SECOND;
    report(BREAKER_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
}
END_TEST

static void open_it(void)
{
    report_many(5, BREAKER_CONNECT_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
}

START_TEST(an_answered_heartbeat_lets_three_try_one_by_one_and_they_close_it)
{
    open_it();
    ck_assert(now_us < breaker.next_us);
    now_us += 2 * SECOND;
    ck_assert(now_us >= breaker.next_us);
    breaker_heartbeat(&breaker, true, now_us, &rng);
    ck_assert(breaker_pass(&breaker));
    ck_assert(!breaker_pass(&breaker));
    ck_assert(!report(BREAKER_NOTHING)); /* its client left: another one may try */
    for (int i = 0; i < 3; i++) {
        ck_assert(breaker_may_pass(&breaker));
        ck_assert(breaker_pass(&breaker));
        ck_assert(!breaker_may_pass(&breaker));
        ck_assert(!breaker_pass(&breaker));
        ck_assert(report(BREAKER_SUCCESS) == (i == 2));
    }
    ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
}
END_TEST

/* Where nobody is held back, all calls that begin afterwards are tries. */
START_TEST(calls_that_never_asked_close_it_as_well)
{
    open_it();
    breaker_heartbeat(&breaker, true, now_us, &rng);
    ck_assert(!report(BREAKER_SUCCESS));
    ck_assert(!report(BREAKER_NOTHING));
    ck_assert(!report(BREAKER_SUCCESS));
    ck_assert(report(BREAKER_SUCCESS));
}
END_TEST

START_TEST(it_says_why_it_opened)
{
    open_it();
    ck_assert_uint_eq(breaker.cause_calls, 0);
    setup();
    report_many(12, BREAKER_SUCCESS);
    report_many(12, BREAKER_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
    ck_assert_uint_eq(breaker.cause_calls, 24);
    ck_assert_uint_eq(breaker.cause_failures, 12);
    breaker_heartbeat(&breaker, true, now_us, &rng);
    report(BREAKER_FAILURE); /* the first cause stays */
    ck_assert_uint_eq(breaker.cause_calls, 24);
}
END_TEST

START_TEST(what_was_counted_of_another_chroma_is_void)
{
    report_many(19, BREAKER_FAILURE);
    ck_assert(breaker_has_failures(&breaker, now_us));
    breaker_forget(&breaker);
    ck_assert(!breaker_has_failures(&breaker, now_us));
    report_many(19, BREAKER_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_CLOSED);
    ck_assert(!breaker_has_failures(&breaker, now_us + 10 * SECOND));
    report(BREAKER_FAILURE);
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
    breaker_forget(&breaker);
    ck_assert_int_eq(breaker.state, BREAKER_OPEN);
}
END_TEST

START_TEST(a_try_that_fails_opens_it_for_longer)
{
    uint64_t last_us = 0;

    open_it();
    for (int i = 0; i < 8; i++) {
        uint64_t wait_us = breaker.next_us - now_us;

        ck_assert_uint_le(wait_us, 36 * SECOND);
        ck_assert(wait_us > last_us || wait_us >= 24 * SECOND);
        last_us = wait_us;
        now_us = breaker.next_us;
        breaker_heartbeat(&breaker, true, now_us, &rng);
        ck_assert(breaker_pass(&breaker));
        ck_assert(!report(BREAKER_FAILURE));
        ck_assert_int_eq(breaker.state, BREAKER_OPEN);
    }
}
END_TEST

START_TEST(a_heartbeat_without_an_answer_keeps_it_open)
{
    open_it();
    breaker_heartbeat(&breaker, false, now_us, &rng); /* not the one it asked for */
    ck_assert_uint_le(breaker.next_us - now_us, 12 * SECOND / 10);
    now_us = breaker.next_us;
    breaker_heartbeat(&breaker, false, now_us, &rng);
    ck_assert_uint_ge(breaker.next_us - now_us, 16 * SECOND / 10);
}
END_TEST

START_TEST(outcomes_of_calls_from_before_say_nothing)
{
    open_it();
    breaker_heartbeat(&breaker, true, now_us + SECOND, &rng);
    ck_assert(breaker_pass(&breaker));
    breaker_report(&breaker, BREAKER_FAILURE, now_us, now_us + 2 * SECOND, &rng);
    ck_assert_int_eq(breaker.state, BREAKER_TRYING);
}
END_TEST

/* Chroma is down for a random while: calls that pass meanwhile are few, and after it comes back all
 * pass within the longest wait. */
static void simulate(uint64_t seed)
{
    uint64_t down_us, end_us, passed = 0, closed_us = 0;

    setup();
    rng_init(&rng, seed);
    down_us = now_us;
    end_us = now_us + rng_below(&rng, 120 * SECOND);
    for (; now_us < end_us + 60 * SECOND; now_us += SECOND / 100) {
        bool is_down = now_us >= down_us && now_us < end_us;

        if (breaker.state == BREAKER_OPEN && now_us >= breaker.next_us)
            breaker_heartbeat(&breaker, !is_down || rng_below(&rng, 4) == 0, now_us, &rng);
        if (breaker_pass(&breaker)) {
            passed += is_down;
            report(is_down ? BREAKER_FAILURE : BREAKER_SUCCESS);
        }
        if (now_us >= end_us && closed_us == 0 && breaker.state == BREAKER_CLOSED)
            closed_us = now_us;
    }
    SIM_CHECK(seed, passed <= 20 + 120);
    SIM_CHECK(seed, closed_us != 0 && closed_us - end_us <= 37 * SECOND);
}

START_TEST(it_spares_a_chroma_that_is_down_and_comes_back)
{
    struct sim_seeds seeds = sim_seeds_get(100);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("breaker");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, five_connect_failures_in_a_row_open_it);
    tcase_add_test(tcase, half_of_twenty_calls_open_it);
    tcase_add_test(tcase, less_than_half_does_not);
    tcase_add_test(tcase, old_calls_do_not_count);
    tcase_add_test(tcase, an_answered_heartbeat_lets_three_try_one_by_one_and_they_close_it);
    tcase_add_test(tcase, calls_that_never_asked_close_it_as_well);
    tcase_add_test(tcase, it_says_why_it_opened);
    tcase_add_test(tcase, what_was_counted_of_another_chroma_is_void);
    tcase_add_test(tcase, a_try_that_fails_opens_it_for_longer);
    tcase_add_test(tcase, a_heartbeat_without_an_answer_keeps_it_open);
    tcase_add_test(tcase, outcomes_of_calls_from_before_say_nothing);
    tcase_add_test(tcase, it_spares_a_chroma_that_is_down_and_comes_back);
    return check_main("breaker", tcase);
}
