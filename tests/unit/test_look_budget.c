/* What must hold: of a steady stream so much is looked at that it costs a byte in four
 * microseconds, each size as often as it comes; a quiet time saves no more than the bound; small
 * bodies are free and large ones never looked at. */
#include "base/rng.h"
#include "calls/look_budget.h"
#include "support/check_main.h"

static struct look_budget budget;
static uint64_t           now_us;

static void setup(void)
{
    budget = (struct look_budget){0};
    now_us = 2000000;
}

START_TEST(small_bodies_are_free_and_large_ones_never_looked_at)
{
    while (look_budget_take(&budget, 8192, now_us))
        continue;
    for (int i = 0; i < 1000; i++) {
        ck_assert(look_budget_take(&budget, LOOK_BUDGET_FREE_SIZE, now_us));
        ck_assert(!look_budget_take(&budget, LOOK_BUDGET_FREE_SIZE + 1, now_us));
    }
    now_us += 1000000000;
    ck_assert(!look_budget_take(&budget, LOOK_BUDGET_SIZE_MAX + 1, now_us));
    ck_assert(look_budget_take(&budget, LOOK_BUDGET_SIZE_MAX, now_us));
}
END_TEST

START_TEST(a_quiet_time_saves_no_more_than_the_bound)
{
    unsigned taken = 0;

    now_us += 3600000000;
    while (look_budget_take(&budget, 8192, now_us))
        taken++;
    ck_assert_uint_eq(taken, LOOK_BUDGET_CREDIT_MAX / 8192);
}
END_TEST

START_TEST(what_all_looks_cost_is_bounded_whatever_comes)
{
    uint64_t begun_us = now_us, bytes = 0;

    while (now_us < begun_us + 10000000) {
        for (size_t size = 300; size <= LOOK_BUDGET_SIZE_MAX; size *= 2)
            bytes += look_budget_take(&budget, size, now_us) ? size : 0;
        now_us += 99;
    }
    ck_assert_uint_le(bytes, 10000000 / 4 + LOOK_BUDGET_CREDIT_MAX + LOOK_BUDGET_SIZE_MAX);
    ck_assert_uint_ge(bytes, 10000000 / 4);
}
END_TEST

START_TEST(no_time_is_lost_between_two_that_follow_closely)
{
    unsigned taken = 0;

    while (look_budget_take(&budget, 8192, now_us))
        continue;
    for (int i = 0; i < 1000000; i++) {
        now_us += 3;
        taken += look_budget_take(&budget, 8192, now_us);
    }
    ck_assert_uint_ge(taken, 3000000 / 4 / 8192);
    ck_assert_uint_le(taken, 3000000 / 4 / 8192 + 1);
}
END_TEST

START_TEST(large_and_small_ones_are_looked_at_alike)
{
    struct rng rng;
    unsigned   asked[2] = {0}, taken[2] = {0};

    rng_init(&rng, 1);
    for (int i = 0; i < 1000000; i++) {
        unsigned is_large = rng_below(&rng, 2) == 0;

        now_us += rng_below(&rng, 1000);
        asked[is_large]++;
        taken[is_large] += look_budget_take(&budget, is_large ? 32768 : 2048, now_us);
    }
    ck_assert_uint_gt(taken[1], 3000);
    ck_assert_uint_lt(taken[1], asked[1] / 10);
    ck_assert_double_lt((double)taken[1] / asked[1], 1.05 * taken[0] / asked[0]);
    ck_assert_double_gt((double)taken[1] / asked[1], 0.95 * taken[0] / asked[0]);
}
END_TEST

START_TEST(a_few_requests_are_all_looked_at)
{
    for (int i = 0; i < 1000; i++) {
        now_us += 33000;
        ck_assert(look_budget_take(&budget, 8192, now_us));
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("look_budget");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, small_bodies_are_free_and_large_ones_never_looked_at);
    tcase_add_test(tcase, a_quiet_time_saves_no_more_than_the_bound);
    tcase_add_test(tcase, what_all_looks_cost_is_bounded_whatever_comes);
    tcase_add_test(tcase, no_time_is_lost_between_two_that_follow_closely);
    tcase_add_test(tcase, large_and_small_ones_are_looked_at_alike);
    tcase_add_test(tcase, a_few_requests_are_all_looked_at);
    return check_main("look_budget", tcase);
}
