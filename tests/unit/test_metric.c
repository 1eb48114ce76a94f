/* What must hold: the page is in the Prometheus text format, whatever the kind of metric. */
#include <stdio.h>

#include "base/metric.h"
#include "support/check_main.h"

struct sample_stats {
    uint64_t                hits, misses, level, busy_us;
    struct metric_histogram wait;
};

static const struct metric_desc table[] = {
    METRIC_LABELED(COUNTER, sample_stats, hits, "x_lookups_total", "result=\"hit\"", "Look-ups."),
    METRIC_LABELED(COUNTER, sample_stats, misses, "x_lookups_total", "result=\"miss\"", ""),
    METRIC(GAUGE, sample_stats, level, "x_level", "Level."),
    METRIC(DURATION_COUNTER, sample_stats, busy_us, "x_busy_seconds_total", "Busy."),
    METRIC(HISTOGRAM, sample_stats, wait, "x_wait_seconds", "Wait."),
};

static struct byte_buffer page;

static void teardown(void)
{
    byte_buffer_done(&page);
}

static const char *page_text(void)
{
    ck_assert_int_eq(byte_buffer_append(&page, BYTES_LITERAL("\0"), SIZE_MAX), STATUS_OK);
    return byte_buffer_bytes(&page).data;
}

START_TEST(a_table_prints_one_header_per_name_and_one_line_per_row)
{
    struct sample_stats stats = {.hits = 3, .level = UINT64_MAX, .busy_us = 1500000};

    ck_assert_int_eq(metric_print(&page, table, 4, &stats), STATUS_OK);
    ck_assert_str_eq(page_text(), "# HELP x_lookups_total Look-ups.\n"
                                  "# TYPE x_lookups_total counter\n"
                                  "x_lookups_total{result=\"hit\"} 3\n"
                                  "x_lookups_total{result=\"miss\"} 0\n"
                                  "# HELP x_level Level.\n"
                                  "# TYPE x_level gauge\n"
                                  "x_level 18446744073709551615\n"
                                  "# HELP x_busy_seconds_total Busy.\n"
                                  "# TYPE x_busy_seconds_total counter\n"
                                  "x_busy_seconds_total 1.500000\n");
}
END_TEST

START_TEST(a_duration_is_counted_in_the_first_bucket_that_holds_it)
{
    struct metric_histogram histogram = {.sum_us = 0};

    for (size_t i = 0; i < METRIC_BUCKETS; i++) {
        metric_histogram_add(&histogram, metric_bucket_bounds_us[i]);
        ck_assert_uint_eq(histogram.buckets[i], 1);
        metric_histogram_add(&histogram, metric_bucket_bounds_us[i] + 1);
        ck_assert_uint_eq(histogram.buckets[i + 1], 1);
        histogram.buckets[i + 1] = 0;
    }
    metric_histogram_add(&histogram, 0);
    ck_assert_uint_eq(histogram.buckets[0], 2);
    metric_histogram_add(&histogram, UINT64_MAX / 2);
    ck_assert_uint_eq(histogram.buckets[METRIC_BUCKETS], 1);
}
END_TEST

START_TEST(histogram_buckets_are_printed_cumulative_and_end_with_the_count)
{
    struct sample_stats stats = {.hits = 0};
    const char         *text;
    char                last[64];

    metric_histogram_add(&stats.wait, 30);
    metric_histogram_add(&stats.wait, 2000);
    metric_histogram_add(&stats.wait, 60000000);
    ck_assert_int_eq(metric_print(&page, &table[4], 1, &stats), STATUS_OK);
    text = page_text();
    ck_assert_ptr_nonnull(strstr(text, "# TYPE x_wait_seconds histogram\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_wait_seconds_bucket{le=\"2.5e-05\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_wait_seconds_bucket{le=\"5e-05\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_wait_seconds_bucket{le=\"0.0025\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_wait_seconds_bucket{le=\"10\"} 2\n"));
    snprintf(last, sizeof last, "x_wait_seconds_bucket{le=\"+Inf\"} 3\n");
    ck_assert_ptr_nonnull(strstr(text, last));
    ck_assert_ptr_nonnull(strstr(text, "x_wait_seconds_sum 60.002030\nx_wait_seconds_count 3\n"));
}
END_TEST

START_TEST(labels_of_a_histogram_stand_before_its_own)
{
    struct metric_histogram histogram = {.sum_us = 0};
    const char             *text;

    ck_assert_int_eq(metric_print_histogram(&page, "x", "op=\"get\"", &histogram), STATUS_OK);
    text = page_text();
    ck_assert_ptr_nonnull(strstr(text, "x_bucket{op=\"get\",le=\"+Inf\"} 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "x_sum{op=\"get\"} 0.000000\nx_count{op=\"get\"} 0\n"));
}
END_TEST

START_TEST(a_page_has_a_bound)
{
    static char         filler[METRIC_PAGE_BYTES_MAX - 10];
    struct sample_stats stats = {.hits = 0};
    struct bytes        most = {.data = filler, .size = sizeof filler};

    ck_assert_int_eq(byte_buffer_append(&page, most, SIZE_MAX), STATUS_OK);
    ck_assert_int_eq(metric_print(&page, table, COUNT_OF(table), &stats), STATUS_LIMIT_REACHED);
    ck_assert_uint_le(byte_buffer_size(&page), METRIC_PAGE_BYTES_MAX);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("metric");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_test(tcase, a_table_prints_one_header_per_name_and_one_line_per_row);
    tcase_add_test(tcase, a_duration_is_counted_in_the_first_bucket_that_holds_it);
    tcase_add_test(tcase, histogram_buckets_are_printed_cumulative_and_end_with_the_count);
    tcase_add_test(tcase, labels_of_a_histogram_stand_before_its_own);
    tcase_add_test(tcase, a_page_has_a_bound);
    return check_main("metric", tcase);
}
