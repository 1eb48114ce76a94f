/* What must hold: only a collection all of whose keys can be filtered by passes. The texts are
 * Chroma 1.5.9's. */
#include "chroma/collection_schema.h"

#include <stdio.h>
#include <string.h>

#include "support/check_main.h"

#define INVERTED(type, enabled)                                                                    \
    "\"" type "\":{\"" type "_inverted_index\":{\"enabled\":" enabled ",\"config\":{}}}"
#define STRING(fts, inverted)                                                                      \
    "\"string\":{\"fts_index\":{\"enabled\":" fts                                                  \
    ",\"config\":{}},\"string_inverted_index\":{\"enabled\":" inverted ",\"config\":{}}}"
#define VECTOR(enabled)                                                                            \
    "\"float_list\":{\"vector_index\":{\"enabled\":" enabled                                       \
    ",\"config\":{\"space\":\"l2\",\"hnsw\":{\"ef_search\":100}}}}"
#define SPARSE(enabled)                                                                            \
    "\"sparse_vector\":{\"sparse_vector_index\":{\"enabled\":" enabled                             \
    ",\"config\":{\"embedding_function\":{\"type\":\"unknown\"},\"bm25\":false}}}"
#define DEFAULTS                                                                                   \
    "\"defaults\":{" STRING("false", "true") "," VECTOR("false") "," SPARSE("false") "," INVERTED( \
        "int", "true") "," INVERTED("float", "true") "," INVERTED("bool", "true") "}"
#define OWN_KEYS "\"#embedding\":{" VECTOR("true") "},\"#document\":{" STRING("true", "false") "}"

static bool is_default(const char *schema)
{
    char body[4000];

    ck_assert_int_lt(snprintf(body, sizeof body,
                              "{\"id\":\"x\",\"configuration_json\":{\"hnsw\":{\"space\":\"l2\"}},"
                              "\"schema\":%s,\"version\":0}",
                              schema),
                     (int)sizeof body);
    return collection_schema_is_default(bytes_of(body));
}

START_TEST(the_default_passes)
{
    ck_assert(is_default("{" DEFAULTS ",\"keys\":{" OWN_KEYS "}}"));
    ck_assert(is_default("{\"keys\":{" OWN_KEYS ",\"s\":{" STRING(
        "false", "true") "},\"i\":{" INVERTED("int", "true") ",\"float\":null}}," DEFAULTS "}"));
    ck_assert(is_default("null"));
    ck_assert(collection_schema_is_default(BYTES_LITERAL("{\"id\":\"x\"}")));
}
END_TEST

START_TEST(what_cannot_be_filtered_by_does_not)
{
    ck_assert(!is_default("{" DEFAULTS ",\"keys\":{" OWN_KEYS
                          ",\"zz\":{" INVERTED("string", "false") "}}}"));
    ck_assert(!is_default("{" DEFAULTS ",\"keys\":{" OWN_KEYS
                          ",\"zz\":{" INVERTED("int", "false") "}}}"));
    ck_assert(
        !is_default("{" DEFAULTS ",\"keys\":{\"#document\":{" STRING("false", "false") "}}}"));
    ck_assert(!is_default("{" DEFAULTS ",\"keys\":{\"#embedding\":{" VECTOR("false") "}}}"));
    ck_assert(
        !is_default("{\"defaults\":{" INVERTED("bool", "false") "},\"keys\":{" OWN_KEYS "}}"));
    ck_assert(!is_default("{\"defaults\":{" INVERTED("float", "false") "}}"));
}
END_TEST

START_TEST(what_is_not_the_default_otherwise_does_not)
{
    ck_assert(!is_default("{" DEFAULTS ",\"keys\":{" OWN_KEYS ",\"sp\":{" SPARSE("true") "}}}"));
    ck_assert(!is_default("{\"keys\":{\"k\":{" STRING("true", "true") "}}}"));
    ck_assert(!is_default("{\"keys\":{\"k\":{\"string\":{\"new_index\":{\"enabled\":true}}}}}"));
    ck_assert(!is_default("{\"keys\":{\"k\":{\"int\":{\"int_inverted_index\":{}}}}}"));
    ck_assert(!is_default("{\"keys\":{\"k\":{\"int\":{\"int_inverted_index\":{\"enabled\":1}}}}}"));
    ck_assert(!is_default("{\"keys\":[]}"));
    ck_assert(!is_default("[]"));
    ck_assert(!is_default("{"));
    ck_assert(!collection_schema_is_default(BYTES_LITERAL("{\"schema\":null} x")));
    ck_assert(!collection_schema_is_default(BYTES_LITERAL("")));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_schema");

    tcase_add_test(tcase, the_default_passes);
    tcase_add_test(tcase, what_cannot_be_filtered_by_does_not);
    tcase_add_test(tcase, what_is_not_the_default_otherwise_does_not);
    return check_main("collection_schema", tcase);
}
