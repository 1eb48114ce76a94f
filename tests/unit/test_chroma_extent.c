/* What must hold: a get is unfiltered exactly if nothing bounds it, however that is written; a
 * query wants what n_results says; and what cannot be read says nothing. */
#include "chroma/chroma_extent.h"
#include "support/check_main.h"

static struct chroma_extent extent;

static bool is_unfiltered(const char *body)
{
    ck_assert_int_eq(chroma_extent_read(CHROMA_OPERATION_GET, bytes_of(body), &extent), STATUS_OK);
    return extent.is_unfiltered;
}

static uint64_t n_results(const char *body)
{
    ck_assert_int_eq(chroma_extent_read(CHROMA_OPERATION_QUERY, bytes_of(body), &extent),
                     STATUS_OK);
    return extent.n_results;
}

static bool says_nothing(enum chroma_operation operation, const char *body)
{
    return chroma_extent_read(operation, bytes_of(body), &extent) == STATUS_INVALID;
}

START_TEST(a_get_without_any_bound_is_of_everything)
{
    ck_assert(is_unfiltered("{}"));
    ck_assert(is_unfiltered("{\"ids\":null,\"where\":null,\"limit\":null,\"offset\":null,"
                            "\"where_document\":null,\"include\":[\"metadatas\",\"documents\"]}"));
    ck_assert(is_unfiltered("{\"where\": { }, \"where_document\":{},\"offset\":5}"));
    ck_assert(is_unfiltered("{\"other\":{\"ids\":[\"a\"],\"limit\":1}}"));
}
END_TEST

START_TEST(each_bound_is_one)
{
    ck_assert(!is_unfiltered("{\"ids\":[\"a\"]}"));
    ck_assert(!is_unfiltered("{\"ids\":[]}"));
    ck_assert(!is_unfiltered("{\"where\":{\"a\":1}}"));
    ck_assert(!is_unfiltered("{\"where_document\":{\"$contains\":\"a\"}}"));
    ck_assert(!is_unfiltered("{\"include\":[],\"limit\":0}"));
    ck_assert(!is_unfiltered("{\"li\\u006dit\":10}"));
}
END_TEST

START_TEST(a_query_wants_what_it_says_or_ten)
{
    ck_assert_uint_eq(n_results("{\"query_embeddings\":[[1,2]]}"), 10);
    ck_assert_uint_eq(n_results("{\"n_results\":null}"), 10);
    ck_assert_uint_eq(n_results("{\"query_embeddings\":[[1,2]],\"n_results\": 5000 }"), 5000);
    ck_assert_uint_eq(n_results("{\"where\":{\"n_results\":7},\"n_results\":3}"), 3);
    ck_assert_uint_eq(n_results("{\"n_results\":999999999999999999}"), 999999999999999999);
}
END_TEST

START_TEST(what_cannot_be_read_says_nothing)
{
    ck_assert(says_nothing(CHROMA_OPERATION_GET, ""));
    ck_assert(says_nothing(CHROMA_OPERATION_GET, "[]"));
    ck_assert(says_nothing(CHROMA_OPERATION_GET, "{\"include\":["));
    ck_assert(says_nothing(CHROMA_OPERATION_GET, "{\"where\":{"));
    ck_assert(says_nothing(CHROMA_OPERATION_GET, "{\"where\":nul}"));
    ck_assert(says_nothing(CHROMA_OPERATION_QUERY, "{\"n_results\":-1}"));
    ck_assert(says_nothing(CHROMA_OPERATION_QUERY, "{\"n_results\":1.5}"));
    ck_assert(says_nothing(CHROMA_OPERATION_QUERY, "{\"n_results\":\"9\"}"));
    ck_assert(says_nothing(CHROMA_OPERATION_QUERY, "{\"n_results\":1000000000000000000}"));
    ck_assert(says_nothing(CHROMA_OPERATION_QUERY, "{\"query_embeddings\":[[1,]]}"));
    ck_assert(says_nothing(CHROMA_OPERATION_COUNT, "{}"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_extent");

    tcase_add_test(tcase, a_get_without_any_bound_is_of_everything);
    tcase_add_test(tcase, each_bound_is_one);
    tcase_add_test(tcase, a_query_wants_what_it_says_or_ten);
    tcase_add_test(tcase, what_cannot_be_read_says_nothing);
    return check_main("chroma_extent", tcase);
}
