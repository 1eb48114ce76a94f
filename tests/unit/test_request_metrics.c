/* What must hold: every request is counted once, under labels from a fixed set. */
#include <stdio.h>

#include "calls/request_metrics.h"
#include "support/check_main.h"

static struct request_metrics *metrics;
static struct byte_buffer      page;

static void setup(void)
{
    metrics = calloc(1, sizeof *metrics);
}

static void teardown(void)
{
    free(metrics);
    byte_buffer_done(&page);
}

static struct chroma_route route_of(const char *method, const char *path)
{
    struct chroma_route route;

    chroma_route_find(bytes_of(method), bytes_of(path), &route);
    return route;
}

static bool prints(const char *line)
{
    byte_buffer_clear(&page);
    ck_assert_int_eq(request_metrics_print(metrics, &page), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&page, BYTES_LITERAL("\0"), SIZE_MAX), STATUS_OK);
    return strstr(byte_buffer_bytes(&page).data, line) != NULL;
}

#define COLLECTION "/api/v2/tenants/t/databases/d/collections/00000000-0000-4000-8000-000000000000"

START_TEST(a_request_is_counted_by_operation_code_and_source)
{
    struct chroma_route upsert = route_of("POST", COLLECTION "/upsert");

    request_metrics_count(metrics, upsert.info, 200, REQUEST_METRICS_SOURCE_BACKEND, 1500);
    request_metrics_count(metrics, upsert.info, 200, REQUEST_METRICS_SOURCE_BACKEND, 1500);
    request_metrics_count(metrics, upsert.info, 504, REQUEST_METRICS_SOURCE_PROXY, 70000000);
    ck_assert(prints(
        "\nchromabouncer_requests_total{op=\"upsert\",code=\"200\",source=\"backend\"} 2\n"));
    ck_assert(
        prints("\nchromabouncer_requests_total{op=\"upsert\",code=\"504\",source=\"proxy\"} 1\n"));
    ck_assert(prints("\nchromabouncer_request_duration_seconds_bucket{op=\"upsert\",source="
                     "\"backend\",le=\"0.0025\"} 2\n"));
    ck_assert(prints("\nchromabouncer_request_duration_seconds_count{op=\"upsert\",source="
                     "\"proxy\"} 1\n"));
    ck_assert(!prints("op=\"query\"")); /* what did not happen is not listed */
}
END_TEST

START_TEST(every_operation_has_a_label_of_the_fixed_set)
{
    static const struct {
        const char *method, *path, *op;
    } cases[] = {{"POST", COLLECTION "/add", "add"},       {"POST", COLLECTION "/get", "get"},
                 {"POST", COLLECTION "/query", "query"},   {"GET", COLLECTION "/count", "count"},
                 {"POST", COLLECTION "/delete", "delete"}, {"POST", COLLECTION "/search", "search"},
                 {"GET", "/api/v2/heartbeat", "admin"},    {"GET", "/nothing", "other"}};
    char line[100];

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct chroma_route route = route_of(cases[i].method, cases[i].path);

        request_metrics_count_backend(metrics, route.info, 200, 1);
        snprintf(line, sizeof line,
                 "\nchromabouncer_backend_requests_total{op=\"%s\",code=\"200\"} 1\n", cases[i].op);
        ck_assert_msg(prints(line), "%s", line);
    }
}
END_TEST

static const struct {
    unsigned    code;
    const char *label;
} codes[] = {{0, "0"},     {201, "201"}, {299, "2xx"}, {302, "3xx"}, {418, "4xx"}, {429, "429"},
             {505, "505"}, {599, "5xx"}, {600, "0"},   {999, "0"},   {100, "0"},   {199, "0"}};

START_TEST(an_unusual_code_is_counted_as_its_class)
{
    struct chroma_route route = route_of("GET", "/api/v2/heartbeat");
    char                line[100];

    request_metrics_count(metrics, route.info, codes[_i].code, REQUEST_METRICS_SOURCE_BACKEND, 1);
    snprintf(line, sizeof line, "requests_total{op=\"admin\",code=\"%s\",source=\"backend\"} 1\n",
             codes[_i].label);
    ck_assert_msg(prints(line), "%s", line);
}
END_TEST

START_TEST(gauges_and_reasons_are_printed)
{
    metrics->inflight[CHROMA_CLASS_READ] = 7;
    metrics->shed[STATUS_BACKEND_DOWN] = 3;
    metrics->aborted = 5;
    ck_assert(prints("\nchromabouncer_inflight_requests{class=\"read\"} 7\n"));
    ck_assert(prints("\nchromabouncer_inflight_requests{class=\"write\"} 0\n"));
    ck_assert(prints("} 3\n"));
    ck_assert(prints("\nchromabouncer_requests_aborted_total 5\n"));
}
END_TEST

START_TEST(sources_have_names)
{
    ck_assert_str_eq(request_metrics_source_name(REQUEST_METRICS_SOURCE_BACKEND), "backend");
    ck_assert_str_eq(request_metrics_source_name(REQUEST_METRICS_SOURCE_PROXY), "proxy");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("request_metrics");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_request_is_counted_by_operation_code_and_source);
    tcase_add_test(tcase, every_operation_has_a_label_of_the_fixed_set);
    tcase_add_loop_test(tcase, an_unusual_code_is_counted_as_its_class, 0, COUNT_OF(codes));
    tcase_add_test(tcase, gauges_and_reasons_are_printed);
    tcase_add_test(tcase, sources_have_names);
    return check_main("request_metrics", tcase);
}
