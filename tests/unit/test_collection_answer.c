/* What must hold: descriptions of every server are read, and what is none is not. */
#include "chroma/collection_answer.h"

#include <stdio.h>

#include "base/compiler.h"
#include "support/check_main.h"

#define ID    "\"id\":\"2f7b0c4e-5a51-4b0e-9b59-0a8d8a3d1f00\""
#define NAMED "{" ID ",\"name\":\"docs\","

static bool take(const char *text, struct collection_answer *ret_answer)
{
    struct json_scan scan;

    json_scan_init(&scan, bytes_of(text));
    return collection_answer_take(&scan, ret_answer) && json_scan_end(&scan);
}

static bool is_text(const struct collection_text *text, const char *expected)
{
    return bytes_equal((struct bytes){.data = text->data, .size = text->size}, bytes_of(expected));
}

static const struct {
    const char           *text;
    uint32_t              dimension;
    enum collection_space space;
} descriptions[] = {
    /* 1.0.20 and 1.5.9 */
    {NAMED
     "\"configuration_json\":{\"hnsw\":{\"space\":\"cosine\",\"ef_search\":100},\"spann\":null},"
     "\"metadata\":{\"hnsw:space\":\"cosine\"},\"dimension\":384,\"tenant\":\"t\","
     "\"database\":\"d\",\"log_position\":0,\"version\":0}",
     384, COLLECTION_SPACE_COSINE},
    {NAMED "\"dimension\":null,\"configuration_json\":{\"hnsw\":null,\"spann\":{\"space\":\"ip\"}},"
           "\"tenant\":\"t\",\"database\":\"d\",\"metadata\":{\"hnsw:space\":\"l2\"}}",
     0, COLLECTION_SPACE_IP},
    /* 0.5.23 and 0.6.3: the metadata overrules a default */
    {NAMED "\"configuration_json\":{\"hnsw_configuration\":{\"space\":\"l2\",\"_type\":\"x\"},"
           "\"_type\":\"y\"},\"metadata\":{\"a\":[1],\"hnsw:space\":\"cosine\"},\"dimension\":3,"
           "\"tenant\":\"t\",\"database\":\"d\"}",
     3, COLLECTION_SPACE_COSINE},
    {NAMED "\"metadata\":null,\"configuration_json\":{\"hnsw_configuration\":{\"space\":\"l2\"}},"
           "\"tenant\":\"t\",\"database\":\"d\"}",
     0, COLLECTION_SPACE_L2},
    {NAMED "\"configuration_json\":{\"hnsw\":{\"space\":\"new\"}},\"metadata\":{\"hnsw:space\":1},"
           "\"tenant\":\"t\",\"database\":\"d\",\"dimension\":4294967295}",
     UINT32_MAX, COLLECTION_SPACE_UNKNOWN},
    {NAMED "\"schema\":{\"keys\":{\"name\":\"x\",\"dimension\":9}},\"tenant\":\"t\","
           "\"database\":\"d\",\"configuration_json\":null,\"metadata\":null}",
     0, COLLECTION_SPACE_UNKNOWN},
};

START_TEST(descriptions_of_all_servers_are_read)
{
    struct collection_answer answer;

    ck_assert(take(descriptions[_i].text, &answer));
    ck_assert_uint_eq(answer.uuid[0], 0x2f);
    ck_assert(is_text(&answer.name, "docs") && is_text(&answer.tenant, "t"));
    ck_assert(is_text(&answer.database, "d"));
    ck_assert_uint_eq(answer.dimension, descriptions[_i].dimension);
    ck_assert_int_eq(answer.space, descriptions[_i].space);
}
END_TEST

START_TEST(texts_are_decoded)
{
    struct collection_answer answer;

    ck_assert(take("{" ID ",\"name\":\"\\u0064\\\"s\"}", &answer));
    ck_assert(is_text(&answer.name, "d\"s") && answer.tenant.size == 0);
}
END_TEST

static const char *const others[] = {
    "",
    "[]",
    "{}",
    "null",
    "{" ID "}",
    "{\"name\":\"docs\"}",
    "{" ID ",\"name\":\"\"}",
    "{" ID ",\"name\":null}",
    "{" ID ",\"name\":1}",
    "{\"id\":\"docs\",\"name\":\"docs\"}",
    "{\"id\":null,\"name\":\"docs\"}",
    "{" ID ",\"name\":\"docs\"",
    NAMED "\"dimension\":-1}",
    NAMED "\"dimension\":1.5}",
    NAMED "\"dimension\":4294967296}",
    NAMED "\"dimension\":\"3\"}",
    NAMED "\"tenant\":{}}",
    NAMED "\"metadata\":{\"hnsw:space\":}}",
    NAMED "\"configuration_json\":{\"hnsw\":{\"space\":\"l2\"}",
    NAMED "\"x\":1} x",
};

START_TEST(what_is_no_description_is_not_read)
{
    struct collection_answer answer;

    ck_assert_msg(!take(others[_i], &answer), "%s", others[_i]);
}
END_TEST

START_TEST(a_text_that_is_too_long_is_not_read)
{
    struct collection_answer answer;
    char                     text[COLLECTION_ANSWER_TEXT_MAX + 200];

    for (int excess = 0; excess < 2; excess++) {
        int size =
            sprintf(text, "{" ID ",\"name\":\"%0*d\"}", COLLECTION_ANSWER_TEXT_MAX + excess, 0);

        ck_assert_int_lt(size, (int)sizeof text);
        ck_assert_int_eq(take(text, &answer), excess == 0);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_answer");

    tcase_add_loop_test(tcase, descriptions_of_all_servers_are_read, 0, COUNT_OF(descriptions));
    tcase_add_test(tcase, texts_are_decoded);
    tcase_add_loop_test(tcase, what_is_no_description_is_not_read, 0, COUNT_OF(others));
    tcase_add_test(tcase, a_text_that_is_too_long_is_not_read);
    return check_main("collection_answer", tcase);
}
