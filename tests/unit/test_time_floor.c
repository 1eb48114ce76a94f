/* What must hold: it is the least of the last one to three minutes, never more than what a call has
 * shown to be enough, and it rises again when calls become slower. */
#include "base/rng.h"
#include "limits/time_floor.h"
#include "support/check_main.h"
#include "support/sim_seeds.h"

#define SECOND UINT64_C(1000000)

static void note_many(struct time_floor *floor, uint64_t took_us, uint64_t now_us)
{
    for (int i = 0; i < TIME_FLOOR_CALLS; i++)
        time_floor_note(floor, took_us, now_us);
}

START_TEST(nothing_is_known_before_a_call_and_long_after)
{
    struct time_floor floor = {0};

    ck_assert_uint_eq(time_floor_get(&floor, 1000 * SECOND), 0);
    note_many(&floor, 5000, 1000 * SECOND);
    ck_assert_uint_eq(time_floor_get(&floor, 1000 * SECOND), 5000);
    ck_assert_uint_eq(time_floor_get(&floor, 1119 * SECOND), 5000);
    ck_assert_uint_eq(time_floor_get(&floor, 1120 * SECOND), 0);
    note_many(&floor, 9000, 1500 * SECOND);
    ck_assert_uint_eq(time_floor_get(&floor, 1500 * SECOND), 9000);
}
END_TEST

/* The first one may have met a cold Chroma. */
START_TEST(few_calls_say_nothing)
{
    struct time_floor floor = {0};

    for (uint32_t i = 1; i < TIME_FLOOR_CALLS; i++) {
        time_floor_note(&floor, 3000000, (1000 + i) * SECOND);
        ck_assert_uint_eq(time_floor_get(&floor, (1000 + i) * SECOND), 0);
    }
    time_floor_note(&floor, 4000000, 1070 * SECOND); /* another span */
    ck_assert_uint_eq(time_floor_get(&floor, 1070 * SECOND), 3000000);
    time_floor_note(&floor, 4000000, 1140 * SECOND); /* with the one call before it */
    ck_assert_uint_eq(time_floor_get(&floor, 1140 * SECOND), 0);
}
END_TEST

START_TEST(it_follows_calls_that_become_slower)
{
    struct time_floor floor = {0};

    for (uint64_t s = 1000; s < 1100; s++)
        time_floor_note(&floor, 2000, s * SECOND);
    for (uint64_t s = 1100; s < 1240; s++) {
        time_floor_note(&floor, 7000, s * SECOND);
        ck_assert_uint_eq(time_floor_get(&floor, s * SECOND), s < 1180 ? 2000 : 7000);
    }
    time_floor_note(&floor, 0, 1240 * SECOND);
    ck_assert_uint_eq(time_floor_get(&floor, 1240 * SECOND), 1);
}
END_TEST

/* Against all calls of the last one and three minutes. */
static void simulate(uint64_t seed)
{
    static uint64_t   at_us[4000], took_us[4000];
    struct time_floor floor = {0};
    struct rng        rng;
    uint64_t          now_us = 1000 * SECOND;

    rng_init(&rng, seed);
    for (size_t i = 0; i < sizeof at_us / sizeof *at_us; i++) {
        uint64_t least_of_one = UINT64_MAX, least_of_three = UINT64_MAX, found;

        now_us += rng_below(&rng, 1 + rng_below(&rng, 5 * SECOND));
        at_us[i] = now_us;
        took_us[i] = 1 + rng_below(&rng, 1000000);
        time_floor_note(&floor, took_us[i], now_us);
        found = time_floor_get(&floor, now_us);
        for (size_t j = i + 1; j-- > 0 && now_us - at_us[j] < 180 * SECOND;) {
            if (took_us[j] < least_of_three)
                least_of_three = took_us[j];
            if (took_us[j] < least_of_one && now_us - at_us[j] < 60 * SECOND)
                least_of_one = took_us[j];
        }
        SIM_CHECK(seed, found <= least_of_one);
        SIM_CHECK(seed, found == 0 || found >= least_of_three);
    }
}

START_TEST(it_is_never_more_than_what_was_enough_within_a_minute)
{
    struct sim_seeds seeds = sim_seeds_get(20);

    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        simulate(seed);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("time_floor");

    tcase_add_test(tcase, nothing_is_known_before_a_call_and_long_after);
    tcase_add_test(tcase, few_calls_say_nothing);
    tcase_add_test(tcase, it_follows_calls_that_become_slower);
    tcase_add_test(tcase, it_is_never_more_than_what_was_enough_within_a_minute);
    return check_main("time_floor", tcase);
}
