/* What must hold: a write covers only what Chroma's description shows already. */
#include "chroma/collection_description.h"

#include <stdio.h>

#include "support/check_main.h"

#define ID "\"id\":\"00000000-0000-0000-0000-000000000007\""

static const unsigned char           key[SIPHASH_KEY_SIZE] = {1, 2};
static struct collection_description description;

static bool describes(const char *body)
{
    return collection_description_read(bytes_of(body), key, &description);
}

static bool covers(enum chroma_operation operation, const char *metadata)
{
    struct chroma_records records;
    const char           *reason;
    char                  body[4000];
    bool                  result;

    snprintf(body, sizeof body,
             operation == CHROMA_OPERATION_UPDATE
                 ? "{\"ids\":[\"a\"],\"metadatas\":[%s]}"
                 : "{\"ids\":[\"a\"],\"embeddings\":[[1,2]],\"metadatas\":[%s]}",
             metadata);
    ck_assert_int_eq(chroma_records_scan(operation, bytes_of(body), 10, &records, &reason),
                     STATUS_OK);
    result = collection_description_covers(&description, key, &records);
    chroma_records_done(&records);
    return result;
}

#define UPSERT(metadata) covers(CHROMA_OPERATION_UPSERT, metadata)
#define UPDATE(metadata) covers(CHROMA_OPERATION_UPDATE, metadata)

START_TEST(keys_and_types_of_the_schema_are_covered)
{
    ck_assert(describes(
        "{" ID ",\"dimension\":2,\"version\":0,\"log_position\":0,\"schema\":{\"defaults\":"
        "{\"string\":{}},\"keys\":{\"#document\":{\"string\":{}},\"a\":{\"int\":{\"x\":[1]}},"
        "\"b\":{\"string\":{},\"float\":{}},\"c\":{\"bool\":{},\"int\":null},"
        "\"d\\\"\":{\"int\":{}},\"\xc3\xa9\":{\"int\":{}}}}}"));
    ck_assert_uint_eq(description.uuid[15], 7);
    ck_assert(UPSERT("{}") && UPSERT("null"));
    ck_assert(UPSERT("{\"a\":1}") && UPSERT("{\"a\":-12}") && UPSERT("{\"a\":[1,2]}"));
    ck_assert(UPSERT("{\"b\":\"s\",\"a\":7}") && UPSERT("{\"b\":1.5}") && UPSERT("{\"b\":1e3}"));
    ck_assert(UPSERT("{\"b\":[\"s\"]}") && UPSERT("{\"c\":true}") && UPSERT("{\"x\":null}"));
    ck_assert(UPSERT("{\"\xc3\xa9\":1}"));
    ck_assert(!UPSERT("{\"a\":1.0}") && !UPSERT("{\"a\":\"1\"}") && !UPSERT("{\"a\":true}"));
    ck_assert(!UPSERT("{\"b\":1}") && !UPSERT("{\"b\":[1]}") && !UPSERT("{\"c\":1}"));
    ck_assert(!UPSERT("{\"e\":1}") && !UPSERT("{\"a\":1,\"e\":1}") && !UPSERT("{\"string\":1}"));
    ck_assert(!UPDATE("{\"e\":1}") && UPDATE("{\"a\":1}"));
}
END_TEST

START_TEST(what_is_in_doubt_is_not_covered)
{
    char body[4000] = "{\"k0\":1", text[20];

    ck_assert(describes("{" ID ",\"dimension\":2,\"schema\":{\"keys\":{"
                        "\"a\":{\"int\":{},\"float\":{}}}}}"));
    ck_assert(UPSERT("{\"a\":1}"));
    ck_assert(!UPSERT("{\"a\":-0}") && !UPSERT("{\"a\":[-0]}"));
    ck_assert(!UPSERT("{\"a\":1234567890123456789}"));
    ck_assert(!UPSERT("{\"\\u0061\":1}"));
    for (unsigned i = 1; i <= METADATA_KEYS_MAX; i++) {
        snprintf(text, sizeof text, ",\"k%u\":1", i);
        strcat(body, text);
    }
    strcat(body, "}");
    description.schema = COLLECTION_SCHEMA_KNOWN;
    ck_assert(!UPSERT(body));
    memset(body, 'k', 300);
    memcpy(body, "{\"", 2);
    strcpy(body + 300, "\":1}");
    ck_assert(!UPSERT(body));
}
END_TEST

START_TEST(the_first_vectors_fix_the_dimension)
{
    ck_assert(describes("{" ID ",\"dimension\":null,\"schema\":{\"keys\":{\"a\":{\"int\":{}}}}}"));
    ck_assert(!UPSERT("{\"a\":1}") && UPDATE("{\"a\":1}") && !UPDATE("{\"b\":1}"));
}
END_TEST

START_TEST(without_a_schema_only_the_dimension_counts)
{
    ck_assert(describes("{" ID ",\"dimension\":3,\"metadata\":{\"schema\":{}}}"));
    ck_assert(UPSERT("{\"a\":1}") && UPSERT("{\"b\":-0}"));
    ck_assert(describes("{" ID ",\"dimension\":null}"));
    ck_assert(!UPSERT("{\"a\":1}") && UPDATE("{\"a\":1}"));
    ck_assert(describes("{" ID ",\"dimension\":3,\"schema\":null}"));
    ck_assert(!UPSERT("{\"a\":1}") && !UPSERT("{}"));
    ck_assert(describes("{" ID ",\"dimension\":3,\"schema\":{\"keys\":null}}"));
    ck_assert(!UPSERT("{\"a\":1}"));
}
END_TEST

START_TEST(what_changes_by_itself_or_is_none_is_not_described)
{
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "{" ID "}",
                                         "{\"dimension\":1}",
                                         "{\"id\":\"x\",\"dimension\":1}",
                                         "{" ID ",\"dimension\":1,\"version\":1}",
                                         "{" ID ",\"dimension\":1,\"log_position\":7}",
                                         "{" ID ",\"dimension\":1} x",
                                         "{" ID ",\"dimension\":1,\"schema\":{\"keys\":{\"a\":{"};

    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        ck_assert_msg(!describes(bodies[i]), "%s", bodies[i]);
}
END_TEST

START_TEST(more_keys_than_there_is_room_for_are_not_covered)
{
    static char body[16000];
    size_t      size = (size_t)sprintf(body, "{" ID ",\"dimension\":2,\"schema\":{\"keys\":{");

    for (unsigned i = 0; i < 2 * COLLECTION_DESCRIPTION_PAIRS_MAX; i++)
        size += (size_t)sprintf(body + size, "%s\"k%u\":{\"int\":{}}", i == 0 ? "" : ",", i);
    strcpy(body + size, "}}}");
    ck_assert(describes(body));
    ck_assert_uint_eq(description.pair_count, COLLECTION_DESCRIPTION_PAIRS_MAX);
    ck_assert(UPSERT("{\"k0\":1,\"k127\":1}") && !UPSERT("{\"k128\":1}"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("collection_description");

    tcase_add_test(tcase, keys_and_types_of_the_schema_are_covered);
    tcase_add_test(tcase, what_is_in_doubt_is_not_covered);
    tcase_add_test(tcase, the_first_vectors_fix_the_dimension);
    tcase_add_test(tcase, without_a_schema_only_the_dimension_counts);
    tcase_add_test(tcase, what_changes_by_itself_or_is_none_is_not_described);
    tcase_add_test(tcase, more_keys_than_there_is_room_for_are_not_covered);
    return check_main("collection_description", tcase);
}
