/* What must hold: bodies that Chroma answers alike have one digest, others never have; what is not
 * understood has none. tests/e2e/test_cache.py asks a real server. */
#include "chroma/chroma_query.h"

#include <stdio.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "support/check_main.h"

#define COLLECTION "/collections/8ecf0f7e-e806-47f8-96a1-4732ef42359e/"

static const unsigned char key[KEYED_DIGEST_KEY_SIZE] = "an arbitrary key of 32 bytes....";
static struct chroma_query query;

static enum status read_at(const char *path, bool null_is_default, struct bytes body)
{
    struct chroma_route route;
    const char         *reason = NULL;
    bool                is_count = strstr(path, "/count") != NULL;
    enum status         status;

    chroma_route_find(is_count ? BYTES_LITERAL("GET") : BYTES_LITERAL("POST"), bytes_of(path),
                      &route);
    status = chroma_query_read(&route, null_is_default, body, key, &query, &reason);
    ck_assert((reason == NULL) == (status == STATUS_OK));
    return status;
}

static const char *path_of(const char *operation)
{
    static char path[200];

    snprintf(path, sizeof path, "/api/v2/tenants/t/databases/d" COLLECTION "%s", operation);
    return path;
}

static enum status read_query(const char *body)
{
    return read_at(path_of("query"), true, bytes_of(body));
}

static enum status read_get(const char *body)
{
    return read_at(path_of("get"), true, bytes_of(body));
}

typedef enum status read_fn(const char *body);

/* Bodies of one row have one digest, those of two rows have two. NULL ends a row. */
static void check_rows(read_fn *read, const char *const *bodies, size_t count)
{
    static unsigned char digests[100][KEYED_DIGEST_SIZE];
    static unsigned      rows[100];
    unsigned             row = 0;

    for (size_t i = 0; i < count; i++) {
        if (bodies[i] == NULL) {
            rows[i] = 0;
            row++;
            continue;
        }
        ck_assert_msg(read(bodies[i]) == STATUS_OK, "%s", bodies[i]);
        memcpy(digests[i], query.digest, sizeof query.digest);
        rows[i] = row + 1;
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(rows[j] == 0 || (memcmp(digests[i], digests[j], sizeof digests[i]) ==
                                           0) == (rows[i] == rows[j]),
                          "%s\n%s", bodies[j], bodies[i]);
    }
}

#define CHECK_ROWS(read, ...)                                                                      \
    do {                                                                                           \
        static const char *const bodies[] = {__VA_ARGS__};                                         \
        check_rows(read, bodies, COUNT_OF(bodies));                                                \
    } while (0)

#define CHECK_REFUSED(read, ...)                                                                   \
    do {                                                                                           \
        static const char *const bodies[] = {__VA_ARGS__};                                         \
        for (size_t i = 0; i < COUNT_OF(bodies); i++)                                              \
            ck_assert_msg(read(bodies[i]) == STATUS_INVALID, "%s", bodies[i]);                     \
    } while (0)

#define Q "\"query_embeddings\":[[1,2.5]]"

START_TEST(queries_are_the_same_if_chroma_reads_the_same)
{
    CHECK_ROWS(read_query, "{" Q "}", " {\n\"query_embeddings\" : [ [ 1.0 , 25e-1 ] ] } ",
               "{\"query\\u005fembeddings\":[[1,2.50000]]}", "{" Q ",\"n_results\":10}",
               "{\"n_results\":null," Q "}",
               "{" Q ",\"ids\":null,\"where\":null,\"where_document\":null,\"n_results\":10}",
               "{\"include\":[\"documents\",\"metadatas\",\"distances\"]," Q "}", NULL,
               "{" Q ",\"n_results\":11}", NULL, "{" Q ",\"n_results\":1}",
               "{\"n_results\":1," Q "}", NULL, "{" Q ",\"n_results\":0}", NULL,
               "{" Q ",\"include\":[\"metadatas\",\"documents\",\"distances\"]}", NULL,
               "{" Q ",\"include\":[]}", NULL, "{" Q ",\"include\":[\"uris\"]}", NULL,
               "{" Q ",\"include\":[\"uris\",\"uris\"]}", NULL,
               "{" Q ",\"include\":[\"embeddings\"]}", NULL, "{" Q ",\"ids\":[]}", NULL,
               "{" Q ",\"ids\":[\"a\"]}", "{" Q ",\"ids\":[\"\\u0061\"]}", NULL,
               "{" Q ",\"ids\":[\"a\",\"b\"]}", NULL, "{" Q ",\"ids\":[\"b\",\"a\"]}", NULL,
               "{" Q ",\"ids\":[\"ab\"]}", NULL, "{" Q ",\"ids\":[\"a\\u0000\"]}", NULL,
               "{" Q ",\"ids\":[\"\"]}", NULL, "{" Q ",\"ids\":[\"\",\"\"]}", NULL,
               "{" Q ",\"ids\":[\"\\u0000\"]}");
}
END_TEST

START_TEST(vectors_are_the_same_if_their_floats_are)
{
    CHECK_ROWS(
        read_query, "{\"query_embeddings\":[[0.1]]}",
        "{\"query_embeddings\":[[0.10000000149011612]]}", "{\"query_embeddings\":[[1e-1]]}",
        "{\"query_embeddings\":[[0.10000000149]]}", NULL, "{\"query_embeddings\":[[0.10000001]]}",
        NULL, "{\"query_embeddings\":[[-0.1]]}", NULL, "{\"query_embeddings\":[[0]]}",
        "{\"query_embeddings\":[[-0.0]]}", "{\"query_embeddings\":[[0.0e0]]}", NULL,
        "{\"query_embeddings\":[]}", NULL, "{\"query_embeddings\":[[]]}", NULL,
        "{\"query_embeddings\":[[],[]]}", NULL, "{\"query_embeddings\":[[1,2,3,4]]}", NULL,
        "{\"query_embeddings\":[[1,2],[3,4]]}", NULL, "{\"query_embeddings\":[[1],[2,3,4]]}", NULL,
        "{\"query_embeddings\":[[1,2,3],[4]]}", NULL, "{\"query_embeddings\":[[1,2,3,4],[]]}", NULL,
        "{\"query_embeddings\":[[1e-45]]}", NULL, "{\"query_embeddings\":[[1e-45],[]]}", NULL,
        "{\"query_embeddings\":[[1.5e-45]]}", NULL,
        "{\"query_embeddings\":[[1.00000005960464477539]]}", NULL,
        "{\"query_embeddings\":[[1e37]]}", "{\"query_embeddings\":[[1.0E37]]}");
    ck_assert(read_query("{\"query_embeddings\":[[1,2,3],[4,5,6e-50]]}") == STATUS_OK);
    ck_assert_uint_eq(query.vector_count, 2);
    ck_assert_uint_eq(query.dimension, 3);
    ck_assert(read_query("{\"query_embeddings\":[[1,2],[4]]}") == STATUS_OK);
    ck_assert_uint_eq(query.dimension, 0);
    ck_assert(read_query("{\"query_embeddings\":[[1,2],[4],[5]]}") == STATUS_OK);
    ck_assert_uint_eq(query.vector_count, 3);
    ck_assert_uint_eq(query.dimension, 0);
}
END_TEST

START_TEST(filters_are_the_same_if_their_values_are)
{
    CHECK_ROWS(
        read_get, "{}", "{\"where\":null}", "{\"limit\":null,\"offset\":null}",
        "{\"include\":[\"documents\",\"metadatas\"]}", NULL, "{\"where\":{\"n\":1}}",
        "{ \"where\" : { \"\\u006e\" : 1 } }", NULL, "{\"where\":{\"n\":1.0}}",
        "{\"where\":{\"n\":1.00}}", "{\"where\":{\"n\":10e-1}}", NULL, "{\"where\":{\"n\":\"1\"}}",
        NULL, "{\"where\":{\"n\":true}}", NULL, "{\"where\":{\"n\":false}}", NULL,
        "{\"where\":{\"n\":null}}", NULL, "{\"where\":{\"n\":-1}}", NULL, "{\"where\":{\"n\":0}}",
        NULL, "{\"where\":{\"n\":-0}}", NULL, "{\"where\":{\"n\":-0.0}}", NULL,
        "{\"where\":{\"n\":0.0}}", NULL, "{\"where\":{\"n\":{\"$eq\":1}}}", NULL,
        "{\"where\":{\"n\":[1]}}", NULL, "{\"where\":{\"n\":[1,1]}}", NULL,
        "{\"where\":{\"n\":[[1],1]}}", NULL, "{\"where\":{\"n\":[[1,1]]}}", NULL,
        "{\"where\":{\"n\":[[1],[1]]}}", NULL, "{\"where\":{\"n\":[[[1],1]]}}", NULL,
        "{\"where\":{\"m\":1}}", NULL, "{\"where_document\":{\"n\":1}}", NULL,
        "{\"where\":{\"n\":1},\"where_document\":{\"n\":1}}",
        "{\"where_document\":{\"n\":1},\"where\":{\"n\":1}}", NULL,
        "{\"where\":{\"$and\":[{\"a\":1},{\"b\":2}]}}", NULL,
        "{\"where\":{\"$and\":[{\"b\":2},{\"a\":1}]}}", NULL, "{\"where\":{\"$and\":[]}}", NULL,
        "{\"where\":{\"n\":1152921504606846977}}", NULL, "{\"where\":{\"n\":1152921504606846976}}",
        NULL, "{\"where\":{\"n\":123456789012345678}}", NULL,
        "{\"where\":{\"n\":0.12345678901234567}}", NULL, "{\"where\":{\"n\":0.12345678901234568}}",
        NULL, "{\"where\":{}}", NULL, "{\"where\":{\"a\":{}}}", NULL,
        "{\"where\":{\"a\":1,\"b\":2}}", NULL, "{\"where\":{\"b\":2,\"a\":1}}", NULL,
        "{\"where\":{\"a\":1,\"a\":1}}", NULL, "{\"where\":{\"a\":{\"b\":1},\"c\":2}}", NULL,
        "{\"where\":{\"a\":{\"b\":1,\"c\":2}}}", NULL, "{\"where\":{\"$and\":[{\"a\":1,\"b\":2}]}}",
        NULL, "{\"where\":{\"$and\":[{\"a\":1},{\"b\":3}]}}", NULL, "{\"limit\":1}", NULL,
        "{\"offset\":1}", NULL, "{\"limit\":1,\"offset\":1}", NULL, "{\"limit\":0}", NULL,
        "{\"ids\":[\"1\"]}", NULL, "{\"ids\":[]}");
}
END_TEST

START_TEST(what_is_not_understood_is_said_to_be_so)
{
    CHECK_REFUSED(
        read_query, "", "null", "[]", "{", "{}", "{" Q "} x", "{" Q ",}", "{" Q ",\"extra\":1}",
        "{" Q ",\"limit\":1}", "{" Q ",\"offset\":null}", "{" Q "," Q "}",
        "{" Q ",\"where\":null,\"where\":{\"a\":1}}", "{" Q ",\"n_results\":1,\"n_results\":1}",
        "{\"query_embeddings\":null}", "{\"query_embeddings\":[1]}",
        "{\"query_embeddings\":[[null]]}", "{\"query_embeddings\":[[\"1\"]]}",
        "{\"query_embeddings\":[\"AACAPw==\"]}", "{\"query_embeddings\":[[NaN]]}",
        "{\"query_embeddings\":[[1e39]]}", "{\"query_embeddings\":[[3.5e38]]}",
        "{\"query_embeddings\":[[1e999]]}", "{\"query_embeddings\":[[01]]}",
        "{\"query_embeddings\":[[1 2]]}", "{\"query_embeddings\":[[1,]]}",
        "{\"query_embeddings\":[[1],]}", "{" Q ",\"n_results\":-1}", "{" Q ",\"n_results\":1.0}",
        "{" Q ",\"n_results\":\"1\"}", "{" Q ",\"n_results\":99999999999}",
        "{" Q ",\"include\":null}", "{" Q ",\"include\":[\"data\"]}", "{" Q ",\"include\":[1]}",
        "{" Q ",\"include\":\"uris\"}", "{" Q ",\"ids\":\"a\"}", "{" Q ",\"ids\":[1]}",
        "{" Q ",\"ids\":[null]}", "{" Q ",\"where\":{\"a\":nul}}", "{" Q ",\"ids\":[\"\\ud800\"]}");
    CHECK_REFUSED(read_get, "", "{\"n_results\":1}", "{" Q "}", "{\"limit\":1.5}",
                  "{\"include\":null}");
    ck_assert(read_at(path_of("count"), true, BYTES_LITERAL("{}")) == STATUS_INVALID);
    ck_assert(read_at(path_of("add"), true, BYTES_LITERAL("{}")) == STATUS_INVALID);
    ck_assert(read_at("/api/v2/heartbeat", true, BYTES_LITERAL("")) == STATUS_INVALID);
    ck_assert(read_at("/api/v1" COLLECTION "get", true, BYTES_LITERAL("{}")) == STATUS_INVALID);
    ck_assert(read_at("/api/v2/tenants/t/databases/d/collections/name/get", true,
                      BYTES_LITERAL("{}")) == STATUS_INVALID);
}
END_TEST

START_TEST(a_body_cut_anywhere_is_not_understood)
{
    static const char body[] =
        "{" Q ",\"n_results\":4,\"ids\":[\"a\\n\",\"b\"],\"where\":{\"$and\":[{\"a\":{\"$gt\":1.5}}"
        ",{\"b\":true}]},\"where_document\":null,\"include\":[\"uris\",\"distances\"]}";

    ck_assert(read_query(body) == STATUS_OK);
    for (size_t size = 0; size < sizeof body - 1; size++) {
        char *copy = malloc(size + 1); /* so that a read beyond it is noticed */

        memcpy(copy, body, size);
        ck_assert(read_at(path_of("query"), true, (struct bytes){copy, size}) == STATUS_INVALID);
        free(copy);
    }
}
END_TEST

START_TEST(operations_and_databases_are_apart)
{
    static const char *const paths[] = {
        "/api/v2/tenants/t/databases/d" COLLECTION "get",
        "/api/v2/tenants/t/databases/d" COLLECTION "count",
        "/api/v2/tenants/t/databases/dd" COLLECTION "count",
        "/api/v2/tenants/td/databases/d" COLLECTION "count",
        "/api/v2/tenants/t/databases/dd" COLLECTION "get",
        "/api/v2/tenants/td/databases/d" COLLECTION "get",
    };
    unsigned char digests[COUNT_OF(paths)][KEYED_DIGEST_SIZE];

    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        bool is_get = strstr(paths[i], "get") != NULL;

        ck_assert(read_at(paths[i], true, bytes_of(is_get ? "{}" : "")) == STATUS_OK);
        memcpy(digests[i], query.digest, sizeof query.digest);
        for (size_t j = 0; j < i; j++)
            ck_assert(memcmp(digests[i], digests[j], sizeof digests[i]) != 0);
    }
}
END_TEST

/* Servers of unknown habits may answer these differently. */
START_TEST(null_and_absence_are_apart_unless_said_to_be_one)
{
    static const char *const bodies[] = {"{" Q "}", "{" Q ",\"ids\":null}",
                                         "{" Q ",\"n_results\":10}", "{" Q ",\"n_results\":null}",
                                         "{" Q ",\"include\":[\"documents\",\"metadatas\","
                                         "\"distances\"]}"};
    unsigned char            digests[COUNT_OF(bodies)][KEYED_DIGEST_SIZE];

    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        ck_assert(read_at(path_of("query"), false, bytes_of(bodies[i])) == STATUS_OK);
        memcpy(digests[i], query.digest, sizeof query.digest);
        for (size_t j = 0; j < i; j++)
            ck_assert(memcmp(digests[i], digests[j], sizeof digests[i]) != 0);
    }
}
END_TEST

START_TEST(what_is_asked_is_told)
{
    ck_assert(read_query("{" Q ",\"n_results\":4,\"ids\":[\"a\",\"b\"], \"where\": {\"a\": 1} }") ==
              STATUS_OK);
    ck_assert_uint_eq(query.field_set, 1U << CHROMA_QUERY_EMBEDDINGS | 1U << CHROMA_QUERY_IDS |
                                           1U << CHROMA_QUERY_WHERE | 1U << CHROMA_QUERY_N_RESULTS);
    ck_assert_uint_eq(query.n_results, 4);
    ck_assert_uint_eq(query.id_count, 2);
    ck_assert_uint_eq(query.vector_count, 1);
    ck_assert_uint_eq(query.dimension, 2);
    ck_assert_uint_eq(query.include_set, CHROMA_QUERY_INCLUDE_DOCUMENTS |
                                             CHROMA_QUERY_INCLUDE_METADATAS |
                                             CHROMA_QUERY_INCLUDE_DISTANCES);
    ck_assert(bytes_equal(query.spans[CHROMA_QUERY_WHERE], BYTES_LITERAL("{\"a\": 1}")));
    ck_assert(bytes_equal(query.spans[CHROMA_QUERY_EMBEDDINGS], BYTES_LITERAL("[[1,2.5]]")));
    ck_assert(read_get("{\"limit\":3,\"offset\":7,\"include\":[\"uris\"]}") == STATUS_OK);
    ck_assert_uint_eq(query.limit, 3);
    ck_assert_uint_eq(query.offset, 7);
    ck_assert_uint_eq(query.include_set, CHROMA_QUERY_INCLUDE_URIS);
}
END_TEST

/* Long strings with escapes are told apart by how they are written, others by what they say. */
START_TEST(long_texts_are_apart)
{
    enum { SIZE = 3000 };
    static char   body[SIZE + 100];
    unsigned char digest[KEYED_DIGEST_SIZE];

    memset(body, 'x', sizeof body);
    memcpy(body, "{\"ids\":[\"\\n", 11);
    memcpy(body + SIZE, "\"]}", 4);
    ck_assert(read_get(body) == STATUS_OK);
    memcpy(digest, query.digest, sizeof digest);
    for (size_t at = 20; at < SIZE; at += 97) {
        body[at] = 'y';
        ck_assert(read_get(body) == STATUS_OK);
        ck_assert(memcmp(digest, query.digest, sizeof digest) != 0);
        body[at] = 'x';
    }
    ck_assert(read_get(body) == STATUS_OK);
    ck_assert_mem_eq(digest, query.digest, sizeof digest);
}
END_TEST

/* A vector longer than what is taken at a time: every float counts. */
START_TEST(every_float_of_a_long_vector_counts)
{
    enum { DIMENSION = 1000 };
    static char   body[20 * DIMENSION];
    unsigned char digest[KEYED_DIGEST_SIZE];

    for (int changed = -1; changed < DIMENSION; changed += changed < 0 ? 1 : 37) {
        int size = sprintf(body, "{\"query_embeddings\":[[");

        for (int i = 0; i < DIMENSION; i++)
            size += sprintf(body + size, "%s%.7f", i == 0 ? "" : ", ",
                            i * 0.001 + (i == changed ? 0.0001 : 0));
        sprintf(body + size, "]]}");
        ck_assert(read_query(body) == STATUS_OK);
        ck_assert_uint_eq(query.dimension, DIMENSION);
        if (changed < 0)
            memcpy(digest, query.digest, sizeof digest);
        else
            ck_assert(memcmp(digest, query.digest, sizeof digest) != 0);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_query");

    tcase_add_test(tcase, queries_are_the_same_if_chroma_reads_the_same);
    tcase_add_test(tcase, vectors_are_the_same_if_their_floats_are);
    tcase_add_test(tcase, filters_are_the_same_if_their_values_are);
    tcase_add_test(tcase, what_is_not_understood_is_said_to_be_so);
    tcase_add_test(tcase, a_body_cut_anywhere_is_not_understood);
    tcase_add_test(tcase, operations_and_databases_are_apart);
    tcase_add_test(tcase, null_and_absence_are_apart_unless_said_to_be_one);
    tcase_add_test(tcase, what_is_asked_is_told);
    tcase_add_test(tcase, long_texts_are_apart);
    tcase_add_test(tcase, every_float_of_a_long_vector_counts);
    return check_main("chroma_query", tcase);
}
