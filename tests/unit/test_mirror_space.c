/* Whether a collection is searched in the space that its description says. */
#include <math.h>
#include <stdio.h>

#include "mirror/mirror_space.h"
#include "support/check_main.h"

#define REST "\"documents\":null,\"include\":[\"distances\",\"embeddings\"],\"uris\":[[null]]"

static enum mirror_space_result answer(const char *embeddings, const char *distances)
{
    char text[400];

    snprintf(text, sizeof text, "{\"ids\":[[\"a\"]],\"embeddings\":%s," REST ",\"distances\":%s}",
             embeddings, distances);
    return mirror_space_read(bytes_of(text), 3);
}

START_TEST(it_asks_for_the_nearest_of_a_long_vector)
{
    struct byte_buffer body = {0};

    ck_assert_int_eq(mirror_space_print(3, &body), STATUS_OK);
    ck_assert(bytes_equal(byte_buffer_bytes(&body),
                          BYTES_LITERAL("{\"query_embeddings\":[[0.75,-2.50,2.25]],\"n_results\":1,"
                                        "\"include\":[\"embeddings\",\"distances\"]}")));
    byte_buffer_done(&body);
}
END_TEST

/* Of [1,0,0]: 0.0625 + 6.25 + 5.0625; by cosine 1 - 0.75 / 3.446; by inner product 0.25. */
START_TEST(distances_tell_the_space)
{
    ck_assert_int_eq(answer("[[[1.0,0.0,0]]]", "[[11.375]]"), MIRROR_SPACE_FITS);
    ck_assert_int_eq(answer("[[[1.0,0.0,0]]]", "[[11.375001]]"), MIRROR_SPACE_FITS);
    ck_assert_int_eq(answer("[[[1.0,0.0,0]]]", "[[0.78236]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1.0,0.0,0]]]", "[[0.25]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1.0,0.0,0]]]", "[[11.4]]"), MIRROR_SPACE_DIFFERS);
}
END_TEST

START_TEST(what_is_not_understood_is_no_proof)
{
    ck_assert_int_eq(answer("[[]]", "[[]]"), MIRROR_SPACE_EMPTY);
    ck_assert_int_eq(answer("[[[1,0,0]]]", "[[]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[]]", "[[1]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1,0]]]", "[[11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1,0,0,0]]]", "[[11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1,0,0],[1,0,0]]]", "[[11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1,0,0]]]", "[[11.375,11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1,0,null]]]", "[[11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1,0,0]],[]]", "[[11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("null", "[[11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(answer("[[[1,0,0", "[[11.375]]"), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(mirror_space_read(BYTES_LITERAL("[]"), 3), MIRROR_SPACE_DIFFERS);
    ck_assert_int_eq(mirror_space_read(BYTES_LITERAL(""), 3), MIRROR_SPACE_DIFFERS);
}
END_TEST

START_TEST(metadata_that_says_another_space_is_doubted)
{
    ck_assert(!mirror_space_doubts(BYTES_LITERAL("{\"name\":\"a\",\"metadata\":null}")));
    ck_assert(
        !mirror_space_doubts(BYTES_LITERAL("{\"metadata\":{\"a\":[1]},\"b\":{\"hnsw:space\":1}}")));
    ck_assert(!mirror_space_doubts(BYTES_LITERAL("{\"metadata\":{\"hnsw:space\":\"l2\"}}")));
    ck_assert(mirror_space_doubts(BYTES_LITERAL("{\"metadata\":{\"x\":1,\"hnsw:space\":\"ip\"}}")));
    ck_assert(mirror_space_doubts(BYTES_LITERAL("{\"metadata\":{\"hnsw:space\":1}}")));
    ck_assert(mirror_space_doubts(BYTES_LITERAL("{\"metadata\":{\"hnsw:space\":\"l2\"}")));
    ck_assert(mirror_space_doubts(BYTES_LITERAL("[]")));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_space");

    tcase_add_test(tcase, it_asks_for_the_nearest_of_a_long_vector);
    tcase_add_test(tcase, distances_tell_the_space);
    tcase_add_test(tcase, what_is_not_understood_is_no_proof);
    tcase_add_test(tcase, metadata_that_says_another_space_is_doubted);
    return check_main("mirror_space", tcase);
}
