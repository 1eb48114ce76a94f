/* What must hold: repeats are at most a tenth of the calls and one per second, in every window. */
#include "base/rng.h"
#include "limits/retry_budget.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define SECOND UINT64_C(1000000)

static struct retry_budget budget;
static uint64_t            now_us;

static void setup(void)
{
    budget = (struct retry_budget){0};
    now_us = 1000 * SECOND;
}

static int take_all(void)
{
    int count = 0;

    while (retry_budget_take(&budget, now_us))
        count++;
    return count;
}

START_TEST(a_quiet_proxy_may_repeat_ten_calls_in_ten_seconds)
{
    ck_assert_int_eq(take_all(), 10);
    now_us += 9 * SECOND;
    ck_assert_int_eq(take_all(), 0);
    now_us += SECOND;
    ck_assert_int_eq(take_all(), 10);
    ck_assert_uint_eq(budget.granted, 20);
    ck_assert_uint_eq(budget.refused, 3);
}
END_TEST

START_TEST(a_tenth_of_the_calls_of_the_last_ten_seconds)
{
    for (int i = 0; i < 1000; i++)
        retry_budget_count(&budget, now_us);
    now_us += 9 * SECOND;
    ck_assert_int_eq(take_all(), 110);
    now_us += SECOND;
    ck_assert_int_eq(take_all(), 0); /* the calls are too old, the repeats are not */
    now_us += 100 * SECOND;
    ck_assert_int_eq(take_all(), 10);
}
END_TEST

/* A backend that fails every call: what reaches it stays near what was asked. */
static void simulate(uint64_t seed)
{
    struct rng rng;
    uint64_t   calls = 0, sent = 0;

    setup();
    rng_init(&rng, seed);
    for (int i = 0; i < 3000; i++) {
        now_us += rng_below(&rng, 40000);
        calls++;
        sent++;
        retry_budget_count(&budget, now_us);
        for (int tries = 0; tries < 3 && retry_budget_take(&budget, now_us); tries++)
            sent++;
    }
    SIM_CHECK(seed, (double)sent <= 1.1 * (double)calls + (double)(now_us / SECOND - 1000) + 11);
}

START_TEST(three_tries_of_all_do_not_triple_the_load)
{
    struct sim_seeds seeds = sim_seeds_get(50);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("retry_budget");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_quiet_proxy_may_repeat_ten_calls_in_ten_seconds);
    tcase_add_test(tcase, a_tenth_of_the_calls_of_the_last_ten_seconds);
    tcase_add_test(tcase, three_tries_of_all_do_not_triple_the_load);
    return check_main("retry_budget", tcase);
}
