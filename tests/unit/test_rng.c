/* What must hold: a seed gives one sequence, bounds are kept, and values spread evenly. */
#include "base/rng.h"

#include "support/check_main.h"

START_TEST(a_seed_gives_one_sequence)
{
    struct rng left, right, other;
    int        same = 0;

    rng_init(&left, 5);
    rng_init(&right, 5);
    rng_init(&other, 6);
    for (int i = 0; i < 100; i++) {
        uint64_t value = rng_next(&left);

        ck_assert_uint_eq(value, rng_next(&right));
        same += value == rng_next(&other);
    }
    ck_assert_int_eq(same, 0);
}
END_TEST

START_TEST(values_are_within_bounds_and_spread)
{
    struct rng rng;
    int        counts[10] = {0};
    double     sum = 0;

    rng_init(&rng, 7);
    for (int i = 0; i < 100000; i++) {
        double value = rng_double(&rng);

        counts[rng_below(&rng, 10)]++;
        ck_assert(value >= 0 && value < 1);
        sum += value;
    }
    for (int i = 0; i < 10; i++)
        ck_assert(counts[i] > 9500 && counts[i] < 10500);
    ck_assert(sum > 49500 && sum < 50500);
    ck_assert_uint_eq(rng_below(&rng, 1), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("rng");

    tcase_add_test(tcase, a_seed_gives_one_sequence);
    tcase_add_test(tcase, values_are_within_bounds_and_spread);
    return check_main("rng", tcase);
}
