/* What must hold: an answer of Chroma is read to the bit, and anything else is refused. */
#include "mirror/mirror_page.h"

#include <math.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/rng.h"
#include "support/check_main.h"

static struct mirror_page page;
static const char        *reason;

static void teardown(void)
{
    mirror_page_done(&page);
}

static void check_text(bool has, struct bytes text, const char *expected)
{
    ck_assert(has == (expected != NULL));
    ck_assert(expected == NULL || bytes_equal(text, bytes_of(expected)));
}

START_TEST(an_answer_is_read)
{
    ck_assert_int_eq(
        mirror_page_read(
            BYTES_LITERAL(
                "{\"ids\":[\"a\",\"\\u00e9\\n\"],\"embeddings\":[[1.0,-0.0,1e-45],[0.1,2,3."
                "4028235e38]],"
                "\"documents\":[\"one\\t\",null],\"uris\":[null,\"\"],\"metadatas\":[null,{\"k\":1,"
                "\"x\":[\"y\"]}],\"include\":[\"documents\"],\"later\":{}}"),
            true, &page, &reason),
        STATUS_OK);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_uint_eq(page.dimension, 3);
    ck_assert(bytes_equal(page.ids[0], BYTES_LITERAL("a")));
    ck_assert(bytes_equal(page.ids[1], BYTES_LITERAL("\xc3\xa9\n")));
    check_text(page.records[0].value.has_document, page.records[0].value.document, "one\t");
    check_text(page.records[1].value.has_document, page.records[1].value.document, NULL);
    check_text(page.records[0].value.has_uri, page.records[0].value.uri, NULL);
    check_text(page.records[1].value.has_uri, page.records[1].value.uri, "");
    ck_assert_uint_eq(page.records[0].value.metadata.size, 0);
    ck_assert(
        bytes_equal(page.records[1].value.metadata, BYTES_LITERAL("{\"k\":1,\"x\":[\"y\"]}")));
    ck_assert_uint_eq(page.records[1].metadata->count, 2);
    ck_assert(page.vectors[0] == 1 && page.vectors[1] == 0 && signbit(page.vectors[1]));
    ck_assert(page.vectors[2] == 1e-45F && page.vectors[3] == 0.1F && page.vectors[4] == 2);
    ck_assert(page.vectors[5] == 3.4028235e38F);
}
END_TEST

START_TEST(only_ids_may_be_looked_at)
{
    ck_assert_int_eq(mirror_page_read(BYTES_LITERAL("{\"ids\":[\"a\",\"b\"],\"embeddings\":null,"
                                                    "\"documents\":[1]}"),
                                      false, &page, &reason),
                     STATUS_OK);
    ck_assert_uint_eq(page.count, 2);
    ck_assert_ptr_null(page.records);
    ck_assert(bytes_equal(page.ids[1], BYTES_LITERAL("b")));
}
END_TEST

START_TEST(no_record_is_an_answer)
{
    ck_assert_int_eq(
        mirror_page_read(BYTES_LITERAL("{\"ids\":[],\"embeddings\":[]}"), true, &page, &reason),
        STATUS_OK);
    ck_assert_uint_eq(page.count, 0);
}
END_TEST

/* The number of significant digits that Chroma would write is that of the shortest text. */
START_TEST(every_float_is_read_to_the_bit)
{
    enum { FLOATS = 200 };
    static char  answer[10000];
    static float vector[FLOATS];
    struct rng   rng;

    rng_init(&rng, 1);
    for (int round = 0; round < 500; round++) {
        size_t size = (size_t)snprintf(
            answer, sizeof answer,
            "{\"ids\":[\"a\"],\"documents\":[null],\"uris\":[null],\"metadatas\":[null],"
            "\"embeddings\":[[");

        for (int i = 0; i < FLOATS; i++) {
            uint32_t bits = (uint32_t)rng_next(&rng);
            int      digits = 1;
            char     text[32];

            if (rng_below(&rng, 20) == 0)
                bits &= UINT32_C(1) << 31;
            if ((bits >> 23 & 255) == 255)
                bits ^= UINT32_C(1) << 30;
            memcpy(&vector[i], &bits, sizeof bits);
            do
                snprintf(text, sizeof text, "%.*g", digits, (double)vector[i]);
            while (digits++ < 9 && strtof(text, NULL) != vector[i]);
            size += (size_t)snprintf(answer + size, sizeof answer - size, "%s%s", i == 0 ? "" : ",",
                                     text);
        }
        snprintf(answer + size, sizeof answer - size, "]]}");
        ck_assert_int_eq(mirror_page_read(bytes_of(answer), true, &page, &reason), STATUS_OK);
        ck_assert_uint_eq(page.dimension, FLOATS);
        ck_assert_mem_eq(page.vectors, vector, sizeof vector);
        mirror_page_done(&page);
    }
}
END_TEST

#define TEXTS(documents, uris) "\"documents\":" documents ",\"uris\":" uris

START_TEST(anything_else_is_refused)
{
    static const char *const answers[] = {
        "",
        "[]",
        "{}",
        "{\"ids\":null}",
        "{\"ids\":[1]}",
        "{\"ids\":[\"\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("[null]", "[null]") "}",
        "{\"ids\":[\"a\"],\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS(
            "[null]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("[null]", "[null]"),
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("[null]",
                                                                            "[null]") "}x",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("null", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("[]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("[null,null]",
                                                                            "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("[1]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null]," TEXTS("[null]", "[{}]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[]," TEXTS("[null]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[null,null]," TEXTS("[null]",
                                                                                 "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[1]," TEXTS("[null]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1]],\"metadatas\":[{\"k\":null}]," TEXTS("[null]",
                                                                                    "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":null,\"metadatas\":[null]," TEXTS("[null]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[],\"metadatas\":[null]," TEXTS("[null]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[null],\"metadatas\":[null]," TEXTS("[null]",
                                                                             "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[]],\"metadatas\":[null]," TEXTS("[null]", "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[\"1\"]],\"metadatas\":[null]," TEXTS("[null]",
                                                                                "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1e39]],\"metadatas\":[null]," TEXTS("[null]",
                                                                               "[null]") "}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1],[1]],\"metadatas\":[null]," TEXTS("[null]",
                                                                                "[null]") "}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1],[1,2]],\"metadatas\":[null,null]," TEXTS(
            "[null,null]", "[null,null]") "}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1,2],[1]],\"metadatas\":[null,null]," TEXTS(
            "[null,null]", "[null,null]") "}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[0,0],[0]],\"metadatas\":[null,null]," TEXTS(
            "[null,null]", "[null,null]") "}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1,2],null],\"metadatas\":[null,null]," TEXTS(
            "[null,null]", "[null,null]") "}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1,2]],\"metadatas\":[null,null]," TEXTS(
            "[null,null]", "[null,null]") "}",
    };

    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        reason = NULL;
        ck_assert_msg(mirror_page_read(bytes_of(answers[i]), true, &page, &reason) ==
                          STATUS_NOT_IMPLEMENTED,
                      "%s", answers[i]);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

/* Told before a vector is allocated for each record. */
START_TEST(memory_is_in_proportion_to_the_answer)
{
    enum { COUNT = 5000, SIZE = 200000 };
    const char *const columns[] = {"metadatas", "documents", "uris", "embeddings"};
    static char       answer[SIZE];
    size_t            size = (size_t)snprintf(answer, sizeof answer, "{\"ids\":[");

    for (int i = 0; i < COUNT; i++)
        size += (size_t)snprintf(answer + size, SIZE - size, "%s\"%d\"", i == 0 ? "" : ",", i);
    for (int column = 0; column < 4; column++) {
        size += (size_t)snprintf(answer + size, SIZE - size, "],\"%s\":[", columns[column]);
        if (column == 3) {
            for (int i = 0; i < COUNT; i++)
                size += (size_t)snprintf(answer + size, SIZE - size, i == 0 ? "[1" : ",1");
            size += (size_t)snprintf(answer + size, SIZE - size, "],");
        }
        for (int i = column == 3; i < COUNT; i++)
            size +=
                (size_t)snprintf(answer + size, SIZE - size, i <= (column == 3) ? "null" : ",null");
    }
    size += (size_t)snprintf(answer + size, SIZE - size, "]}");
    ck_assert_uint_lt(size, SIZE);
    ck_assert_int_eq(mirror_page_read(bytes_of(answer), true, &page, &reason),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_str_eq(reason, "an answer with vectors of different dimensions");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_page");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_test(tcase, an_answer_is_read);
    tcase_add_test(tcase, only_ids_may_be_looked_at);
    tcase_add_test(tcase, no_record_is_an_answer);
    tcase_add_test(tcase, every_float_is_read_to_the_bit);
    tcase_add_test(tcase, anything_else_is_refused);
    tcase_add_test(tcase, memory_is_in_proportion_to_the_answer);
    return check_main("mirror_page", tcase);
}
