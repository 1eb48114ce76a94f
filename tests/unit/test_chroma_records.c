/* What must hold: a write is eligible to be merged only if it would certainly pass alone; what is
 * said of an eligible one is true. tests/e2e/json_strictness.py asks a real server. */
#include "chroma/chroma_records.h"

#include <stdio.h>

#include "base/compiler.h"
#include "support/check_main.h"

enum { COUNT_MAX = 1000 };

#define ADD    CHROMA_OPERATION_ADD
#define UPSERT CHROMA_OPERATION_UPSERT
#define UPDATE CHROMA_OPERATION_UPDATE

static struct chroma_records records;

static enum status scan(enum chroma_operation operation, const char *body)
{
    const char *reason = NULL;
    enum status status =
        chroma_records_scan(operation, bytes_of(body), COUNT_MAX, &records, &reason);

    ck_assert((reason == NULL) == (status == STATUS_OK));
    return status;
}

static void check(enum chroma_operation operation, const char *body, bool is_eligible)
{
    enum status status = scan(operation, body);

    ck_assert_msg(status == (is_eligible ? STATUS_OK : STATUS_INVALID), "%s", body);
    if (status == STATUS_OK)
        chroma_records_done(&records);
}

#define CHECK_TABLE(is_eligible, operation, ...)                                                   \
    do {                                                                                           \
        static const char *const bodies[] = {__VA_ARGS__};                                         \
        for (size_t i = 0; i < COUNT_OF(bodies); i++)                                              \
            check(operation, bodies[i], is_eligible);                                              \
    } while (0)

#define ONE "\"ids\":[\"a\"],\"embeddings\":[[1,2]]"

START_TEST(only_known_fields_once_and_of_the_right_type)
{
    CHECK_TABLE(true, ADD, "{" ONE "}", " { \"embeddings\":[[1]] , \"ids\":[ \"a\" ] } ",
                "{" ONE ",\"documents\":null,\"uris\":null,\"metadatas\":null}",
                "{" ONE ",\"documents\":[\"d\"],\"uris\":[\"u\"],\"metadatas\":[{}]}",
                "{" ONE ",\"documents\":[null],\"uris\":[null],\"metadatas\":[null]}",
                "{\"\\u0069ds\":[\"a\"],\"embeddings\":[[1]]}");
    CHECK_TABLE(
        false, ADD, "", "[]", "{}", "null", "{" ONE "} x", "{" ONE, "{" ONE ",}",
        "{" ONE ",\"extra\":1}", "{" ONE ",\"Ids\":null}", "{" ONE ",\"where\":null}",
        "{" ONE ",\"ids\":[\"a\"]}", "{" ONE ",\"\\u0069ds\":[\"b\"]}",
        "{" ONE ",\"documents\":null,\"documents\":[\"d\"]}", "{" ONE ",\"documents\":\"d\"}",
        "{" ONE ",\"documents\":[1]}", "{" ONE ",\"documents\":{}}", "{" ONE ",\"uris\":[[]]}",
        "{" ONE ",\"metadatas\":{}}", "{" ONE ",\"metadatas\":[1]}", "{" ONE ",\"metadatas\":[[]]}",
        "{" ONE ",\"documents\":nul}", "{\"ids\":null,\"embeddings\":[[1]]}",
        "{\"ids\":\"a\",\"embeddings\":[[1]]}", "{\"ids\":[\"a\"]}", "{\"embeddings\":[[1]]}",
        "{\"ids\":[\"a\"],\"embeddings\":null}");
}
END_TEST

START_TEST(every_column_is_as_long_as_the_ids)
{
    CHECK_TABLE(false, UPSERT, "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1]]}",
                "{\"ids\":[\"a\"],\"embeddings\":[[1],[2]]}", "{" ONE ",\"documents\":[]}",
                "{" ONE ",\"documents\":[\"d\",\"e\"]}", "{" ONE ",\"uris\":[null,null]}",
                "{" ONE ",\"metadatas\":[]}", "{\"ids\":[],\"embeddings\":[]}");
    check(UPSERT, "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1],[2]],\"documents\":[\"d\",null]}",
          true);
}
END_TEST

START_TEST(ids_are_strings_and_not_empty)
{
    CHECK_TABLE(false, ADD, "{\"ids\":[\"\"],\"embeddings\":[[1]]}",
                "{\"ids\":[1],\"embeddings\":[[1]]}", "{\"ids\":[null],\"embeddings\":[[1]]}",
                "{\"ids\":[\"\\ud83d\"],\"embeddings\":[[1]]}");
    check(ADD, "{\"ids\":[\"\\u0000\"],\"embeddings\":[[1]]}", true);
}
END_TEST

START_TEST(vectors_are_of_one_dimension_one_encoding_and_finite)
{
    CHECK_TABLE(true, ADD, "{\"ids\":[\"a\"],\"embeddings\":[\"AACAPw==\"]}",
                "{\"ids\":[\"a\",\"b\"],\"embeddings\":[\"AACAPw==\",\"AACAPw==\"]}",
                "{\"ids\":[\"a\"],\"embeddings\":[[-0.0,1e-400,1e37]]}");
    CHECK_TABLE(
        false, ADD, "{\"ids\":[\"a\"],\"embeddings\":[[]]}",
        "{\"ids\":[\"a\"],\"embeddings\":[\"\"]}", "{\"ids\":[\"a\"],\"embeddings\":[null]}",
        "{\"ids\":[\"a\"],\"embeddings\":[1]}", "{\"ids\":[\"a\"],\"embeddings\":[[true]]}",
        "{\"ids\":[\"a\"],\"embeddings\":[[\"1\"]]}", "{\"ids\":[\"a\"],\"embeddings\":[[[1]]]}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1,null]]}", "{\"ids\":[\"a\"],\"embeddings\":[{}]}",
        "{\"ids\":[\"a\"],\"embeddings\":[[1e39]]}", "{\"ids\":[\"a\"],\"embeddings\":[[1e999]]}",
        "{\"ids\":[\"a\"],\"embeddings\":[\"AACAPw=\"]}",
        "{\"ids\":[\"a\"],\"embeddings\":[\"AACAfw==\"]}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1],[1,2]]}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1],\"AACAPw==\"]}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[\"AACAPw==\",\"AACAPwAAAEA=\"]}",
        "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1],null]}");
}
END_TEST

START_TEST(an_update_may_leave_vectors_out)
{
    CHECK_TABLE(true, UPDATE, "{\"ids\":[\"a\"]}", "{\"ids\":[\"a\"],\"embeddings\":null}",
                "{\"ids\":[\"a\",\"b\"],\"embeddings\":[null,null]}",
                "{\"ids\":[\"a\",\"b\"],\"embeddings\":[null,[1]]}",
                "{\"ids\":[\"a\",\"b\"],\"embeddings\":[\"AACAPw==\",null]}");
    ck_assert_int_eq(scan(UPDATE, "{\"ids\":[\"a\",\"b\"],\"embeddings\":[null,null]}"), STATUS_OK);
    ck_assert_int_eq(records.encoding, CHROMA_ENCODING_NONE);
    ck_assert_uint_eq(records.dimension, 0);
    chroma_records_done(&records);
}
END_TEST

START_TEST(metadata_is_what_chroma_takes)
{
    static const char *const good[] = {"{}",
                                       "{\"k\":1}",
                                       "{\"k\":-1.5e3,\"l\":\"\",\"m\":true}",
                                       "{\"k\":1,\"k\":2}",
                                       "{\"k#$\":1}",
                                       "{\"\\u00e9\":1}",
                                       "{\"k\":[1,2]}",
                                       "{\"k\":[\"a\"]}",
                                       "{\"k\":[true,false]}",
                                       "{\"k\":[1.5,2e3]}"};
    static const char *const bad[] = {
        "{\"\":1}",
        "{\"#k\":1}",
        "{\"$k\":1}",
        "{\"\\u0023k\":1}",
        "{\"\\u0024\":1}",
        "{\"chroma:document\":\"d\"}",
        "{\"chroma\\u003adocument\":\"d\"}",
        "{\"k\":{}}",
        "{\"k\":[]}",
        "{\"k\":[1,\"a\"]}",
        "{\"k\":[1,1.5]}",
        "{\"k\":[null]}",
        "{\"k\":[[1]]}",
        "{\"k\":[1234567890123456789]}",
        "{\"k\":1e999}",
        "{\"k\":01}",
        "{\"k\":tru}",
        "{\"k\"}",
        "{\"k\":[1}",
        "{k:1}",
        "{\"k\":{\"#type\":\"sparse_vector\",\"indices\":[1],\"values\":[1.0]}}"};
    static const enum chroma_operation operations[] = {ADD, UPSERT, UPDATE};
    char                               body[200];

    for (size_t o = 0; o < COUNT_OF(operations); o++) {
        for (size_t i = 0; i < COUNT_OF(good); i++) {
            snprintf(body, sizeof body, "{" ONE ",\"metadatas\":[%s]}", good[i]);
            check(operations[o], body, true);
        }
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            snprintf(body, sizeof body, "{" ONE ",\"metadatas\":[%s]}", bad[i]);
            check(operations[o], body, false);
        }
        /* Deletes the key, and only what may exist has keys to delete. */
        check(operations[o], "{" ONE ",\"metadatas\":[{\"k\":null}]}", operations[o] != ADD);
    }
}
END_TEST

START_TEST(only_record_writes_are_looked_at)
{
    check(CHROMA_OPERATION_DELETE, "{\"ids\":[\"a\"]}", false);
    check(CHROMA_OPERATION_UNKNOWN_WRITE, "{" ONE "}", false);
}
END_TEST

START_TEST(the_number_of_records_is_bounded)
{
    char  body[COUNT_MAX * 12 + 100];
    char *at = body;

    for (int count = COUNT_MAX; count <= COUNT_MAX + 1; count++) {
        at = body + sprintf(body, "{\"ids\":[");
        for (int i = 0; i < count; i++)
            at += sprintf(at, "\"%d\",", i);
        at += sprintf(at - 1, "]}") - 1;
        check(UPDATE, body, count == COUNT_MAX);
    }
}
END_TEST

/* Each record's own: Chroma stores a record with its metadata at once, and cannot with too many. */
START_TEST(metadata_of_very_many_values_is_not_merged)
{
    static const int limit = 1000;
    char             body[40000];

    for (int lists = 0; lists < 2; lists++) {
        for (int values = limit; values <= limit + 1; values++) {
            char *at = body + sprintf(body,
                                      "{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1],[2]],"
                                      "\"metadatas\":[{\"x\":1},{%s",
                                      lists ? "\"k\":[1" : "\"k\":1");

            for (int i = lists ? 2 : 1; i < values; i++)
                at += lists ? sprintf(at, ",1") : sprintf(at, ",\"k%d\":1", i);
            strcpy(at, lists ? "]}]}" : "}]}");
            check(UPSERT, body, values == limit);
        }
    }
}
END_TEST

START_TEST(what_is_said_of_a_write_is_true)
{
    ck_assert_int_eq(scan(UPSERT, "{\"ids\":[\"a\", \"\\u0062\\n\",\"c\"],\"uris\":null,"
                                  "\"embeddings\":[ [1,2] ,[3,4],[5,6]],\"documents\":[\"x\" ,null,"
                                  "\"y,\"]}"),
                     STATUS_OK);
    ck_assert_uint_eq(records.count, 3);
    ck_assert_int_eq(records.encoding, CHROMA_ENCODING_ARRAYS);
    ck_assert_uint_eq(records.dimension, 2);
    ck_assert(bytes_equal(records.ids[0], BYTES_LITERAL("a")));
    ck_assert(bytes_equal(records.ids[1], BYTES_LITERAL("b\n")));
    ck_assert(bytes_equal(records.ids[2], BYTES_LITERAL("c")));
    ck_assert(records.columns[CHROMA_COLUMN_URIS].data == NULL);
    ck_assert(records.columns[CHROMA_COLUMN_METADATAS].data == NULL);
    ck_assert(
        bytes_equal(records.columns[CHROMA_COLUMN_DOCUMENTS], BYTES_LITERAL("\"x\" ,null,\"y,\"")));
    ck_assert(bytes_equal(chroma_records_slice(&records, CHROMA_COLUMN_DOCUMENTS, 0, 1),
                          BYTES_LITERAL("\"x\"")));
    ck_assert(bytes_equal(chroma_records_slice(&records, CHROMA_COLUMN_DOCUMENTS, 1, 2),
                          BYTES_LITERAL("null,\"y,\"")));
    ck_assert(bytes_equal(chroma_records_slice(&records, CHROMA_COLUMN_EMBEDDINGS, 1, 1),
                          BYTES_LITERAL("[3,4]")));
    chroma_records_done(&records);
    chroma_records_done(&records);
}
END_TEST

START_TEST(the_columns_that_are_there_are_told)
{
    static const struct {
        const char *columns;
        unsigned    set;
    } cases[] = {
        {"", 0},
        {",\"documents\":[null]", 1U << CHROMA_COLUMN_DOCUMENTS},
        {",\"documents\":null,\"uris\":[\"u\"]", 1U << CHROMA_COLUMN_URIS},
        {",\"metadatas\":[{}],\"documents\":[\"d\"]",
         1U << CHROMA_COLUMN_METADATAS | 1U << CHROMA_COLUMN_DOCUMENTS},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char body[256];

        snprintf(body, sizeof body, "{" ONE "%s}", cases[i].columns);
        ck_assert_int_eq(scan(UPSERT, body), STATUS_OK);
        ck_assert_uint_eq(records.column_set,
                          cases[i].set | 1U << CHROMA_COLUMN_IDS | 1U << CHROMA_COLUMN_EMBEDDINGS);
        chroma_records_done(&records);
    }
    ck_assert_int_eq(scan(UPDATE, "{\"ids\":[\"a\"],\"embeddings\":null}"), STATUS_OK);
    ck_assert_uint_eq(records.column_set, 1U << CHROMA_COLUMN_IDS);
    chroma_records_done(&records);
}
END_TEST

START_TEST(metadata_keys_are_collected_with_their_types)
{
    const struct metadata_keys *keys = &records.metadata;

    ck_assert_int_eq(scan(UPSERT, "{\"metadatas\":[{\"a\":1,\"b\":\"x\",\"n\":null},null,"
                                  "{\"b\":\"y\",\"a\":1.5},{\"c\":[true]}],"
                                  "\"ids\":[\"1\",\"2\",\"3\",\"4\"],"
                                  "\"embeddings\":[[1],[2],[3],[4]]}"),
                     STATUS_OK);
    ck_assert_uint_eq(keys->count, 3);
    ck_assert(bytes_equal(metadata_keys_text(keys, &keys->keys[0]), BYTES_LITERAL("a")));
    ck_assert_uint_eq(keys->keys[0].types, METADATA_TYPE_INT | METADATA_TYPE_FLOAT);
    ck_assert_uint_eq(keys->keys[1].types, METADATA_TYPE_STRING);
    ck_assert_uint_eq(keys->keys[2].types, METADATA_TYPE_BOOL);
    ck_assert(!keys->is_partial);
    chroma_records_done(&records);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_records");

    tcase_add_test(tcase, only_known_fields_once_and_of_the_right_type);
    tcase_add_test(tcase, every_column_is_as_long_as_the_ids);
    tcase_add_test(tcase, ids_are_strings_and_not_empty);
    tcase_add_test(tcase, vectors_are_of_one_dimension_one_encoding_and_finite);
    tcase_add_test(tcase, an_update_may_leave_vectors_out);
    tcase_add_test(tcase, metadata_is_what_chroma_takes);
    tcase_add_test(tcase, only_record_writes_are_looked_at);
    tcase_add_test(tcase, the_number_of_records_is_bounded);
    tcase_add_test(tcase, metadata_of_very_many_values_is_not_merged);
    tcase_add_test(tcase, what_is_said_of_a_write_is_true);
    tcase_add_test(tcase, the_columns_that_are_there_are_told);
    tcase_add_test(tcase, metadata_keys_are_collected_with_their_types);
    return check_main("chroma_records", tcase);
}
