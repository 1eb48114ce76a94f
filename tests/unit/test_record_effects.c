/* What must hold: writes and deletes leave the records that Chroma has after them.
 * tests/e2e/test_effects.py asks a real server. */
#include "mirror/record_effects.h"

#include <stdio.h>

#include "base/compiler.h"
#include "mirror/metadata_merge.h"
#include "mirror/record_delete.h"
#include "support/check_main.h"

static const unsigned char secret[SIPHASH_KEY_SIZE] = "secret";
static struct record_set  *set;
static const char         *reason;

static void setup(void)
{
    set = record_set_new(secret, 5);
}

static void teardown(void)
{
    record_set_free(set);
}

static enum status write_body(enum chroma_operation operation, const char *body)
{
    return record_effects_write(set, operation, bytes_of(body), &reason);
}

static void add(const char *body)
{
    ck_assert_msg(write_body(CHROMA_OPERATION_ADD, body) == STATUS_OK, "%s: %s", body, reason);
}

static void upsert(const char *body)
{
    ck_assert_msg(write_body(CHROMA_OPERATION_UPSERT, body) == STATUS_OK, "%s: %s", body, reason);
}

static void update(const char *body)
{
    ck_assert_msg(write_body(CHROMA_OPERATION_UPDATE, body) == STATUS_OK, "%s: %s", body, reason);
}

static size_t deleted(const char *body)
{
    size_t count = 0;

    ck_assert_msg(record_delete_apply(set, bytes_of(body), &count, &reason) == STATUS_OK, "%s: %s",
                  body, reason);
    return count;
}

/* The ids in their order, each with a blank behind it. */
static const char *order(void)
{
    static char    text[100];
    size_t         position = 0, size = 0;
    struct record *record;

    text[0] = '\0';
    while ((record = record_set_next(set, &position)) != NULL)
        size += (size_t)snprintf(text + size, sizeof text - size, "%.*s ", (int)record->id.size,
                                 record->id.data);
    return text;
}

/* `document` and `uri` NULL: there is none. */
static void check_record(const char *id, float first, const char *metadata, const char *document,
                         const char *uri)
{
    struct record          *record = record_set_get(set, bytes_of(id));
    struct mirror_metadata *expected;

    ck_assert_ptr_nonnull(record);
    ck_assert_uint_eq(record->dimension, 2);
    ck_assert(record->vector[0] == first && record->vector[1] == 0.5F);
    ck_assert_int_eq(
        mirror_metadata_read(bytes_of(metadata), MIRROR_SOURCE_ANSWER, &expected, &reason),
        STATUS_OK);
    ck_assert_msg(metadata_merge_equal(record->metadata, expected), "%s: %s", id, metadata);
    mirror_metadata_free(expected);
    ck_assert((record->document == NULL) == (document == NULL));
    ck_assert((record->uri == NULL) == (uri == NULL));
    ck_assert(
        document == NULL ||
        bytes_equal((struct bytes){record->document, record->document_size}, bytes_of(document)));
    ck_assert(uri == NULL ||
              bytes_equal((struct bytes){record->uri, record->uri_size}, bytes_of(uri)));
}

START_TEST(an_add_of_what_is_there_is_ignored)
{
    add("{\"ids\":[\"a\",\"b\",\"a\"],\"embeddings\":[[1,0.5],[2,0.5],[3,0.5]],"
        "\"metadatas\":[{\"k\":1},null,{\"k\":3,\"l\":3}],\"documents\":[\"one\",null,\"three\"],"
        "\"uris\":[null,\"u\",\"v\"]}");
    add("{\"ids\":[\"b\",\"c\"],\"embeddings\":[[9,0.5],[4,0.5]],\"metadatas\":[{\"k\":9},{}]}");
    ck_assert_str_eq(order(), "a b c ");
    check_record("a", 1, "{\"k\":1}", "one", NULL);
    check_record("b", 2, "{}", NULL, "u");
    check_record("c", 4, "{}", NULL, NULL);
}
END_TEST

START_TEST(an_upsert_adds_and_goes_on_from_what_is_there)
{
    add("{\"ids\":[\"a\",\"b\"],\"embeddings\":[[1,0.5],[2,0.5]],"
        "\"metadatas\":[{\"k\":1,\"l\":[1,2]},{\"k\":2}],\"documents\":[\"one\",\"two\"],"
        "\"uris\":[\"u\",\"v\"]}");
    upsert("{\"ids\":[\"a\",\"c\",\"a\"],\"embeddings\":[[5,0.5],[6,0.5],[7,0.5]],"
           "\"metadatas\":[{\"k\":null,\"m\":\"x\"},{\"n\":null,\"o\":true},{\"l\":\"y\"}],"
           "\"documents\":[null,\"\",null]}");
    ck_assert_str_eq(order(), "a b c ");
    check_record("a", 7, "{\"m\":\"x\",\"l\":\"y\"}", "one", "u");
    check_record("b", 2, "{\"k\":2}", "two", "v");
    check_record("c", 6, "{\"o\":true}", "", NULL);
}
END_TEST

START_TEST(an_update_changes_only_what_is_there)
{
    add("{\"ids\":[\"a\"],\"embeddings\":[[1,0.5]],\"metadatas\":[{\"k\":1}],"
        "\"documents\":[\"one\"]}");
    update("{\"ids\":[\"a\",\"b\"],\"embeddings\":[null,[3,0.5]],\"metadatas\":[{\"k\":null},{}]}");
    check_record("a", 1, "{}", "one", NULL);
    ck_assert_ptr_null(record_set_get(set, BYTES_LITERAL("a"))->metadata);
    update("{\"ids\":[\"a\"],\"embeddings\":[[4,0.5]],\"uris\":[\"u\"]}");
    update("{\"ids\":[\"a\"],\"documents\":[\"new\"],\"metadatas\":[null]}");
    check_record("a", 4, "{}", "new", "u");
    ck_assert_str_eq(order(), "a ");
}
END_TEST

START_TEST(long_texts_are_merged)
{
    enum { TEXT_SIZE = 1 << 20 };
    static char  body[TEXT_SIZE + 200];
    static char  text[TEXT_SIZE + 1];
    struct bytes kept;

    memset(text, 'x', TEXT_SIZE);
    snprintf(body, sizeof body,
             "{\"ids\":[\"a\"],\"embeddings\":[[1,0.5]],\"metadatas\":[{\"k\":\"%s\"}]}", text);
    upsert(body);
    update("{\"ids\":[\"a\"],\"metadatas\":[{\"l\":1}]}");
    kept =
        mirror_metadata_find(record_set_get(set, BYTES_LITERAL("a"))->metadata, BYTES_LITERAL("k"))
            ->items->text;
    ck_assert(bytes_equal(kept, (struct bytes){.data = text, .size = TEXT_SIZE}));
}
END_TEST

START_TEST(vectors_are_the_floats_that_chroma_keeps)
{
    const struct record *record;

    add("{\"ids\":[\"a\",\"b\"],\"embeddings\":"
        "[[0.1,16777217,-1e-50,1152921573326323713],[1.17549435e-38,-0,1.25e37,2]]}");
    record = record_set_get(set, BYTES_LITERAL("a"));
    ck_assert_uint_eq(record->dimension, 4);
    ck_assert(record->vector[0] == 0.1F && record->vector[1] == 16777216.0F);
    /* A large integer is rounded once; as a 64-bit float first it would be 2^60. */
    ck_assert(record->vector[2] == 0 && record->vector[3] == 0x1.000002p60F);
    record = record_set_get(set, BYTES_LITERAL("b"));
    ck_assert(record->vector[0] == 1.17549435e-38F && record->vector[2] == 1.25e37F);
    /* 1, -2.5, 0.1, 65504: little-endian, three bytes to four characters. */
    upsert("{\"ids\":[\"a\"],\"embeddings\":[\"AACAPwAAIMDNzMw9AOB/Rw==\"]}");
    record = record_set_get(set, BYTES_LITERAL("a"));
    ck_assert(record->vector[0] == 1.0F && record->vector[1] == -2.5F);
    ck_assert(record->vector[2] == 0.1F && record->vector[3] == 65504.0F);
}
END_TEST

START_TEST(deletes_count_as_chroma_counts)
{
    add("{\"ids\":[\"a\",\"b\",\"c\",\"d\"],\"embeddings\":[[1,0.5],[2,0.5],[3,0.5],[4,0.5]],"
        "\"metadatas\":[{\"k\":1},{\"k\":2},{\"k\":2},null],"
        "\"documents\":[\"one\",\"two\",\"three\",null]}");
    ck_assert_uint_eq(deleted("{}"), 0);
    ck_assert_uint_eq(deleted("{\"ids\":null,\"where\":null,\"limit\":null}"), 0);
    ck_assert_uint_eq(deleted("{\"ids\":[],\"where\":{\"k\":2}}"), 0);
    ck_assert_uint_eq(deleted("{\"where\":{\"k\":2},\"limit\":0}"), 0);
    ck_assert_uint_eq(deleted("{\"ids\":[\"x\",\"x\"]}"), 2);
    ck_assert_str_eq(order(), "a b c d ");
    ck_assert_uint_eq(deleted("{\"ids\":[\"a\",\"b\",\"x\"],\"where\":{\"k\":2}}"), 1);
    ck_assert_str_eq(order(), "a c d ");
    ck_assert_uint_eq(deleted("{\"where_document\":{\"$contains\":\"t\"}}"), 1);
    ck_assert_str_eq(order(), "a d ");
    ck_assert_uint_eq(deleted("{\"ids\":[\"d\",\"\\u0064\"]}"), 2);
    ck_assert_str_eq(order(), "a ");
    upsert("{\"ids\":[\"d\"],\"embeddings\":[[8,0.5]]}");
    check_record("d", 8, "{}", NULL, NULL);
    ck_assert_uint_eq(deleted("{\"where\":{\"k\":{\"$ne\":1}},\"where_document\":"
                              "{\"$not_contains\":\"x\"}}"),
                      1);
    ck_assert_str_eq(order(), "a ");
}
END_TEST

START_TEST(a_limit_takes_the_first)
{
    add("{\"ids\":[\"a\",\"b\",\"c\",\"d\"],\"embeddings\":[[1,0.5],[2,0.5],[3,0.5],[4,0.5]],"
        "\"metadatas\":[{\"k\":1},{\"k\":2},{\"k\":2},{\"k\":2}]}");
    ck_assert_uint_eq(deleted("{\"where\":{\"k\":2},\"limit\":2}"), 2);
    ck_assert_str_eq(order(), "a d ");
    ck_assert_uint_eq(deleted("{\"where\":{\"k\":2},\"limit\":2}"), 1);
    ck_assert_str_eq(order(), "a ");
}
END_TEST

START_TEST(what_cannot_be_read_exactly_changes_nothing)
{
    static const char *const writes[] = {
        "",
        "{}",
        "{\"ids\":[\"b\"]}",
        "{\"ids\":[\"b\",\"c\"],\"embeddings\":[[1,2],[1,2]],\"metadatas\":[{\"k\":1},{\"k\":{}}]}",
        "{\"ids\":[\"b\"],\"embeddings\":[[1,2]],\"metadatas\":[{\"k\":[1,2.5]}]}",
        "{\"ids\":[\"b\"],\"embeddings\":[[1e39,2]]}",
        "{\"ids\":[\"b\"],\"embeddings\":[[1,2]],\"documents\":[1]}",
    };
    static const char *const deletes[] = {
        "",
        "[]",
        "{\"ids\":[]}",
        "{\"ids\":[1]}",
        "{\"ids\":\"a\"}",
        "{\"ids\":[\"a\"],\"limit\":1}",
        "{\"ids\":[\"a\"],\"ids\":[\"a\"]}",
        "{\"where\":{}}",
        "{\"where\":{\"k\":1},\"limit\":-1}",
        "{\"where\":{\"k\":1},\"limit\":1.0}",
        "{\"where\":{\"k\":1},\"ids\":[\"a\"],\"limit\":1}",
        "{\"ids\":[\"a\"]}x",
        "{\"where_document\":{\"$regex\":\"o\"}}",
        "{\"ids\":[\"a\",1],\"where\":{\"k\":1}}",
    };
    size_t count;

    add("{\"ids\":[\"a\"],\"embeddings\":[[1,0.5]],\"metadatas\":[{\"k\":1}],"
        "\"documents\":[\"one\"]}");
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        reason = NULL;
        ck_assert_int_eq(write_body(CHROMA_OPERATION_UPSERT, writes[i]), STATUS_NOT_IMPLEMENTED);
        ck_assert_ptr_nonnull(reason);
    }
    for (size_t i = 0; i < COUNT_OF(deletes); i++) {
        reason = NULL;
        ck_assert_msg(record_delete_apply(set, bytes_of(deletes[i]), &count, &reason) ==
                          STATUS_NOT_IMPLEMENTED,
                      "%s", deletes[i]);
        ck_assert_ptr_nonnull(reason);
    }
    ck_assert_str_eq(order(), "a ");
    check_record("a", 1, "{\"k\":1}", "one", NULL);
}
END_TEST

START_TEST(a_full_set_says_so)
{
    ck_assert_int_eq(write_body(CHROMA_OPERATION_ADD,
                                "{\"ids\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"],\"embeddings\":"
                                "[[1],[1],[1],[1],[1],[1]]}"),
                     STATUS_LIMIT_REACHED);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("record_effects");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_add_of_what_is_there_is_ignored);
    tcase_add_test(tcase, an_upsert_adds_and_goes_on_from_what_is_there);
    tcase_add_test(tcase, an_update_changes_only_what_is_there);
    tcase_add_test(tcase, long_texts_are_merged);
    tcase_add_test(tcase, vectors_are_the_floats_that_chroma_keeps);
    tcase_add_test(tcase, deletes_count_as_chroma_counts);
    tcase_add_test(tcase, a_limit_takes_the_first);
    tcase_add_test(tcase, what_cannot_be_read_exactly_changes_nothing);
    tcase_add_test(tcase, a_full_set_says_so);
    return check_main("record_effects", tcase);
}
