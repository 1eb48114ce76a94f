/* What must hold: the date is in IMF-fixdate (RFC 9110 section 5.6.7), and follows the clock. */
#include "http/http_date.h"
#include "support/check_main.h"

static const struct {
    uint64_t    second;
    const char *text;
} cases[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 GMT"},          {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
    {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},  {1735689599, "Tue, 31 Dec 2024 23:59:59 GMT"},
    {4102444800, "Fri, 01 Jan 2100 00:00:00 GMT"}, {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
};

START_TEST(a_date_is_written_as_http_has_it)
{
    struct http_date cache = {.second = 0};
    struct bytes     text = http_date_text(&cache, cases[_i].second * 1000000u + 999999);

    ck_assert(bytes_equal(text, bytes_of(cases[_i].text)));
}
END_TEST

START_TEST(the_text_is_made_once_a_second)
{
    struct http_date cache = {.second = 0};

    http_date_text(&cache, 784111777000000);
    cache.text[0] = 'X';
    ck_assert_int_eq(http_date_text(&cache, 784111777999999).data[0], 'X');
    ck_assert(bytes_equal(http_date_text(&cache, 784111778000000),
                          BYTES_LITERAL("Sun, 06 Nov 1994 08:49:38 GMT")));
    /* A clock that was set back. */
    ck_assert(bytes_equal(http_date_text(&cache, 784111777000000),
                          BYTES_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT")));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_date");

    tcase_add_loop_test(tcase, a_date_is_written_as_http_has_it, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tcase, the_text_is_made_once_a_second);
    return check_main("http_date", tcase);
}
