/* What must hold: writes and deletes leave the records that Chroma has after them.
 * tests/e2e/test_effects.py asks a real server. */
#include "mirror/record_effects.h"

#include <stdio.h>

#include "base/compiler.h"
#include "mirror/metadata_merge.h"
#include "mirror/record_delete.h"
#include "support/check_main.h"
#include "support/index_fixture.h"

static struct mirror_records *records;
static struct mirror_reader  *reader;
static const char            *reason;

static void setup(void)
{
    struct mirror_records_options options = {
        .path = index_fixture_path, .space = COLLECTION_SPACE_L2, .records_max = 5};

    index_fixture_setup();
    ck_assert_int_eq(mirror_records_new(&options, &records, NULL), STATUS_OK);
    ck_assert_int_eq(mirror_reader_new(records, &reader), STATUS_OK);
}

static void teardown(void)
{
    mirror_reader_free(reader);
    mirror_records_free(records);
    ck_assert_int_eq(rmdir(index_fixture_dir), 0);
}

static enum status apply(struct record_effects *effects, const struct mirror_moments *moments)
{
    enum status status = mirror_records_begin(records);

    ck_assert_int_eq(status, STATUS_OK);
    status = record_effects_apply(effects, records, moments, &reason);
    return status == STATUS_OK ? mirror_records_commit(records) : status;
}

static enum status write_body(enum chroma_operation operation, const char *body)
{
    struct record_effects *effects;
    enum status status = record_effects_read(operation, bytes_of(body), &effects, &reason);

    if (status != STATUS_OK)
        return status;
    status = apply(effects, &(struct mirror_moments){1, 2});
    record_effects_free(effects);
    return status;
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

static enum status find_deleted(const char *body, struct record_delete *found)
{
    enum status status = mirror_reader_begin(reader);

    ck_assert_int_eq(status, STATUS_OK);
    status = record_delete_find(records, reader, bytes_of(body), found, &reason);
    mirror_reader_end(reader);
    return status;
}

static size_t deleted(const char *body)
{
    struct record_delete found;
    size_t               count;

    ck_assert_msg(find_deleted(body, &found) == STATUS_OK, "%s: %s", body, reason);
    ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
    ck_assert_int_eq(record_delete_apply(records, &found), STATUS_OK);
    ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
    count = found.count;
    record_delete_done(&found);
    return count;
}

/* The ids in their order, each with a blank behind it. */
static const char *order(void)
{
    static char text[100];
    size_t      position = 0, size = 0;
    uint32_t    row;

    text[0] = '\0';
    while (mirror_records_next(records, &position, &row)) {
        struct bytes id = mirror_records_id(records, row);

        size += (size_t)snprintf(text + size, sizeof text - size, "%.*s ", (int)id.size, id.data);
    }
    return text;
}

static uint32_t row_of(const char *id)
{
    uint32_t row;

    ck_assert_int_eq(mirror_records_find(records, bytes_of(id), &row), STATUS_OK);
    return row;
}

static const float *vector_of(const char *id)
{
    static float vector[4];

    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_vector(reader, row_of(id), vector), STATUS_OK);
    mirror_reader_end(reader);
    return vector;
}

static struct mirror_metadata *read_metadata(struct bytes json)
{
    struct mirror_metadata *metadata = NULL;

    if (json.size > 0)
        ck_assert_int_eq(mirror_metadata_read(json, MIRROR_SOURCE_ANSWER, &metadata, &reason),
                         STATUS_OK);
    return metadata;
}

static void check_text(bool has, struct bytes text, const char *expected)
{
    ck_assert(has == (expected != NULL));
    ck_assert(expected == NULL || bytes_equal(text, bytes_of(expected)));
}

/* `document` and `uri` NULL: there is none. */
static void check_record(const char *id, float first, const char *metadata, const char *document,
                         const char *uri)
{
    struct mirror_metadata *expected = read_metadata(bytes_of(metadata)), *kept;
    struct mirror_value     value;

    ck_assert_uint_eq(mirror_records_dimension(records), 2);
    ck_assert(vector_of(id)[0] == first && vector_of(id)[1] == 0.5F);
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_value(reader, row_of(id), &value), STATUS_OK);
    kept = read_metadata(value.metadata);
    ck_assert_msg(metadata_merge_equal(kept, expected), "%s: %s", id, metadata);
    /* What has no fields is none. */
    ck_assert(kept == NULL || kept->count > 0);
    mirror_metadata_free(kept);
    mirror_metadata_free(expected);
    check_text(value.has_document, value.document, document);
    check_text(value.has_uri, value.uri, uri);
    mirror_reader_end(reader);
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
    update("{\"ids\":[\"a\"],\"embeddings\":[[4,0.5]],\"uris\":[\"u\"]}");
    update("{\"ids\":[\"a\"],\"documents\":[\"new\"],\"metadatas\":[null]}");
    check_record("a", 4, "{}", "new", "u");
    ck_assert_str_eq(order(), "a ");
}
END_TEST

START_TEST(long_texts_are_merged)
{
    enum { TEXT_SIZE = 1 << 20 };
    static char             body[TEXT_SIZE + 200];
    static char             text[TEXT_SIZE + 1];
    struct mirror_metadata *kept;
    struct mirror_value     value;

    memset(text, 'x', TEXT_SIZE);
    snprintf(body, sizeof body,
             "{\"ids\":[\"a\"],\"embeddings\":[[1,0.5]],\"metadatas\":[{\"k\":\"%s\"}]}", text);
    upsert(body);
    update("{\"ids\":[\"a\"],\"metadatas\":[{\"l\":1}]}");
    ck_assert_int_eq(mirror_reader_begin(reader), STATUS_OK);
    ck_assert_int_eq(mirror_reader_value(reader, row_of("a"), &value), STATUS_OK);
    kept = read_metadata(value.metadata);
    ck_assert(bytes_equal(mirror_metadata_find(kept, BYTES_LITERAL("k"))->items->text,
                          (struct bytes){.data = text, .size = TEXT_SIZE}));
    mirror_metadata_free(kept);
    mirror_reader_end(reader);
}
END_TEST

START_TEST(vectors_are_the_floats_that_chroma_keeps)
{
    const float *vector;

    add("{\"ids\":[\"a\",\"b\"],\"embeddings\":"
        "[[0.1,16777217,-1e-50,1152921573326323713],[1.17549435e-38,-0,1.25e18,2]]}");
    ck_assert_uint_eq(mirror_records_dimension(records), 4);
    vector = vector_of("a");
    ck_assert(vector[0] == 0.1F && vector[1] == 16777216.0F);
    /* A large integer is rounded once; as a 64-bit float first it would be 2^60. */
    ck_assert(vector[2] == 0 && vector[3] == 0x1.000002p60F);
    vector = vector_of("b");
    ck_assert(vector[0] == 1.17549435e-38F && vector[2] == 1.25e18F);
    /* 1, -2.5, 0.1, 65504: little-endian, three bytes to four characters. */
    upsert("{\"ids\":[\"a\"],\"embeddings\":[\"AACAPwAAIMDNzMw9AOB/Rw==\"]}");
    vector = vector_of("a");
    ck_assert(vector[0] == 1.0F && vector[1] == -2.5F);
    ck_assert(vector[2] == 0.1F && vector[3] == 65504.0F);
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
    struct record_delete found;

    add("{\"ids\":[\"a\"],\"embeddings\":[[1,0.5]],\"metadatas\":[{\"k\":1}],"
        "\"documents\":[\"one\"]}");
    for (size_t i = 0; i < COUNT_OF(writes); i++) {
        reason = NULL;
        ck_assert_int_eq(write_body(CHROMA_OPERATION_UPSERT, writes[i]), STATUS_NOT_IMPLEMENTED);
        ck_assert_ptr_nonnull(reason);
    }
    for (size_t i = 0; i < COUNT_OF(deletes); i++) {
        reason = NULL;
        ck_assert_msg(find_deleted(deletes[i], &found) == STATUS_NOT_IMPLEMENTED, "%s", deletes[i]);
        ck_assert_ptr_nonnull(reason);
    }
    ck_assert_str_eq(order(), "a ");
    check_record("a", 1, "{\"k\":1}", "one", NULL);
}
END_TEST

/* "a" is hollow, "b" was filled at 5, "c" at 3. */
START_TEST(what_was_read_under_way_is_not_known)
{
    static const enum chroma_operation operations[] = {
        CHROMA_OPERATION_ADD, CHROMA_OPERATION_UPSERT, CHROMA_OPERATION_UPDATE};
    struct record_effects *effects;

    add("{\"ids\":[\"a\",\"b\",\"c\"],\"embeddings\":[[1,0.5],[1,0.5],[1,0.5]]}");
    for (size_t i = 0; i < COUNT_OF(operations); i++) {
        ck_assert_int_eq(
            record_effects_read(operations[i],
                                BYTES_LITERAL("{\"ids\":[\"a\",\"b\",\"c\",\"b\"],\"embeddings\":"
                                              "[[2,0.5],[2,0.5],[2,0.5],[3,0.5]]}"),
                                &effects, &reason),
            STATUS_OK);
        ck_assert_int_eq(mirror_records_begin(records), STATUS_OK);
        ck_assert_int_eq(mirror_records_hollow(records, row_of("a")), STATUS_OK);
        mirror_records_set_mark(records, row_of("a"), 3);
        mirror_records_set_mark(records, row_of("b"), 5);
        mirror_records_set_mark(records, row_of("c"), 3);
        ck_assert_int_eq(mirror_records_commit(records), STATUS_OK);
        ck_assert_int_eq(apply(effects, &(struct mirror_moments){4, 6}), STATUS_OK);
        ck_assert(mirror_records_is_hollow(records, row_of("a")));
        ck_assert(mirror_records_is_hollow(records, row_of("b")));
        ck_assert_uint_eq(mirror_records_mark(records, row_of("a")), 6);
        ck_assert_uint_eq(mirror_records_mark(records, row_of("b")), 6);
        ck_assert_uint_eq(mirror_records_mark(records, row_of("c")), 3);
        ck_assert(vector_of("c")[0] == (i == 0 ? 1 : 2));
        record_effects_free(effects);
    }
    ck_assert_str_eq(order(), "a b c ");
    /* By ids it may be deleted, and what comes again is known. */
    ck_assert_uint_eq(deleted("{\"ids\":[\"a\",\"b\",\"a\"]}"), 3);
    upsert("{\"ids\":[\"b\"],\"embeddings\":[[7,0.5]]}");
    ck_assert_str_eq(order(), "c b ");
    check_record("b", 7, "{}", NULL, NULL);
    ck_assert_uint_eq(mirror_records_mark(records, row_of("b")), 0);
}
END_TEST

START_TEST(metadata_that_grew_too_large_to_be_read_is_told)
{
    static char body[20000];
    enum status status = STATUS_OK;
    int         part = 0;

    for (; status == STATUS_OK && part < 4; part++) {
        size_t size = (size_t)snprintf(body, sizeof body,
                                       "{\"ids\":[\"a\"],\"embeddings\":[[1,"
                                       "0.5]],\"metadatas\":[{");

        for (int i = 0; i < 400; i++)
            size += (size_t)snprintf(body + size, sizeof body - size, "%s\"%d-%d\":1",
                                     i == 0 ? "" : ",", part, i);
        snprintf(body + size, sizeof body - size, "}]}");
        status = write_body(CHROMA_OPERATION_UPSERT, body);
    }
    ck_assert_int_eq(status, STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(part, 3);
}
END_TEST

START_TEST(another_dimension_is_told)
{
    add("{\"ids\":[\"a\"],\"embeddings\":[[1,0.5]]}");
    ck_assert_int_eq(write_body(CHROMA_OPERATION_UPSERT, "{\"ids\":[\"b\"],\"embeddings\":[[1]]}"),
                     STATUS_NOT_IMPLEMENTED);
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
    tcase_add_test(tcase, what_was_read_under_way_is_not_known);
    tcase_add_test(tcase, metadata_that_grew_too_large_to_be_read_is_told);
    tcase_add_test(tcase, another_dimension_is_told);
    tcase_add_test(tcase, a_full_set_says_so);
    return check_main("record_effects", tcase);
}
