/* What must hold: of the fields that give a time the smallest well-formed one counts, the others
 * are counted, and nothing else is read. */
#include <string.h>

#include "calls/client_deadline.h"
#include "http/http_field.h"
#include "support/check_main.h"

enum { lines_max = 4 };

#define NONE UINT64_MAX

static const struct {
    const char *lines[lines_max];
    uint64_t    time_us; /* NONE: no deadline */
    unsigned    malformed;
} cases[] = {
    {{NULL}, NONE, 0},
    {{"x-timeout: 5"}, NONE, 0},
    {{"x-request-timeout-ms: 1"}, 1000, 0},
    {{"X-Request-Timeout-Ms: 0250"}, 250000, 0},
    {{"x-request-timeout-ms: 9999999999"}, 9999999999000, 0},
    {{"x-request-timeout-ms: 99999999999"}, NONE, 1},
    {{"x-request-timeout-ms: 0"}, NONE, 1},
    {{"x-request-timeout-ms:"}, NONE, 1},
    {{"x-request-timeout-ms: -5"}, NONE, 1},
    {{"x-request-timeout-ms: 5ms"}, NONE, 1},
    {{"x-request-timeout-ms: 5.5"}, NONE, 1},
    {{"x-request-timeout-ms: 5, 6"}, NONE, 1},
    {{"x-envoy-expected-rq-timeout-ms: 15000"}, 15000000, 0},
    {{"grpc-timeout: 1H"}, 3600000000, 0},
    {{"grpc-timeout: 2M"}, 120000000, 0},
    {{"grpc-timeout: 3S"}, 3000000, 0},
    {{"grpc-timeout: 400m"}, 400000, 0},
    {{"grpc-timeout: 5000u"}, 5000, 0},
    {{"grpc-timeout: 1500n"}, 2, 0},
    {{"grpc-timeout: 99999999H"}, 359999996400000000, 0},
    {{"grpc-timeout: 100000000S"}, NONE, 1},
    {{"grpc-timeout: S"}, NONE, 1},
    {{"grpc-timeout: 5"}, NONE, 1},
    {{"grpc-timeout: 5s"}, NONE, 1},
    {{"grpc-timeout: 0S"}, NONE, 1},
    {{"grpc-timeout: 5 S"}, NONE, 1},
    {{"x-request-timeout-ms: 300", "grpc-timeout: 200m", "x-envoy-expected-rq-timeout-ms: 250"},
     200000,
     0},
    {{"grpc-timeout: 1S", "x-request-timeout-ms: 100", "x-request-timeout-ms: 50"}, 50000, 0},
    {{"grpc-timeout: soon", "x-request-timeout-ms: 100", "x-request-timeout-ms: x"}, 100000, 2},
};

START_TEST(the_smallest_well_formed_time_counts)
{
    struct http_head head = {.field_count = 0};
    struct error     error;
    const char      *field = NULL;
    uint64_t         time_us;
    unsigned         malformed;
    bool             is_given;

    for (size_t i = 0; i < lines_max && cases[_i].lines[i] != NULL; i++)
        ck_assert_int_eq(http_field_parse(bytes_of(cases[_i].lines[i]),
                                          &head.fields[head.field_count++], &error),
                         STATUS_OK);
    is_given = client_deadline_read(&head, &time_us, &field, &malformed);
    ck_assert_uint_eq(malformed, cases[_i].malformed);
    ck_assert(is_given == (cases[_i].time_us != NONE));
    if (!is_given)
        return;
    ck_assert_uint_eq(time_us, cases[_i].time_us);
    ck_assert_ptr_nonnull(field);
}
END_TEST

START_TEST(the_field_that_counts_is_named)
{
    static const char *const lines[] = {"x-request-timeout-ms: 3", "grpc-timeout: 3m",
                                        "x-envoy-expected-rq-timeout-ms: 3"};
    struct http_head         head = {.field_count = 1};
    struct error             error;
    const char              *field;
    uint64_t                 time_us;
    unsigned                 malformed;

    ck_assert_int_eq(http_field_parse(bytes_of(lines[_i]), &head.fields[0], &error), STATUS_OK);
    ck_assert(client_deadline_read(&head, &time_us, &field, &malformed));
    ck_assert(strncmp(lines[_i], field, strlen(field)) == 0);
    ck_assert_int_eq(lines[_i][strlen(field)], ':');
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("client_deadline");

    tcase_add_loop_test(tcase, the_smallest_well_formed_time_counts, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_loop_test(tcase, the_field_that_counts_is_named, 0, 3);
    return check_main("client_deadline", tcase);
}
