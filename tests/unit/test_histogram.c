#include "base/histogram.h"
#include "support/check_main.h"

static struct histogram histogram;

static void setup(void)
{
    histogram = (struct histogram){0};
}

START_TEST(an_empty_histogram_is_all_zero)
{
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), 0);
    ck_assert_double_eq(histogram_mean(&histogram), 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (uint64_t value = 0; value < 256; value++)
        histogram_record(&histogram, value);
    ck_assert_uint_eq(histogram_percentile(&histogram, 0), 0);
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), 127);
    ck_assert_uint_eq(histogram_percentile(&histogram, 1), 255);
}
END_TEST

START_TEST(every_value_is_told_to_within_one_percent)
{
    for (uint64_t value = 1; value < UINT64_C(1) << HISTOGRAM_VALUE_BITS; value += value / 7 + 1) {
        uint64_t told;

        histogram = (struct histogram){0};
        histogram_record(&histogram, value);
        histogram_record(&histogram, UINT64_MAX); /* lest `max` hides the error */
        told = histogram_percentile(&histogram, 0.5);
        ck_assert_double_le_tol((double)told / (double)value, 1, 0.008);
        ck_assert_double_ge_tol((double)told / (double)value, 1, 0.008);
    }
}
END_TEST

START_TEST(a_percentile_never_exceeds_the_largest_value)
{
    histogram_record(&histogram, 1025);
    ck_assert_uint_le(histogram_percentile(&histogram, 0.99), 1025);
}
END_TEST

START_TEST(huge_values_are_counted_in_the_last_bucket)
{
    histogram_record(&histogram, UINT64_MAX);
    ck_assert_uint_eq(histogram.buckets[HISTOGRAM_BUCKETS - 1], 1);
    ck_assert_uint_eq(histogram.max, UINT64_MAX);
}
END_TEST

START_TEST(the_mean_is_exact)
{
    histogram_record(&histogram, 1000001);
    histogram_record(&histogram, 2000002);
    ck_assert_double_eq(histogram_mean(&histogram), 1500001.5);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("histogram");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, an_empty_histogram_is_all_zero);
    tcase_add_test(tcase, small_values_are_exact);
    tcase_add_test(tcase, every_value_is_told_to_within_one_percent);
    tcase_add_test(tcase, a_percentile_never_exceeds_the_largest_value);
    tcase_add_test(tcase, huge_values_are_counted_in_the_last_bucket);
    tcase_add_test(tcase, the_mean_is_exact);
    return check_main("histogram", tcase);
}
