#include "base/histogram.h"
#include "support/check_main.h"

static struct histogram histogram, other;

static void setup(void)
{
    histogram = (struct histogram){0};
    other = (struct histogram){0};
}

START_TEST(an_empty_histogram_is_all_zero)
{
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), 0);
    ck_assert_double_eq(histogram_mean(&histogram), 0);
    ck_assert_uint_eq(histogram_count_at_most(&histogram, UINT64_MAX), 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (uint64_t value = 0; value < 256; value++)
        histogram_record(&histogram, value);
    ck_assert_uint_eq(histogram_percentile(&histogram, 0), 0);
    ck_assert_uint_eq(histogram_percentile(&histogram, 0.5), 127);
    ck_assert_uint_eq(histogram_percentile(&histogram, 1), 255);
    ck_assert_uint_eq(histogram_count_at_most(&histogram, 99), 100);
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

START_TEST(merging_is_the_same_as_recording_all_in_one)
{
    for (uint64_t value = 0; value < 100000; value += 17)
        histogram_record(value % 2 == 0 ? &histogram : &other, value * value);
    histogram_merge(&histogram, &other);
    other = (struct histogram){0};
    for (uint64_t value = 0; value < 100000; value += 17)
        histogram_record(&other, value * value);
    ck_assert_mem_eq(&histogram, &other, sizeof(histogram));
}
END_TEST

START_TEST(counts_at_bounds_grow_to_the_total)
{
    uint64_t last = 0;

    for (uint64_t value = 1; value < 1000000; value += value / 3 + 1)
        histogram_record(&histogram, value);
    for (uint64_t bound = 1; bound < 4000000; bound *= 2) {
        uint64_t count = histogram_count_at_most(&histogram, bound);

        ck_assert_uint_ge(count, last);
        last = count;
    }
    ck_assert_uint_eq(last, histogram.count);
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
    tcase_add_test(tcase, merging_is_the_same_as_recording_all_in_one);
    tcase_add_test(tcase, counts_at_bounds_grow_to_the_total);
    tcase_add_test(tcase, the_mean_is_exact);
    return check_main("histogram", tcase);
}
