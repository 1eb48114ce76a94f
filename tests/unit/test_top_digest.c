/* What must hold: rates are differences over time, quantiles come from the buckets between the two
 * answers, and a process that began anew does not give negative numbers. */
#include <math.h>
#include <stdio.h>

#include "cli/top_digest.h"
#include "support/check_main.h"

static struct top_digest digest;

static void make(const char *before, const char *now, double interval)
{
    json_t *first = json_loads(before, 0, NULL), *second = json_loads(now, 0, NULL);

    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_nonnull(second);
    top_digest_make(&digest, first, second, interval);
    json_decref(first);
    json_decref(second);
}

static bool near(double left, double right)
{
    return fabs(left - right) < 1e-9 + 1e-6 * fabs(right);
}

#define REQUESTS(op, code, source)                                                                 \
    "\"chromabouncer_requests_total{op=\\\"" op "\\\",code=\\\"" code "\\\",source=\\\"" source    \
    "\\\"}\":"
START_TEST(rates_are_differences_over_time)
{
    make("{\"metrics\":{" REQUESTS("query", "200", "backend") "100," REQUESTS("query", "504",
                                                                              "proxy") "5}}",
         "{\"metrics\":{" REQUESTS("query", "200", "backend") "140," REQUESTS(
             "query", "504", "proxy") "6," REQUESTS("get", "4xx", "backend") "8}}",
         2);
    ck_assert(near(digest.per_second[0], 24));
    ck_assert(near(digest.per_second[1], 0.5));
    ck_assert_uint_eq(digest.op_count, 2);
    ck_assert_str_eq(digest.ops[0].name, "get");
    ck_assert(near(digest.ops[0].errors_per_second, 4));
    ck_assert(near(digest.ops[1].per_second, 20.5));
    ck_assert(near(digest.ops[1].errors_per_second, 0.5));
}
END_TEST

/* An answer with one histogram of gets, as /metrics has it: `counts` are those of each bucket. */
static const char *with_buckets(char *out, size_t size, const unsigned counts[TOP_DIGEST_BUCKETS])
{
    size_t used =
        (size_t)snprintf(out, size, "{\"metrics\":{" REQUESTS("get", "200", "backend") "9");
    unsigned sum = 0;

    for (size_t i = 0; i < TOP_DIGEST_BUCKETS; i++) {
        char bound[32] = "+Inf";

        sum += counts[i];
        if (i < METRIC_BUCKETS)
            snprintf(bound, sizeof bound, "%g", (double)metric_bucket_bounds_us[i] / 1e6);
        used += (size_t)snprintf(out + used, size - used,
                                 ",\"chromabouncer_request_duration_seconds_bucket{op=\\\"get\\\","
                                 "source=\\\"backend\\\",le=\\\"%s\\\"}\":%u",
                                 bound, sum);
    }
    snprintf(out + used, size - used, "}}");
    return out;
}

/* 10 requests of 1 to 2.5 ms, then 10 of 5 to 10 ms: half are below 2.5 ms. */
START_TEST(quantiles_are_of_the_interval)
{
    static const unsigned before[TOP_DIGEST_BUCKETS] = {[3] = 7, [18] = 1};
    static const unsigned now[TOP_DIGEST_BUCKETS] = {[3] = 7, [7] = 10, [9] = 10, [18] = 1};
    char                  first[8000], second[8000];

    make(with_buckets(first, sizeof first, before), with_buckets(second, sizeof second, now), 1);
    ck_assert(near(digest.p50, 0.0025));
    ck_assert(near(digest.p99, 0.0099));
    ck_assert(near(digest.ops[0].p50, 0.0025));
    ck_assert(near(digest.buckets[7], 10));
    ck_assert(near(digest.buckets[8], 0));
    ck_assert(near(digest.buckets[9], 10));
    ck_assert(near(digest.buckets[18], 0));
}
END_TEST

START_TEST(copies_are_summed_over_states_and_modes)
{
    make("{\"metrics\":{\"chromabouncer_mirror_answers_total{mode=\\\"prefer\\\"}\":10}}",
         "{\"metrics\":{\"chromabouncer_mirror_answers_total{mode=\\\"prefer\\\"}\":30,"
         "\"chromabouncer_mirror_answers_total{mode=\\\"fallback\\\"}\":4,"
         "\"chromabouncer_mirror_collections{state=\\\"complete\\\"}\":2,"
         "\"chromabouncer_mirror_collections{state=\\\"filling\\\"}\":1,"
         "\"chromabouncer_mirror_records\":70,\"chromabouncer_mirror_records_hollow\":7,"
         "\"chromabouncer_mirror_left_seconds\":5,"
         "\"chromabouncer_mirror_bytes\":4096}}",
         2);
    ck_assert(near(digest.copies, 3) && near(digest.copies_complete, 2));
    ck_assert(near(digest.copied_records, 70) && near(digest.hollow_records, 7));
    ck_assert(near(digest.copies_bytes, 4096) && near(digest.copies_left_s, 5));
    ck_assert(near(digest.copies_per_second, 12));
}
END_TEST

START_TEST(new_process_gives_no_negative_number)
{
    make("{\"metrics\":{" REQUESTS("query", "200", "backend") "100}}",
         "{\"metrics\":{" REQUESTS("query", "200", "backend") "3}}", 1);
    ck_assert(near(digest.per_second[0], 3));
}
END_TEST

START_TEST(names_do_not_run_into_each_other)
{
    make("{}",
         "{\"metrics\":{\"chromabouncer_writes_waiting\":2,"
         "\"chromabouncer_writes_waiting_records\":5}}",
         1);
    ck_assert(near(digest.writes_waiting, 2));
    ck_assert(near(digest.records_waiting, 5));
}
END_TEST

START_TEST(answer_without_anything_is_all_zero)
{
    make("{}", "{\"metrics\":[],\"version\":7}", 0);
    ck_assert_uint_eq(digest.op_count, 0);
    ck_assert(near(digest.per_second[0], 0));
    ck_assert_str_eq(digest.version, "");
}
END_TEST

START_TEST(operations_are_sorted)
{
    static const struct top_digest_op ops[] = {
        {.name = "b", .per_second = 1, .p99 = 3, .errors_per_second = 2},
        {.name = "c", .per_second = 3, .p99 = 1, .errors_per_second = 1},
        {.name = "a", .per_second = 1, .p99 = 2, .errors_per_second = 3}};
    static const char *const orders[] = {"cab", "bac", "abc"};

    for (unsigned by = 0; by < COUNT_OF(orders); by++) {
        digest.op_count = COUNT_OF(ops);
        memcpy(digest.ops, ops, sizeof ops);
        top_digest_sort(&digest, (enum top_digest_sort)by);
        for (size_t i = 0; i < COUNT_OF(ops); i++)
            ck_assert_int_eq(digest.ops[i].name[0], orders[by][i]);
    }
}
END_TEST

START_TEST(json_has_every_part)
{
    static const char *const members[] = {
        "version",     "backend_up",   "interval_seconds", "backend_requests_per_second",
        "p99_seconds", "backend_busy", "waiting",          "writes",
        "operations"};
    json_t *object;

    make("{}", "{\"metrics\":{" REQUESTS("get", "200", "backend") "2}}", 1);
    object = top_digest_json(&digest);
    ck_assert_ptr_nonnull(object);
    for (size_t i = 0; i < COUNT_OF(members); i++)
        ck_assert_msg(json_object_get(object, members[i]) != NULL, "%s", members[i]);
    ck_assert_uint_eq(json_array_size(json_object_get(object, "operations")), 1);
    json_decref(object);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("top_digest");

    tcase_add_test(tcase, rates_are_differences_over_time);
    tcase_add_test(tcase, quantiles_are_of_the_interval);
    tcase_add_test(tcase, copies_are_summed_over_states_and_modes);
    tcase_add_test(tcase, new_process_gives_no_negative_number);
    tcase_add_test(tcase, names_do_not_run_into_each_other);
    tcase_add_test(tcase, answer_without_anything_is_all_zero);
    tcase_add_test(tcase, operations_are_sorted);
    tcase_add_test(tcase, json_has_every_part);
    return check_main("top_digest", tcase);
}
