/* What must hold: seconds and dates are read, and nothing else is. */
#include "http/http_retry_after.h"
#include "support/check_main.h"

static const uint64_t now_us = 784111777999999; /* Sun, 06 Nov 1994 08:49:37 GMT */

static const struct {
    const char *value;
    uint64_t    wait_us;
} cases[] = {
    {"0", 0},
    {"1", 1000000},
    {"120", 120000000},
    {"999999999", 999999999000000},
    {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
    {"Sun, 06 Nov 1994 08:50:07 GMT", 30000000},
    {"Sun, 06 Nov 1994 08:00:00 GMT", 0},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
};

static const char *const bad[] = {"",
                                  "-1",
                                  "1.5",
                                  "1s",
                                  "0x10",
                                  "1000000000",
                                  "soon",
                                  "Sun, 06 Nov 1994 08:49:37 CET",
                                  "Sun, 06 Nov 1994 08:49:37 GMT ",
                                  "Sunday, 06-Nov-94 08:49:37 GMT",
                                  "Sun, 99 Nov 1994 08:49:37 GMT",
                                  "Sun, 6 Nov 1994 08:49:37 GMTs"};

START_TEST(a_time_to_wait_is_read)
{
    uint64_t wait_us = UINT64_MAX;

    ck_assert(http_retry_after_parse(bytes_of(cases[_i].value), now_us, &wait_us));
    ck_assert_uint_eq(wait_us, cases[_i].wait_us);
}
END_TEST

START_TEST(all_else_is_none)
{
    uint64_t wait_us = 7;

    ck_assert(!http_retry_after_parse(bytes_of(bad[_i]), now_us, &wait_us));
    ck_assert_uint_eq(wait_us, 7);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_retry_after");

    tcase_add_loop_test(tcase, a_time_to_wait_is_read, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(tcase, all_else_is_none, 0, sizeof bad / sizeof *bad);
    return check_main("http_retry_after", tcase);
}
