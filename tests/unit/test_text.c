/* What must hold: a unit is required, overflow is noticed, what is printed can be read back, and
 * nothing unprintable reaches a terminal. */
#include "base/text.h"
#include "support/check_main.h"

static const struct {
    const char *text;
    bool        good;
    uint64_t    value;
} durations[] = {
    {"0s", true, 0},
    {"250ms", true, 250000},
    {"5s", true, 5000000},
    {"2m", true, 120000000},
    {"1h", true, 3600000000},
    {"7us", true, 7},
    {"", false, 0},
    {"5", false, 0},
    {"s", false, 0},
    {"-5s", false, 0},
    {" 5s", false, 0},
    {"5 s", false, 0},
    {"1.5s", false, 0},
    {"5S", false, 0},
    {"5sec", false, 0},
    {"18446744073709551615us", true, UINT64_MAX},
    {"18446744073709551616us", false, 0},
    {"18446744073709551615s", false, 0},
};

static const struct {
    uint64_t    value;
    const char *text;
} sizes[] = {
    {0, "0B"},
    {1, "1B"},
    {1023, "1023B"},
    {1024, "1KiB"},
    {64 << 20, "64MiB"},
    {(64 << 20) + 1024, "65537KiB"},
    {(uint64_t)3 << 30, "3GiB"},
    {UINT64_MAX, "18446744073709551615B"},
};

static const struct {
    const char *left, *right;
    unsigned    distance;
} spellings[] = {
    {"", "", 0},
    {"role", "role", 0},
    {"ROLE", "role", 0},
    {"roel", "role", 1},
    {"rle", "role", 1},
    {"role", "rule", 1},
    {"listen.adress", "listen.address", 1},
    {"abc", "xyz", 3},
    {"abc", "", 3},
    {"abcdef", "uvwxyz", 4},
};

START_TEST(durations_are_read_with_their_unit_only)
{
    uint64_t value = 0;

    ck_assert_int_eq(text_to_duration(bytes_of(durations[_i].text), &value), durations[_i].good);
    ck_assert_uint_eq(value, durations[_i].value);
}
END_TEST

START_TEST(sizes_are_printed_with_the_largest_unit_and_read_back)
{
    char     text[TEXT_NUMBER_SIZE];
    uint64_t value = 1;

    ck_assert_str_eq(text_of_size(sizes[_i].value, text), sizes[_i].text);
    ck_assert(text_to_size(bytes_of(text), &value));
    ck_assert_uint_eq(value, sizes[_i].value);
}
END_TEST

START_TEST(durations_are_printed_with_the_largest_unit)
{
    char text[TEXT_NUMBER_SIZE];

    ck_assert_str_eq(text_of_duration(0, text), "0s");
    ck_assert_str_eq(text_of_duration(90000000, text), "90s");
    ck_assert_str_eq(text_of_duration(120000000, text), "120s");
    ck_assert_str_eq(text_of_duration(1500, text), "1500us");
}
END_TEST

START_TEST(shares_are_printed_as_short_as_they_are_and_read_back)
{
    static const struct {
        const char *text;
        uint64_t    per_million;
    } shares[] = {{"0%", 0},         {"0.1%", 1000},    {"0.0001%", 1},       {"1%", 10000},
                  {"12.5%", 125000}, {"100%", 1000000}, {"99.9999%", 999999}, {"10%", 100000}};
    static const char *const none[] = {"",    "%",    "1",        "0.1",
                                       ".1%", "0.%",  "0.00001%", "-1%",
                                       "1 %", "1.x%", "0.1.1%",   "18446744073709519%"};
    char                     text[TEXT_NUMBER_SIZE];
    uint64_t                 value = 7;

    for (size_t i = 0; i < COUNT_OF(shares); i++) {
        ck_assert_str_eq(text_of_share(shares[i].per_million, text), shares[i].text);
        ck_assert(text_to_share(bytes_of(text), &value));
        ck_assert_uint_eq(value, shares[i].per_million);
    }
    ck_assert(text_to_share(bytes_of("0"), &value) && value == 0);
    ck_assert(text_to_share(bytes_of("0.10%"), &value) && value == 1000);
    for (size_t i = 0; i < COUNT_OF(none); i++)
        ck_assert_msg(!text_to_share(bytes_of(none[i]), &value), "%s", none[i]);
    ck_assert_uint_eq(value, 1000);
}
END_TEST

START_TEST(distance_counts_single_slips)
{
    ck_assert_uint_eq(text_distance(spellings[_i].left, spellings[_i].right, 4),
                      spellings[_i].distance);
    ck_assert_uint_eq(text_distance(spellings[_i].right, spellings[_i].left, 4),
                      spellings[_i].distance);
}
END_TEST

START_TEST(quoted_text_is_safe_on_a_terminal)
{
    char out[20];

    ck_assert_str_eq(text_quote(BYTES_LITERAL("plain"), out, sizeof out), "'plain'");
    ck_assert_str_eq(text_quote(BYTES_LITERAL("\x1b[1m\n"), out, sizeof out), "'?[1m?'");
    ck_assert_str_eq(text_quote(BYTES_LITERAL("\xc2\x9b!"), out, sizeof out), "'?"
                                                                              "?!'");
    ck_assert_str_eq(text_quote(BYTES_LITERAL("gr\xc3\xbc\xc3"), out, sizeof out), "'gr\xc3\xbc?'");
    ck_assert_str_eq(text_quote(BYTES_LITERAL("12345678901234567890"), out, sizeof out),
                     "'12345678901234...'");
    ck_assert_str_eq(text_quote(BYTES_LITERAL("1234567890123\xc3\xbcxx"), out, sizeof out),
                     "'1234567890123...'");
}
END_TEST

START_TEST(only_whole_valid_characters_are_let_through)
{
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\xf0\x9f\x98\x80")), 4);
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\xe4\xb8\xad")), 3);
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\xe4\xb8")), 0);
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\xed\xa0\x80")), 0);     /* a surrogate */
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\xc0\xaf")), 0);         /* overlong */
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\xe0\x80\xaf")), 0);     /* overlong */
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\xf4\x90\x80\x80")), 0); /* beyond U+10FFFF */
    ck_assert_uint_eq(text_character(BYTES_LITERAL("\x7f")), 0);
    ck_assert_uint_eq(text_character(BYTES_LITERAL("")), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("text");

    tcase_add_test(tcase, shares_are_printed_as_short_as_they_are_and_read_back);
    tcase_add_loop_test(tcase, durations_are_read_with_their_unit_only, 0, COUNT_OF(durations));
    tcase_add_loop_test(tcase, sizes_are_printed_with_the_largest_unit_and_read_back, 0,
                        COUNT_OF(sizes));
    tcase_add_test(tcase, durations_are_printed_with_the_largest_unit);
    tcase_add_loop_test(tcase, distance_counts_single_slips, 0, COUNT_OF(spellings));
    tcase_add_test(tcase, quoted_text_is_safe_on_a_terminal);
    tcase_add_test(tcase, only_whole_valid_characters_are_let_through);
    return check_main("text", tcase);
}
