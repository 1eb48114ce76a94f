/* What must hold: the table has the characters that the RFCs name, and no others. */
#include "http/http_chars.h"
#include "support/check_main.h"

#define ALPHANUMERIC "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool is_one_of(int c, const char *characters)
{
    return c != '\0' && strchr(characters, c) != NULL;
}

START_TEST(classes_are_those_of_the_rfcs)
{
    for (int c = 0; c < 256; c++) {
        bool is_visible = c > 0x20 && c < 0x7f;

        ck_assert_int_eq(http_chars_is((char)c, HTTP_CHARS_TOKEN),
                         is_one_of(c, "!#$%&'*+-.^_`|~" ALPHANUMERIC));
        ck_assert_int_eq(http_chars_is((char)c, HTTP_CHARS_VALUE),
                         c == '\t' || c == ' ' || is_visible || c >= 0x80);
        ck_assert_int_eq(http_chars_is((char)c, HTTP_CHARS_TARGET), is_visible && c != '#');
        ck_assert_int_eq(http_chars_is((char)c, HTTP_CHARS_HOST),
                         is_one_of(c, "-._~!$&'()*+,;=%" ALPHANUMERIC));
    }
}
END_TEST

START_TEST(span_ends_before_the_first_other_character)
{
    ck_assert_uint_eq(http_chars_span(BYTES_LITERAL("ab c"), HTTP_CHARS_TOKEN), 2);
    ck_assert_uint_eq(http_chars_span(BYTES_LITERAL("ab c"), HTTP_CHARS_VALUE), 4);
    ck_assert_uint_eq(http_chars_span(BYTES_LITERAL(" "), HTTP_CHARS_TOKEN), 0);
    ck_assert_uint_eq(http_chars_span((struct bytes){0}, HTTP_CHARS_TOKEN), 0);
}
END_TEST

START_TEST(one_bad_character_anywhere_makes_a_bad_value)
{
    char text[40];

    for (size_t size = 0; size <= sizeof text; size++)
        for (size_t at = 0; at < size; at++)
            for (int c = 0; c < 256; c++) {
                memset(text, at % 2 == 0 ? 'a' : '\t', sizeof text);
                text[at] = (char)c;
                ck_assert_int_eq(http_chars_are_value((struct bytes){.data = text, .size = size}),
                                 http_chars_is((char)c, HTTP_CHARS_VALUE));
            }
    ck_assert(http_chars_are_value((struct bytes){0}));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_chars");

    tcase_add_test(tcase, classes_are_those_of_the_rfcs);
    tcase_add_test(tcase, span_ends_before_the_first_other_character);
    tcase_add_test(tcase, one_bad_character_anywhere_makes_a_bad_value);
    return check_main("http_chars", tcase);
}
