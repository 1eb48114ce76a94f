/* What must hold: what is printed is read as the float that it was, with one digit less it cannot
 * be, and it looks as Chroma 1.5.9 prints it (the texts are its own). */
#include "json/json_print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "support/check_main.h"

static const struct {
    float       value;
    const char *text;
} floats[] = {
    {0.0F, "0.0"},
    {-0.0F, "-0.0"},
    {1.0F, "1.0"},
    {-2.5F, "-2.5"},
    {0.1F, "0.1"},
    {0.000001F, "0.000001"},
    {0.0000015F, "0.0000015"},
    {3.8146973e-6F, "0.0000038146973"},
    {1e-7F, "1e-7"},
    {1.5e-7F, "1.5e-7"},
    {16777216.0F, "16777216.0"},
    {123456789.0F, "123456790.0"},
    {229283392.0F, "229283400.0"},
    {68719476736.0F, "68719480000.0"},
    {1.5e12F, "1500000000000.0"},
    {1e13F, "1e+13"},
    {35184372088832.0F, "3.5184372e+13"},
    {1.234567890123456e15F, "1.234568e+15"},
    {9.223372036854775807e18F, "9.223372e+18"},
    {1.1754944e-38F, "1.1754944e-38"},
    {1e-45F, "1e-45"},
    {9.99999996e-12F, "1e-11"},
    {1.3552783e-27F, "1.3552783e-27"},
    {8.077936e-28F, "8.077936e-28"},
    {3.4028235e38F, "3.4028235e+38"},
    {0.010000001F, "0.010000001"},
    {2097152.25F, "2097152.2"},
    {2097152.75F, "2097152.8"},
    {INFINITY, "null"},
    {NAN, "null"},
};

START_TEST(floats_look_as_chroma_prints_them)
{
    char out[JSON_PRINT_MAX];

    ck_assert_uint_eq(json_print_float(floats[_i].value, out), strlen(floats[_i].text));
    ck_assert_str_eq(out, floats[_i].text);
}
END_TEST

static const struct {
    double      value;
    const char *text;
} doubles[] = {
    {0.0, "0.0"},
    {-0.0, "-0.0"},
    {1.0, "1.0"},
    {12.5, "12.5"},
    {0.00001, "0.00001"},
    {-0.000015, "-0.000015"},
    {1e-6, "1e-6"},
    {1.5e-7, "1.5e-7"},
    {1e15, "1000000000000000.0"},
    {1e16, "1e+16"},
    {-9.3e18, "-9.3e+18"},
    {1234567890123456.8, "1234567890123456.8"},
    {12345678901234568.0, "1.2345678901234568e+16"},
    {5.684341886080802e-14, "5.684341886080802e-14"}, /* 2 to the power of -44 */
    {5e-324, "5e-324"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {INFINITY, "null"},
    {NAN, "null"},
};

START_TEST(doubles_look_as_chroma_prints_them)
{
    char out[JSON_PRINT_MAX];

    ck_assert_uint_eq(json_print_double(doubles[_i].value, out), strlen(doubles[_i].text));
    ck_assert_str_eq(out, doubles[_i].text);
}
END_TEST

/* How many digits count in a text. */
static int count_digits(const char *text)
{
    int count = 0, zeros = 0;

    for (; *text != '\0' && *text != 'e'; text++) {
        zeros = *text == '0' ? zeros + 1 : zeros;
        if (*text >= '1' && *text <= '9') {
            count += 1 + (count > 0 ? zeros : 0);
            zeros = 0;
        }
    }
    return count;
}

/* With one digit less, rounded down and up, it is another float. */
static void check_float(uint32_t bits)
{
    char   out[JSON_PRINT_MAX], fewer[JSON_PRINT_MAX];
    float  value;
    int    count, exponent;
    double scaled;

    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
        return;
    json_print_float(value, out);
    ck_assert_msg(strtof(out, NULL) == value, "%a: %s", (double)value, out);
    count = count_digits(out);
    if (count < 2)
        return;
    snprintf(fewer, sizeof fewer, "%.*e", count - 2, fabs((double)value));
    ck_assert_msg(strtof(fewer, NULL) != fabsf(value), "%s: %s", out, fewer);
    exponent = atoi(strchr(fewer, 'e') + 1);
    scaled = strtod(fewer, NULL);
    for (int step = -1; step <= 1; step += 2) {
        snprintf(fewer, sizeof fewer, "%.*e", count - 2,
                 scaled + step * pow(10, exponent - (count - 2)));
        ck_assert_msg(strtof(fewer, NULL) != fabsf(value), "%s: %s", out, fewer);
    }
    /* None of as many digits is nearer. */
    snprintf(fewer, sizeof fewer, "%.*e", count - 1, (double)value);
    ck_assert_msg(strtof(fewer, NULL) != value || strtod(fewer, NULL) == strtod(out, NULL),
                  "%s: %s", out, fewer);
}

START_TEST(floats_have_the_fewest_digits)
{
    struct rng rng;

    rng_init(&rng, 1);
    for (uint32_t exponent = 0; exponent < 255; exponent++)
        for (uint32_t fraction = 0; fraction < 20; fraction++)
            check_float(exponent << 23 | (fraction < 10 ? fraction : 0x7FFFFF - (fraction - 10)));
    for (int i = 0; i < 50000; i++)
        check_float((uint32_t)rng_below(&rng, 0x7F800000));
}
END_TEST

static void check_double(uint64_t bits)
{
    char   out[JSON_PRINT_MAX], fewer[JSON_PRINT_MAX];
    double value;
    int    count;

    memcpy(&value, &bits, sizeof value);
    if (!isfinite(value))
        return;
    json_print_double(value, out);
    ck_assert_msg(strtod(out, NULL) == value, "%a: %s", value, out);
    count = count_digits(out);
    ck_assert_int_le(count, JSON_PRINT_DIGITS_MAX);
    if (count < 2)
        return;
    snprintf(fewer, sizeof fewer, "%.*e", count - 2, value);
    ck_assert_msg(strtod(fewer, NULL) != value, "%s: %s", out, fewer);
}

START_TEST(doubles_have_the_fewest_digits)
{
    struct rng rng;

    rng_init(&rng, 2);
    for (uint64_t exponent = 0; exponent < 2047; exponent++)
        for (uint64_t fraction = 0; fraction < 4; fraction++)
            check_double(exponent << 52 |
                         (fraction < 2 ? fraction : (UINT64_C(1) << 52) - fraction));
    for (int i = 0; i < 20000; i++)
        check_double(rng_next(&rng) >> 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json_print");

    tcase_add_loop_test(tcase, floats_look_as_chroma_prints_them, 0, COUNT_OF(floats));
    tcase_add_loop_test(tcase, doubles_look_as_chroma_prints_them, 0, COUNT_OF(doubles));
    tcase_add_test(tcase, floats_have_the_fewest_digits);
    tcase_add_test(tcase, doubles_have_the_fewest_digits);
    return check_main("json_print", tcase);
}
