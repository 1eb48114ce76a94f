/* What must hold: both clocks count microseconds, the monotonic one never back. */
#include <time.h>

#include "io/clock.h"
#include "support/check_main.h"

START_TEST(the_monotonic_clock_never_goes_back)
{
    uint64_t before_us = clock_now_us();

    for (int i = 0; i < 10000; i++) {
        uint64_t now_us = clock_now_us();

        ck_assert_uint_ge(now_us, before_us);
        before_us = now_us;
    }
}
END_TEST

START_TEST(the_monotonic_clock_counts_microseconds)
{
    struct timespec now;
    uint64_t        before_us = clock_now_us(), us;

    clock_gettime(CLOCK_MONOTONIC, &now);
    us = (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
    ck_assert_uint_ge(us, before_us);
    ck_assert_uint_le(us, clock_now_us());
}
END_TEST

START_TEST(the_wall_clock_counts_microseconds_since_1970)
{
    uint64_t before_s = (uint64_t)time(NULL);
    uint64_t wall_us = clock_wall_us();

    /* time() may lag the clock by a tick. */
    ck_assert_uint_ge(wall_us / 1000000u, before_s);
    ck_assert_uint_le(wall_us / 1000000u, (uint64_t)time(NULL) + 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("clock");

    tcase_add_test(tcase, the_monotonic_clock_never_goes_back);
    tcase_add_test(tcase, the_monotonic_clock_counts_microseconds);
    tcase_add_test(tcase, the_wall_clock_counts_microseconds_since_1970);
    return check_main("clock", tcase);
}
