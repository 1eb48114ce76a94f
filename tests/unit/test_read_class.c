/* What must hold: bodies as clients write them are told apart by what they cost, wherever vectors
 * stand in them, and whatever a body holds, it is some class. */
#include <stdio.h>

#include "base/byte_buffer.h"
#include "calls/read_class.h"
#include "support/check_main.h"

static enum concurrency_class class_of(enum chroma_operation operation, const char *body)
{
    return read_class_find(operation, bytes_of(body), false);
}

/* `before`, `count` vectors of 384 numbers, `after`. */
static enum concurrency_class class_of_query(const char *before, size_t count, const char *after)
{
    struct byte_buffer body = {0};
    enum concurrency_class class;

    ck_assert_int_eq(byte_buffer_printf(&body, SIZE_MAX, "{%s\"query_embeddings\":[", before),
                     STATUS_OK);
    for (size_t i = 0; i < count * 384; i++)
        ck_assert_int_eq(byte_buffer_printf(&body, SIZE_MAX, "%s0.%017zu%s",
                                            i % 384 == 0 ? (i == 0 ? "[" : ",[") : ",", i,
                                            i % 384 == 383 ? "]" : ""),
                         STATUS_OK);
    ck_assert_int_eq(byte_buffer_printf(&body, SIZE_MAX, "]%s}", after), STATUS_OK);
    class = read_class_find(CHROMA_OPERATION_QUERY, byte_buffer_bytes(&body), false);
    byte_buffer_done(&body);
    return class;
}

START_TEST(a_query_by_python_is_plain_or_filtered)
{
    const char *none = "\"ids\":null,\"where\":null,\"where_document\":null,";
    const char *where = "\"ids\":null,\"where\":{\"topic\":\"a\"},\"where_document\":null,";
    const char *document = "\"where\": {}, \"where_document\": {\"$contains\":\"x\"},";

    ck_assert_int_eq(class_of_query(none, 1, ",\"n_results\":10"), CONCURRENCY_QUERY);
    ck_assert_int_eq(class_of_query(where, 1, ",\"n_results\":10"), CONCURRENCY_FILTERED);
    ck_assert_int_eq(class_of_query(document, 1, ",\"n_results\":10"), CONCURRENCY_FILTERED);
    ck_assert_int_eq(class_of_query("", 1, ",\"where\" : {\"a\":1}"), CONCURRENCY_FILTERED);
}
END_TEST

START_TEST(many_results_or_vectors_are_large)
{
    ck_assert_int_eq(class_of_query("", 1, ",\"n_results\":100"), CONCURRENCY_QUERY);
    ck_assert_int_eq(class_of_query("", 1, ",\"n_results\":101"), CONCURRENCY_LARGE);
    /* 2^64 and 5 */
    ck_assert_int_eq(class_of_query("\"n_results\": 18446744073709551621,", 1, ""),
                     CONCURRENCY_LARGE);
    ck_assert_int_eq(class_of_query("", 4, ""), CONCURRENCY_QUERY);
    ck_assert_int_eq(class_of_query("", 8, ""), CONCURRENCY_LARGE);
    ck_assert_int_eq(read_class_find(CHROMA_OPERATION_QUERY, (struct bytes){0}, true),
                     CONCURRENCY_LARGE);
}
END_TEST

START_TEST(a_get_is_judged_by_what_bounds_it)
{
    ck_assert_int_eq(class_of(CHROMA_OPERATION_GET, "{\"ids\":[\"a\"],\"limit\":null}"),
                     CONCURRENCY_GET);
    ck_assert_int_eq(class_of(CHROMA_OPERATION_GET, "{\"ids\":null,\"limit\":10}"),
                     CONCURRENCY_GET);
    ck_assert_int_eq(class_of(CHROMA_OPERATION_GET, "{\"where\":{\"a\":1},\"limit\":10}"),
                     CONCURRENCY_FILTERED);
    ck_assert_int_eq(class_of(CHROMA_OPERATION_GET, "{\"ids\":null,\"limit\":null}"),
                     CONCURRENCY_LARGE);
    ck_assert_int_eq(class_of(CHROMA_OPERATION_GET, "{\"limit\":1000}"), CONCURRENCY_LARGE);
    ck_assert_int_eq(class_of(CHROMA_OPERATION_COUNT, ""), CONCURRENCY_GET);
}
END_TEST

START_TEST(a_key_inside_a_string_is_none)
{
    ck_assert_int_eq(
        class_of(CHROMA_OPERATION_GET, "{\"ids\":[\"{\\\"where\\\":{\\\"a\\\":1}\"],\"limit\":1}"),
        CONCURRENCY_GET);
}
END_TEST

START_TEST(bodies_that_are_no_json_have_a_class_too)
{
    static const char *const bodies[] = {
        "", "{", "\"where\"", "\"where\":", "\"n_results\":", "\"limit\"  \t:\n"};

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        ck_assert_int_lt(class_of(CHROMA_OPERATION_QUERY, bodies[i]), CONCURRENCY_CLASSES);
        ck_assert_int_lt(class_of(CHROMA_OPERATION_GET, bodies[i]), CONCURRENCY_CLASSES);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("read_class");

    tcase_add_test(tcase, a_query_by_python_is_plain_or_filtered);
    tcase_add_test(tcase, many_results_or_vectors_are_large);
    tcase_add_test(tcase, a_get_is_judged_by_what_bounds_it);
    tcase_add_test(tcase, a_key_inside_a_string_is_none);
    tcase_add_test(tcase, bodies_that_are_no_json_have_a_class_too);
    return check_main("read_class", tcase);
}
