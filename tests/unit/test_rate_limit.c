/* What must hold: never more than burst + rate * time, never much less for who always asks, whole
 * nanoseconds without drift, and what waiting as told promises is kept. */
#include "base/rng.h"
#include "limits/rate_limit.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define SECOND UINT64_C(1000000)

static struct rate_limit limit;
static uint64_t          now_us, wait_us;

static void set(uint64_t rate, uint64_t burst, enum rate_limit_over over, uint64_t delay_max_us)
{
    struct rate_limit_options options = {
        .rate = rate, .burst = burst, .over = over, .delay_max_us = delay_max_us};

    rate_limit_set_options(&limit, &options, now_us);
}

static void setup(void)
{
    limit = (struct rate_limit){0};
    now_us = 1000 * SECOND;
}

#define CK_TAKE(cost, expected, expected_wait_us)                                                  \
    do {                                                                                           \
        ck_assert_int_eq(rate_limit_take(&limit, cost, now_us, &wait_us), expected);               \
        ck_assert_uint_eq(wait_us, expected_wait_us);                                              \
    } while (0)

START_TEST(without_a_rate_there_is_no_limit)
{
    CK_TAKE(UINT64_MAX, STATUS_OK, 0);
    rate_limit_settle(&limit, 0, UINT64_MAX, now_us);
    ck_assert_uint_eq(rate_limit_remaining(&limit, now_us), UINT64_MAX);
}
END_TEST

START_TEST(a_burst_passes_and_then_the_rate)
{
    set(10, 3, RATE_LIMIT_REFUSE, 0);
    for (int i = 0; i < 3; i++)
        CK_TAKE(1, STATUS_OK, 0);
    CK_TAKE(1, STATUS_LIMIT_REACHED, SECOND / 10);
    now_us += SECOND / 10 - 1;
    CK_TAKE(1, STATUS_LIMIT_REACHED, 1);
    now_us++;
    CK_TAKE(1, STATUS_OK, 0);
    ck_assert_uint_eq(limit.refused, 2);
    ck_assert_uint_eq(limit.passed, 4);
}
END_TEST

/* Nor by a change of what does not concern it. */
START_TEST(options_that_are_set_again_give_nothing)
{
    set(5, 5, RATE_LIMIT_REFUSE, 0);
    for (int i = 0; i < 5; i++)
        CK_TAKE(1, STATUS_OK, 0);
    for (int i = 0; i < 30; i++) {
        now_us += SECOND / 1000;
        set(5, 5, RATE_LIMIT_REFUSE, 0);
    }
    CK_TAKE(1, STATUS_LIMIT_REACHED, SECOND / 5 - 30 * SECOND / 1000);
    set(3, 5, RATE_LIMIT_REFUSE, 0); /* 4.85 of 5 are used */
    CK_TAKE(1, STATUS_LIMIT_REACHED, 283334);
}
END_TEST

START_TEST(no_more_than_the_burst_is_saved_up)
{
    set(10, 3, RATE_LIMIT_REFUSE, 0);
    now_us += 3600 * SECOND;
    for (int i = 0; i < 3; i++)
        CK_TAKE(1, STATUS_OK, 0);
    CK_TAKE(1, STATUS_LIMIT_REACHED, SECOND / 10);
}
END_TEST

START_TEST(parts_of_a_second_count)
{
    set(3, 1, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(1, STATUS_OK, 0);
    CK_TAKE(1, STATUS_LIMIT_REACHED, 333334);
    now_us += 333333;
    CK_TAKE(1, STATUS_LIMIT_REACHED, 1);
}
END_TEST

START_TEST(what_takes_less_than_a_nanosecond_still_counts)
{
    set(UINT64_C(3000000000), 1, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(1, STATUS_OK, 0);
    CK_TAKE(1, STATUS_LIMIT_REACHED, 1);
}
END_TEST

START_TEST(what_costs_more_than_the_burst_needs_a_full_bucket)
{
    set(10, 3, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(20, STATUS_OK, 0);
    CK_TAKE(1, STATUS_LIMIT_REACHED, 18 * SECOND / 10);
    CK_TAKE(20, STATUS_LIMIT_REACHED, 2 * SECOND);
    now_us += 2 * SECOND;
    CK_TAKE(20, STATUS_OK, 0);
}
END_TEST

START_TEST(delay_takes_what_will_be_there_in_time)
{
    set(10, 1, RATE_LIMIT_DELAY, SECOND / 4);
    CK_TAKE(1, STATUS_OK, 0);
    CK_TAKE(1, STATUS_AGAIN, SECOND / 10);
    CK_TAKE(1, STATUS_AGAIN, 2 * SECOND / 10);
    CK_TAKE(1, STATUS_LIMIT_REACHED, 3 * SECOND / 10);
    rate_limit_settle(&limit, 1, 0, now_us); /* a delayed one leaves */
    CK_TAKE(1, STATUS_AGAIN, 2 * SECOND / 10);
    ck_assert_uint_eq(limit.delayed, 3);
}
END_TEST

START_TEST(shadow_counts_what_would_have_been_refused)
{
    set(10, 1, RATE_LIMIT_SHADOW, 0);
    for (int i = 0; i < 5; i++)
        CK_TAKE(1, STATUS_OK, 0);
    ck_assert_uint_eq(limit.shadowed, 4);
    now_us += SECOND / 10;
    CK_TAKE(1, STATUS_OK, 0);
    ck_assert_uint_eq(limit.shadowed, 4); /* the shadowed ones took nothing */
}
END_TEST

START_TEST(what_it_really_cost_is_settled_and_the_debt_bounded)
{
    set(1000, 100, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(50, STATUS_OK, 0);
    rate_limit_settle(&limit, 50, 10, now_us);
    ck_assert_uint_eq(rate_limit_remaining(&limit, now_us), 90);
    rate_limit_settle(&limit, 10, 70, now_us);
    ck_assert_uint_eq(rate_limit_remaining(&limit, now_us), 30);
    rate_limit_settle(&limit, 0, UINT64_MAX, now_us);
    CK_TAKE(1, STATUS_LIMIT_REACHED, 101 * 1000); /* one burst owed */
}
END_TEST

START_TEST(where_all_is_owed_it_is_paid_off)
{
    struct rate_limit_options options = {.rate = 1000, .burst = 1000, .owes_all = true};

    rate_limit_set_options(&limit, &options, now_us);
    CK_TAKE(0, STATUS_OK, 0);
    rate_limit_settle(&limit, 0, 450000, now_us);
    CK_TAKE(1, STATUS_LIMIT_REACHED, 449001 * 1000);
    now_us += UINT64_C(449001) * 1000;
    CK_TAKE(1, STATUS_OK, 0);
    for (unsigned i = 0; i < 10; i++)
        rate_limit_settle(&limit, 0, UINT64_MAX, now_us);
    ck_assert_uint_eq(rate_limit_remaining(&limit, now_us), 0);
}
END_TEST

START_TEST(the_fields_say_what_is_left)
{
    set(50, 100, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(40, STATUS_OK, 0);
    ck_assert_uint_eq(rate_limit_remaining(&limit, now_us), 60);
    ck_assert_uint_eq(rate_limit_reset_s(&limit, now_us), 1);
    ck_assert_uint_eq(rate_limit_window_s(&limit), 2);
    CK_TAKE(60, STATUS_OK, 0);
    ck_assert_uint_eq(rate_limit_remaining(&limit, now_us), 0);
    ck_assert_uint_eq(rate_limit_reset_s(&limit, now_us), 2);
}
END_TEST

START_TEST(another_rate_keeps_what_was_used)
{
    set(10, 10, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(10, STATUS_OK, 0);
    set(100, 10, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(1, STATUS_LIMIT_REACHED, SECOND / 100);
    set(0, 0, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(1000, STATUS_OK, 0);
}
END_TEST

START_TEST(the_largest_numbers_do_not_wrap)
{
    set(1, UINT64_MAX, RATE_LIMIT_REFUSE, 0);
    CK_TAKE(UINT64_MAX, STATUS_OK, 0);
    ck_assert_int_eq(rate_limit_take(&limit, 1, now_us, &wait_us), STATUS_LIMIT_REACHED);
    set(RATE_LIMIT_RATE_MAX, 1, RATE_LIMIT_REFUSE, 0);
    now_us += SECOND;
    CK_TAKE(1, STATUS_OK, 0);
}
END_TEST

/* Random takers against the definition: in no span of time more than burst + rate * span, and a
 * refused one that comes back as told is let in. */
static void simulate(uint64_t seed)
{
    struct rng rng;
    uint64_t   rate, burst, taken = 0, begin_us, refused_at = 0, again_us = 0, cost;

    setup();
    rng_init(&rng, seed);
    rate = 1 + rng_below(&rng, UINT64_C(1) << rng_below(&rng, 30));
    burst = 1 + rng_below(&rng, UINT64_C(1) << rng_below(&rng, 20));
    set(rate, burst, RATE_LIMIT_REFUSE, 0);
    begin_us = now_us;
    for (int i = 0; i < 300; i++) {
        cost = 1 + rng_below(&rng, burst);
        if (again_us == 0)
            now_us += rng_below(&rng, 2 * SECOND * burst / rate + 2);
        else
            now_us = again_us;
        switch (rate_limit_take(&limit, again_us == 0 ? cost : refused_at, now_us, &wait_us)) {
        case STATUS_OK:
            taken += again_us == 0 ? cost : refused_at;
            again_us = 0;
            break;
        default:
            SIM_CHECK(seed, again_us == 0 && wait_us > 0);
            again_us = now_us + wait_us;
            refused_at = cost;
        }
        SIM_CHECK(seed, (double)taken <=
                            (double)burst + (double)rate * (double)(now_us - begin_us) / 1e6 + 1);
    }
}

START_TEST(random_takers_get_the_rate_and_no_more)
{
    struct sim_seeds seeds = sim_seeds_get(2000);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("rate_limit");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, without_a_rate_there_is_no_limit);
    tcase_add_test(tcase, a_burst_passes_and_then_the_rate);
    tcase_add_test(tcase, options_that_are_set_again_give_nothing);
    tcase_add_test(tcase, no_more_than_the_burst_is_saved_up);
    tcase_add_test(tcase, parts_of_a_second_count);
    tcase_add_test(tcase, what_takes_less_than_a_nanosecond_still_counts);
    tcase_add_test(tcase, what_costs_more_than_the_burst_needs_a_full_bucket);
    tcase_add_test(tcase, delay_takes_what_will_be_there_in_time);
    tcase_add_test(tcase, shadow_counts_what_would_have_been_refused);
    tcase_add_test(tcase, what_it_really_cost_is_settled_and_the_debt_bounded);
    tcase_add_test(tcase, where_all_is_owed_it_is_paid_off);
    tcase_add_test(tcase, the_fields_say_what_is_left);
    tcase_add_test(tcase, another_rate_keeps_what_was_used);
    tcase_add_test(tcase, the_largest_numbers_do_not_wrap);
    tcase_add_test(tcase, random_takers_get_the_rate_and_no_more);
    return check_main("rate_limit", tcase);
}
