/* What must hold: a float that is taken is the one that every way of rounding gives, near-misses
 * are left, and nothing is taken that is no number. */
#include "json/json_floats.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "support/check_main.h"

enum { ROUNDS = 200000, MAX = 8 };

static float floats[MAX];

/* How many numbers are taken of `[text]`. */
static size_t take(const char *text, struct json_scan *ret_scan)
{
    static char array[400];
    int         size = snprintf(array, sizeof array, "[%s]", text);

    json_scan_init(ret_scan, (struct bytes){.data = array, .size = (size_t)size});
    ck_assert(json_scan_array(ret_scan));
    return json_scan_element(ret_scan) ? json_floats_take(ret_scan, floats, MAX) : 0;
}

static size_t taken(const char *text)
{
    struct json_scan scan;

    return take(text, &scan);
}

/* A number in one of the spellings that clients use. */
static void draw_number(struct rng *rng, char *text, size_t size)
{
    double scale = pow(10, (double)rng_below(rng, 50) - 35);
    double value = (rng_double(rng) - 0.5) * scale;
    int    digits = 7 + (int)rng_below(rng, 11);

    if (rng_below(rng, 2) == 0)
        value = (double)(float)value;
    switch (rng_below(rng, 3)) {
    case 0:
        snprintf(text, size, "%.*f", digits - 7, value);
        break;
    case 1:
        snprintf(text, size, "%.*e", digits - 1, value);
        break;
    default:
        snprintf(text, size, "%.*g", digits, value);
        break;
    }
}

START_TEST(what_is_taken_is_what_every_rounding_gives)
{
    struct rng rng;
    unsigned   taken_count = 0;
    char       text[400];

    rng_init(&rng, 7);
    for (int i = 0; i < ROUNDS; i++) {
        draw_number(&rng, text, sizeof text);
        if (taken(text) == 0)
            continue;
        taken_count++;
        ck_assert_msg(floats[0] == strtof(text, NULL), "%s", text);
        ck_assert_msg(floats[0] == (float)strtod(text, NULL), "%s", text);
    }
    ck_assert_uint_gt(taken_count, ROUNDS / 10 * 8);
}
END_TEST

/* all-MiniLM-L6-v2 has two such numbers in every vector, and clients write them in 17 digits. */
START_TEST(tiny_numbers_of_many_digits_are_taken)
{
    static const char *const texts[] = {"1.0594869255560476e-33", "-1.4973244084327789e-33",
                                        "1.1754943508222875e-38"};

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        ck_assert_msg(taken(texts[i]) == 1, "%s", texts[i]);
        ck_assert(floats[0] == strtof(texts[i], NULL));
    }
}
END_TEST

START_TEST(what_is_near_the_middle_of_two_floats_is_left)
{
    struct rng rng;
    char       text[64];

    rng_init(&rng, 8);
    for (int i = 0; i < 20000; i++) {
        float  low = (float)rng_double(&rng) + 0x1p-10F;
        double middle = ((double)low + (double)nextafterf(low, 2)) / 2;

        for (unsigned steps = (unsigned)rng_below(&rng, 3); steps > 0; steps--)
            middle = nextafter(middle, i % 2 == 0 ? 0 : 2);
        snprintf(text, sizeof text, "%.17g", middle);
        ck_assert_msg(taken(text) == 0, "%s", text);
    }
}
END_TEST

START_TEST(zeros_are_one)
{
    static const char *const zeros[] = {"0", "-0", "0.0", "-0.000", "0e5", "-0.0e-30", "0E+1"};

    for (size_t i = 0; i < COUNT_OF(zeros); i++) {
        floats[0] = 1;
        ck_assert_uint_eq(taken(zeros[i]), 1);
        ck_assert(floats[0] == 0 && !signbit(floats[0]));
    }
}
END_TEST

START_TEST(what_might_not_be_a_normal_float_is_left)
{
    static const char *const texts[] = {"1e39",
                                        "3.5e38",
                                        "1e-39",
                                        "1e-45",
                                        "12345678901234567890",
                                        "1e100",
                                        "-2e38",
                                        "1e-50",
                                        "1.17549430e-38",
                                        "1.0594869255560476e-40",
                                        "0.00000000000000000000000000000000000000000001",
                                        "1.00000000000000000001"};

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        ck_assert_msg(taken(texts[i]) == 0, "%s", texts[i]);
}
END_TEST

START_TEST(what_is_no_number_is_left)
{
    static const char *const texts[] = {"",     "-",   "01",    "-01",  "1.",   ".5",   "+1",
                                        "1e",   "1e+", "00",    "-.5",  "--1",  "nan",  "null",
                                        "\"\"", "[1]", "1e001", "00.5", "1.e5", "0x10x"};

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct json_scan scan;
        size_t           count = take(texts[i], &scan);

        /* What follows a number is found out by the next step. */
        ck_assert_msg(count == 0 || !json_scan_element(&scan) || scan.failed, "%s", texts[i]);
        ck_assert_msg(count == 0 || scan.failed, "%s", texts[i]);
    }
}
END_TEST

START_TEST(numbers_follow_each_other_up_to_the_bound)
{
    struct json_scan scan;

    ck_assert_uint_eq(take("1,2, -3.5,4e2 ,5", &scan), 4);
    ck_assert(floats[0] == 1 && floats[1] == 2 && floats[2] == -3.5F && floats[3] == 400);
    ck_assert(json_scan_element(&scan));
    ck_assert_uint_eq(json_floats_take(&scan, floats, MAX), 1);
    ck_assert(floats[0] == 5);
    ck_assert(!json_scan_element(&scan) && json_scan_end(&scan));
    ck_assert_uint_eq(take("1,2,3,4,5,6,7,8,9,10", &scan), MAX);
    ck_assert(json_scan_element(&scan));
    ck_assert_uint_eq(json_floats_take(&scan, floats, MAX), 2);
    ck_assert(!json_scan_element(&scan) && json_scan_end(&scan));
}
END_TEST

START_TEST(exact_is_what_no_reader_rounds_twice)
{
    static const struct {
        const char *text;
        bool        is_exact;
        double      value;
    } rows[] = {{"1.5", true, 1.5},
                {"1.50", true, 1.5},
                {"15e-1", true, 1.5},
                {"0.1", true, 0.1},
                {"-2.25e3", true, -2250},
                {"0.0", true, 0},
                {"-0.0", false, 0},
                {"9007199254740992e0", true, 9007199254740992.0},
                {"9007199254740993e0", false, 0},
                {"0.12345678901234567", false, 0},
                {"1.5e23", true, 1.5e23},
                {"1e23", false, 0},
                {"1e-23", false, 0}};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json_number number = {.raw = bytes_of(rows[i].text)};
        double             value = 0;

        ck_assert_msg(json_floats_exact(number, &value) == rows[i].is_exact, "%s", rows[i].text);
        ck_assert_msg(value == rows[i].value, "%s", rows[i].text);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("json_floats");

    tcase_add_test(tcase, what_is_taken_is_what_every_rounding_gives);
    tcase_add_test(tcase, tiny_numbers_of_many_digits_are_taken);
    tcase_add_test(tcase, what_is_near_the_middle_of_two_floats_is_left);
    tcase_add_test(tcase, zeros_are_one);
    tcase_add_test(tcase, what_might_not_be_a_normal_float_is_left);
    tcase_add_test(tcase, what_is_no_number_is_left);
    tcase_add_test(tcase, numbers_follow_each_other_up_to_the_bound);
    tcase_add_test(tcase, exact_is_what_no_reader_rounds_twice);
    return check_main("json_floats", tcase);
}
