/* What must hold: a number has the type and the value, to the bit, that serde_json gives it.
 * tests/e2e/test_filters.py asks a real server; where a number ends test_json_scan.c tests. */
#include "json/json_number.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "support/check_main.h"

START_TEST(numbers_have_the_value_that_serde_json_gives_them)
{
    static const struct {
        const char           *text;
        enum json_number_kind kind;
        int64_t               integer;
        double                real;
    } rows[] = {
        {"0", JSON_NUMBER_INTEGER, 0, 0},
        {"-7", JSON_NUMBER_INTEGER, -7, -7},
        {"9223372036854775807", JSON_NUMBER_INTEGER, INT64_MAX, 0x1p63},
        {"-9223372036854775808", JSON_NUMBER_INTEGER, INT64_MIN, -0x1p63},
        {"9223372036854775808", JSON_NUMBER_UNSIGNED, 0, 0x1p63},
        {"18446744073709551615", JSON_NUMBER_UNSIGNED, 0, 0x1p64},
        {"18446744073709551616", JSON_NUMBER_DOUBLE, 0, 0x1p64},
        {"-9223372036854775809", JSON_NUMBER_DOUBLE, 0, -0x1p63},
        {"9007199254740993", JSON_NUMBER_INTEGER, 9007199254740993, 0x1p53},
        {"1.0", JSON_NUMBER_DOUBLE, 0, 1},
        {"1e2", JSON_NUMBER_DOUBLE, 0, 100},
        {"-2.5E-1", JSON_NUMBER_DOUBLE, 0, -0.25},
        {"0e999", JSON_NUMBER_DOUBLE, 0, 0},
        {"1e-999999999999", JSON_NUMBER_DOUBLE, 0, 0},
        {"1e308", JSON_NUMBER_DOUBLE, 0, 1e308},
        {"17976931348623157e292", JSON_NUMBER_DOUBLE, 0, 0x1.fffffffffffffp1023},
        /* Rounded twice: not the nearest floats, which end with 9 and 8. */
        {"0.61358952548145421", JSON_NUMBER_DOUBLE, 0, 0x1.3a28680238d5ap-1},
        {"1.2345678901234567e-300", JSON_NUMBER_DOUBLE, 0, 0x1.a74fe1c1e8909p-997},
        /* Digits that no longer fit are cut, also behind the dot. */
        {"123456789012345678901234567890", JSON_NUMBER_DOUBLE, 0, 12345678901234567890.0 * 1e10},
        {"12345678901234567890.99", JSON_NUMBER_DOUBLE, 0, 12345678901234567890.0},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char           *end = rows[i].text + strlen(rows[i].text);
        struct json_number    number;
        enum json_number_kind kind;
        int64_t               integer = 0;
        double                real;

        ck_assert_ptr_eq(json_number_end(rows[i].text, end, &number), end);
        kind = json_number_read(number, &integer, &real);
        ck_assert_msg(kind == rows[i].kind && integer == rows[i].integer && real == rows[i].real,
                      "%s: %d %" PRId64 " %a", rows[i].text, kind, integer, real);
    }
}
END_TEST

START_TEST(minus_zero_is_a_float)
{
    static const char *const zeros[] = {"-0", "-0.0", "-0e5"};
    struct json_number       number;
    int64_t                  integer;
    double                   real;

    for (size_t i = 0; i < COUNT_OF(zeros); i++) {
        json_number_end(zeros[i], zeros[i] + strlen(zeros[i]), &number);
        ck_assert_int_eq(json_number_read(number, &integer, &real), JSON_NUMBER_DOUBLE);
        ck_assert(real == 0 && signbit(real));
    }
}
END_TEST

START_TEST(a_float_that_is_written_and_read_may_become_another)
{
    static const struct {
        double value, reread;
    } rows[] = {
        {0, 0},
        {1.5, 1.5},
        {-0.1, -0.1},
        {100, 100},
        {1e15, 1e15},
        {1e16, 1e16},
        {1e300, 1e300},
        {0x1p-1074, 0x1p-1074},
        {DBL_MAX, DBL_MAX},
        {0x1p53, 0x1p53},
        /* 12.088995790328921: its digits are rounded before they are divided. */
        {12.088995790328921, 12.08899579032892},
        {-1.1417195364052595, -1.1417195364052597},
        /* 8000000000000007.0: ten times that is rounded before it is divided by ten. */
        {8000000000000007, 8000000000000006},
        {1.8587299999999998e186, 1.85873e186},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        double reread = json_number_reread(rows[i].value);

        ck_assert_msg(reread == rows[i].reread, "%.17g: %.17g", rows[i].value, reread);
    }
    ck_assert(signbit(json_number_reread(-0.0)));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json_number");

    tcase_add_test(tcase, numbers_have_the_value_that_serde_json_gives_them);
    tcase_add_test(tcase, minus_zero_is_a_float);
    tcase_add_test(tcase, a_float_that_is_written_and_read_may_become_another);
    return check_main("json_number", tcase);
}
