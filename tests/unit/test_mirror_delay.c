/* What must hold: the delay is near the 95th percentile, follows it, and stays within its bounds.
 */
#include "base/rng.h"
#include "proxy/mirror_delay.h"
#include "support/check_main.h"

/* Times that are even between 0 and `most_us`, and of `slow` in 1000 that. */
static void note_many(struct mirror_delay *delay, struct rng *rng, size_t count, uint64_t most_us,
                      unsigned slow, uint64_t slow_us)
{
    for (size_t i = 0; i < count; i++)
        mirror_delay_note(delay, rng_below(rng, 1000) < slow ? slow_us : rng_below(rng, most_us));
}

START_TEST(it_is_the_most_before_enough_is_known)
{
    struct mirror_delay delay = {0};

    for (size_t i = 0; i < MIRROR_DELAY_COUNT_MIN; i++) {
        ck_assert_uint_eq(mirror_delay_us(&delay), MIRROR_DELAY_MAX_US);
        mirror_delay_note(&delay, 5000);
    }
    ck_assert_uint_lt(mirror_delay_us(&delay), 10000);
}
END_TEST

START_TEST(it_is_near_the_95th_percentile)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct mirror_delay delay = {0};
        struct rng          rng;
        double              sum = 0;

        rng_init(&rng, seed);
        note_many(&delay, &rng, 500, 100000, 0, 0);
        for (size_t i = 0; i < 500; i++) {
            note_many(&delay, &rng, 1, 100000, 0, 0);
            sum += (double)mirror_delay_us(&delay);
        }
        ck_assert_double_ge(sum / 500, 85000);
        ck_assert_double_le(sum / 500, 105000);
    }
}
END_TEST

/* Two of a hundred stall for a second: the delay is that of the others. */
START_TEST(few_that_stall_do_not_move_it_far)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct mirror_delay delay = {0};
        struct rng          rng;

        rng_init(&rng, seed);
        note_many(&delay, &rng, 2000, 20000, 20, 1000000);
        ck_assert_uint_ge(mirror_delay_us(&delay), 14000);
        ck_assert_uint_le(mirror_delay_us(&delay), 40000);
    }
}
END_TEST

START_TEST(it_follows_and_stays_within_bounds)
{
    struct mirror_delay delay = {0};
    struct rng          rng;

    rng_init(&rng, 1);
    note_many(&delay, &rng, 1000, 20000, 0, 0);
    note_many(&delay, &rng, 1000, 1, 1000, 60000000);
    ck_assert_uint_eq(mirror_delay_us(&delay), MIRROR_DELAY_MAX_US);
    note_many(&delay, &rng, 3000, 1, 0, 0);
    ck_assert_uint_eq(mirror_delay_us(&delay), MIRROR_DELAY_MIN_US);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_delay");

    tcase_add_test(tcase, it_is_the_most_before_enough_is_known);
    tcase_add_test(tcase, it_is_near_the_95th_percentile);
    tcase_add_test(tcase, few_that_stall_do_not_move_it_far);
    tcase_add_test(tcase, it_follows_and_stays_within_bounds);
    return check_main("mirror_delay", tcase);
}
