/* What must hold: a filter matches what Chroma's matches, refuses what Chroma refuses, and says of
 * everything else that Chroma must be asked. tests/e2e/test_filters.py asks a real server. */
#include "mirror/filter.h"

#include <string.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "mirror/filter_program.h"
#include "support/check_main.h"

static const char *reason;

static struct bytes bytes_or_none(const char *text)
{
    return text == NULL ? (struct bytes){.data = NULL} : bytes_of(text);
}

static enum status read_filter(const char *where, const char *where_document)
{
    struct filter *filter = NULL;
    enum status    status;

    reason = NULL;
    status = filter_new(bytes_or_none(where), bytes_or_none(where_document), &filter, &reason);
    ck_assert((filter != NULL) == (status == STATUS_OK));
    ck_assert((reason == NULL) == (status == STATUS_OK));
    filter_free(filter);
    return status;
}

static bool matches(const char *where, const char *where_document, const char *metadata,
                    struct bytes document)
{
    struct filter_subject   subject = {.document = document, .has_document = document.data != NULL};
    struct mirror_metadata *read = NULL;
    struct filter          *filter = NULL;
    bool                    is_match;

    ck_assert_int_eq(mirror_metadata_read(bytes_of(metadata), MIRROR_SOURCE_WRITE, &read, &reason),
                     STATUS_OK);
    subject.metadata = read;
    ck_assert_msg(filter_new(bytes_or_none(where), bytes_or_none(where_document), &filter,
                             &reason) == STATUS_OK,
                  "%s: %s", where, reason);
    is_match = filter_matches(filter, &subject);
    filter_free(filter);
    mirror_metadata_free(read);
    return is_match;
}

struct metadata_row {
    const char *where, *metadata;
    bool        is_match;
};

static void check_metadata_rows(const struct metadata_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(matches(rows[i].where, NULL, rows[i].metadata,
                              (struct bytes){.data = NULL}) == rows[i].is_match,
                      "%s of %s", rows[i].where, rows[i].metadata);
}

START_TEST(equality_is_of_one_type_but_for_numbers)
{
    static const struct metadata_row rows[] = {
        {"{\"k\":\"a\"}", "{\"k\":\"a\"}", true},
        {"{\"k\":{\"$eq\":\"a\"}}", "{\"k\":\"a\"}", true},
        {"{\"k\":\"a\"}", "{\"k\":\"A\"}", false},
        {"{\"k\":\"a\"}", "{\"k\":\"ab\"}", false},
        {"{\"k\":\"a\"}", "{\"j\":\"a\"}", false},
        {"{\"\\u006b\":\"\\u0061\"}", "{\"k\":\"a\"}", true},
        {"{\"k\":\"a\\u0000b\"}", "{\"k\":\"a\\u0000b\"}", true},
        {"{\"k\":\"a\\u0000b\"}", "{\"k\":\"a\\u0000c\"}", false},
        {"{\"k\":\"\"}", "{\"k\":\"\"}", true},
        {"{\"k\":\"1\"}", "{\"k\":1}", false},
        {"{\"k\":1}", "{\"k\":1}", true},
        {"{\"k\":1}", "{\"k\":1.0}", true},
        {"{\"k\":1.0}", "{\"k\":1}", true},
        {"{\"k\":1}", "{\"k\":1.5}", false},
        {"{\"k\":1}", "{\"k\":\"1\"}", false},
        {"{\"k\":1}", "{\"k\":true}", false},
        {"{\"k\":true}", "{\"k\":true}", true},
        {"{\"k\":true}", "{\"k\":false}", false},
        {"{\"k\":true}", "{\"k\":1}", false},
        {"{\"k\":{\"$eq\":false}}", "{\"k\":false}", true},
        {"{\"k\":1}", "{\"k\":[1]}", false},
        {"{\"k\":1}", "{}", false},
    };

    check_metadata_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(a_float_is_cut_to_compare_it_with_integers)
{
    static const struct metadata_row rows[] = {
        {"{\"k\":1.5}", "{\"k\":1}", true},
        {"{\"k\":1.5}", "{\"k\":1.0}", false},
        {"{\"k\":-1.5}", "{\"k\":-1}", true},
        {"{\"k\":0.5}", "{\"k\":0}", true},
        {"{\"k\":-0.5}", "{\"k\":0}", true},
        {"{\"k\":-0}", "{\"k\":0}", true},
        {"{\"k\":{\"$gte\":1.5}}", "{\"k\":1}", true},
        {"{\"k\":{\"$gte\":1.5}}", "{\"k\":1.0}", false},
        {"{\"k\":{\"$lt\":1.5}}", "{\"k\":1}", false},
        {"{\"k\":{\"$lte\":1.5}}", "{\"k\":1}", true},
        {"{\"k\":{\"$gt\":1.5}}", "{\"k\":1}", false},
        {"{\"k\":{\"$gt\":1.5}}", "{\"k\":2}", true},
        {"{\"k\":1e300}", "{\"k\":9223372036854775807}", true},
        {"{\"k\":-1e300}", "{\"k\":-9223372036854775808}", true},
        {"{\"k\":1e300}", "{\"k\":9223372036854775806}", false},
        {"{\"k\":9223372036854775808.0}", "{\"k\":9223372036854775807}", true},
        {"{\"k\":9007199254740993}", "{\"k\":9007199254740992.0}", true},
        {"{\"k\":9007199254740993}", "{\"k\":9007199254740992}", false},
        {"{\"k\":9007199254740992.0}", "{\"k\":9007199254740993}", false},
    };

    check_metadata_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(numbers_are_ordered)
{
    static const struct metadata_row rows[] = {
        {"{\"k\":{\"$gt\":2}}", "{\"k\":3}", true},
        {"{\"k\":{\"$gt\":2}}", "{\"k\":2}", false},
        {"{\"k\":{\"$gt\":2}}", "{\"k\":1}", false},
        {"{\"k\":{\"$gt\":2}}", "{\"k\":2.5}", true},
        {"{\"k\":{\"$gte\":2}}", "{\"k\":3}", true},
        {"{\"k\":{\"$gte\":2}}", "{\"k\":2}", true},
        {"{\"k\":{\"$gte\":2}}", "{\"k\":1}", false},
        {"{\"k\":{\"$lt\":2}}", "{\"k\":1}", true},
        {"{\"k\":{\"$lt\":2}}", "{\"k\":2}", false},
        {"{\"k\":{\"$lt\":2}}", "{\"k\":3}", false},
        {"{\"k\":{\"$lt\":2}}", "{\"k\":1.5}", true},
        {"{\"k\":{\"$lte\":2}}", "{\"k\":1}", true},
        {"{\"k\":{\"$lte\":2}}", "{\"k\":2.0}", true},
        {"{\"k\":{\"$lte\":2}}", "{\"k\":3}", false},
        {"{\"k\":{\"$lt\":2}}", "{\"k\":\"1\"}", false},
        {"{\"k\":{\"$lt\":2}}", "{\"k\":true}", false},
        {"{\"k\":{\"$lt\":2}}", "{}", false},
        {"{\"k\":{\"$lt\":2}}", "{\"k\":[1]}", false},
    };

    check_metadata_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(what_is_negated_matches_records_without_the_key)
{
    static const struct metadata_row rows[] = {
        {"{\"k\":{\"$ne\":1}}", "{\"k\":1}", false},
        {"{\"k\":{\"$ne\":1}}", "{\"k\":1.0}", false},
        {"{\"k\":{\"$ne\":1}}", "{\"k\":2}", true},
        {"{\"k\":{\"$ne\":1.5}}", "{\"k\":1}", false},
        {"{\"k\":{\"$ne\":1}}", "{\"k\":\"1\"}", true},
        {"{\"k\":{\"$ne\":1}}", "{\"k\":[1]}", true},
        {"{\"k\":{\"$ne\":1}}", "{}", true},
        {"{\"k\":{\"$ne\":1}}", "null", true},
        {"{\"k\":{\"$ne\":\"a\"}}", "{\"k\":\"a\"}", false},
        {"{\"k\":{\"$ne\":true}}", "{\"k\":false}", true},
        {"{\"k\":{\"$nin\":[1,2]}}", "{\"k\":2}", false},
        {"{\"k\":{\"$nin\":[1,2]}}", "{\"k\":3}", true},
        {"{\"k\":{\"$nin\":[1,2]}}", "{}", true},
        {"{\"k\":{\"$not_contains\":1}}", "{\"k\":[1,2]}", false},
        {"{\"k\":{\"$not_contains\":1}}", "{\"k\":[2]}", true},
        {"{\"k\":{\"$not_contains\":1}}", "{\"k\":1}", true},
        {"{\"k\":{\"$not_contains\":1}}", "{}", true},
    };

    check_metadata_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(a_value_is_among_several)
{
    static const struct metadata_row rows[] = {
        {"{\"k\":{\"$in\":[\"b\",\"a\",\"c\"]}}", "{\"k\":\"a\"}", true},
        {"{\"k\":{\"$in\":[\"b\",\"a\",\"c\"]}}", "{\"k\":\"b\"}", true},
        {"{\"k\":{\"$in\":[\"b\",\"a\",\"c\"]}}", "{\"k\":\"c\"}", true},
        {"{\"k\":{\"$in\":[\"b\",\"a\",\"c\"]}}", "{\"k\":\"bb\"}", false},
        {"{\"k\":{\"$in\":[\"b\",\"a\",\"c\"]}}", "{\"k\":\"\"}", false},
        {"{\"k\":{\"$in\":[3,1,2,2]}}", "{\"k\":2}", true},
        {"{\"k\":{\"$in\":[3,1,2]}}", "{\"k\":3.0}", true},
        {"{\"k\":{\"$in\":[3,1,2]}}", "{\"k\":2.5}", false},
        {"{\"k\":{\"$in\":[3,1,2]}}", "{\"k\":4}", false},
        {"{\"k\":{\"$in\":[2.5,-7]}}", "{\"k\":2}", true},
        {"{\"k\":{\"$in\":[2.5,-7]}}", "{\"k\":2.5}", true},
        {"{\"k\":{\"$in\":[2.5,-7]}}", "{\"k\":-7}", true},
        {"{\"k\":{\"$in\":[2.5,-7]}}", "{\"k\":2.0}", false},
        {"{\"k\":{\"$in\":[2.75,2.25,1e300,1e301,2]}}", "{\"k\":2.25}", true},
        {"{\"k\":{\"$in\":[2.75,2.25,1e300,1e301,2]}}", "{\"k\":2.0}", true},
        {"{\"k\":{\"$in\":[2.75,2.25,1e301,1e300,2]}}", "{\"k\":1e301}", true},
        {"{\"k\":{\"$in\":[2.75,2.25,1e301,1e300,2]}}", "{\"k\":9223372036854775807}", true},
        {"{\"k\":{\"$in\":[1.5,18446744073709551615]}}", "{\"k\":1.8446744073709552e19}", true},
        {"{\"k\":{\"$in\":[true]}}", "{\"k\":true}", true},
        {"{\"k\":{\"$in\":[true]}}", "{\"k\":false}", false},
        {"{\"k\":{\"$in\":[true,false]}}", "{\"k\":false}", true},
        {"{\"k\":{\"$in\":[1]}}", "{\"k\":true}", false},
        {"{\"k\":{\"$in\":[1]}}", "{\"k\":[1]}", false},
        {"{\"k\":{\"$in\":[9007199254740993]}}", "{\"k\":9007199254740992.0}", true},
        {"{\"k\":{\"$in\":[9007199254740993,9007199254740992]}}", "{\"k\":9007199254740993}", true},
        {"{\"k\":{\"$in\":[9007199254740993,9007199254740992]}}", "{\"k\":9007199254740991}",
         false},
    };

    check_metadata_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(lists_hold_what_is_strictly_equal)
{
    static const struct metadata_row rows[] = {
        {"{\"k\":{\"$contains\":\"a\"}}", "{\"k\":[\"b\",\"a\"]}", true},
        {"{\"k\":{\"$contains\":\"a\"}}", "{\"k\":[\"ab\"]}", false},
        {"{\"k\":{\"$contains\":\"a\"}}", "{\"k\":\"a\"}", false},
        {"{\"k\":{\"$contains\":1}}", "{\"k\":[2,1]}", true},
        {"{\"k\":{\"$contains\":1}}", "{\"k\":[1.0]}", false},
        {"{\"k\":{\"$contains\":1.0}}", "{\"k\":[1]}", false},
        {"{\"k\":{\"$contains\":1.0}}", "{\"k\":[1.0]}", true},
        {"{\"k\":{\"$contains\":1.5}}", "{\"k\":[1]}", false},
        {"{\"k\":{\"$contains\":true}}", "{\"k\":[false,true]}", true},
        {"{\"k\":{\"$contains\":true}}", "{\"k\":[false]}", false},
        {"{\"k\":{\"$contains\":true}}", "{\"k\":[1]}", false},
        {"{\"k\":{\"$contains\":\"a\"}}", "{}", false},
    };

    check_metadata_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(conditions_are_combined)
{
    static const struct metadata_row rows[] = {
        {"{\"$and\":[]}", "{}", true},
        {"{\"$or\":[]}", "{}", false},
        {"{\"$and\":[{\"a\":1}]}", "{\"a\":1}", true},
        {"{\"$or\":[{\"a\":1}]}", "{\"a\":2}", false},
        {"{\"$and\":[{\"a\":1},{\"b\":2}]}", "{\"a\":1,\"b\":2}", true},
        {"{\"$and\":[{\"a\":1},{\"b\":2}]}", "{\"a\":1,\"b\":3}", false},
        {"{\"$and\":[{\"a\":1},{\"b\":2}]}", "{\"a\":0,\"b\":2}", false},
        {"{\"$or\":[{\"a\":1},{\"b\":2}]}", "{\"a\":0,\"b\":2}", true},
        {"{\"$or\":[{\"a\":1},{\"b\":2}]}", "{\"a\":1}", true},
        {"{\"$or\":[{\"a\":1},{\"b\":2}]}", "{}", false},
        {"{\"$and\":[{\"$or\":[{\"a\":1},{\"a\":2}]},{\"b\":1}]}", "{\"a\":1,\"b\":1}", true},
        {"{\"$and\":[{\"$or\":[{\"a\":1},{\"a\":2}]},{\"b\":1}]}", "{\"a\":1,\"b\":2}", false},
        {"{\"$or\":[{\"$and\":[{\"a\":1},{\"b\":1}]},{\"c\":1}]}", "{\"a\":2,\"b\":1,\"c\":1}",
         true},
        {"{\"$or\":[{\"$and\":[{\"a\":1},{\"$or\":[]}]},{\"c\":1}]}", "{\"a\":1,\"c\":2}", false},
        {"{\"$and\":[{\"$or\":[{\"$and\":[]}]},{\"a\":{\"$ne\":1}}]}", "{\"a\":1}", false},
        {"null", "{}", true},
        {NULL, "{}", true},
    };

    check_metadata_rows(rows, COUNT_OF(rows));
}
END_TEST

START_TEST(documents_hold_texts)
{
    static const struct {
        const char  *where_document;
        struct bytes document; /* no data: none */
        bool         is_match;
    } rows[] = {
        {"{\"$contains\":\"lo w\"}", BYTES_INIT("hello world"), true},
        {"{\"$contains\":\"hello world\"}", BYTES_INIT("hello world"), true},
        {"{\"$contains\":\"hello world!\"}", BYTES_INIT("hello world"), false},
        {"{\"$contains\":\"Hello\"}", BYTES_INIT("hello world"), false},
        {"{\"$contains\":\"o\"}", BYTES_INIT("hello"), true},
        {"{\"$contains\":\"h%o\"}", BYTES_INIT("hello"), false},
        {"{\"$contains\":\"h_llo\"}", BYTES_INIT("hello"), false},
        {"{\"$contains\":\"\"}", BYTES_INIT("hello"), true},
        {"{\"$contains\":\"\"}", BYTES_INIT(""), true},
        {"{\"$contains\":\"\"}", {.data = NULL}, false},
        {"{\"$contains\":\"x\"}", BYTES_INIT(""), false},
        {"{\"$not_contains\":\"\"}", BYTES_INIT(""), false},
        {"{\"$not_contains\":\"\"}", {.data = NULL}, true},
        {"{\"$not_contains\":\"ell\"}", BYTES_INIT("hello"), false},
        {"{\"$not_contains\":\"xyz\"}", BYTES_INIT("hello"), true},
        {"{\"$contains\":\"\\u4e2d\"}", BYTES_INIT("\xe4\xb8\xad\xe6\x96\x87"), true},
        {"{\"$contains\":\"b\"}", BYTES_INIT("a\0b"), false},
        {"{\"$contains\":\"a\"}", BYTES_INIT("a\0b"), true},
        {"{\"$contains\":\"\"}", BYTES_INIT("\0b"), true},
        {"{\"$contains\":\"b\\u0000c\"}", BYTES_INIT("ab"), true},
        {"{\"$contains\":\"b\\u0000c\"}", BYTES_INIT("ab\0c"), true},
        {"{\"$contains\":\"b\\u0000\"}", BYTES_INIT("abc"), false},
        {"{\"$contains\":\"\\u0000c\"}", BYTES_INIT("ab"), true},
        {"{\"$contains\":\"abc\\u0000\"}", BYTES_INIT("bc"), false},
        {"{\"$and\":[{\"$contains\":\"a\"},{\"$not_contains\":\"c\"}]}", BYTES_INIT("ab"), true},
        {"{\"$or\":[{\"$contains\":\"x\"},{\"$contains\":\"b\"}]}", BYTES_INIT("ab"), true},
        {"{\"$or\":[]}", BYTES_INIT("ab"), false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        ck_assert_msg(matches(NULL, rows[i].where_document, "{}", rows[i].document) ==
                          rows[i].is_match,
                      "%zu: %s of %s", i, rows[i].where_document, rows[i].document.data);
}
END_TEST

START_TEST(both_filters_must_hold)
{
    struct bytes document = BYTES_LITERAL("hello");

    ck_assert(matches("{\"k\":1}", "{\"$contains\":\"ell\"}", "{\"k\":1}", document));
    ck_assert(!matches("{\"k\":2}", "{\"$contains\":\"ell\"}", "{\"k\":1}", document));
    ck_assert(!matches("{\"k\":1}", "{\"$contains\":\"elk\"}", "{\"k\":1}", document));
    ck_assert(matches("{\"#document\":{\"$contains\":\"ell\"}}", "null", "{}", document));
    ck_assert(!matches("{\"#document\":{\"$not_contains\":\"ell\"}}", NULL, "{}", document));
    ck_assert(matches("{\"$or\":[{\"k\":2},{\"#document\":{\"$contains\":\"o\"}}]}", NULL,
                      "{\"k\":1}", document));
}
END_TEST

START_TEST(what_chroma_refuses_is_refused_in_its_words)
{
    static const char *const wheres[] = {
        "{}",
        "[]",
        "5",
        "\"x\"",
        "true",
        "{\"a\":1,\"b\":2}",
        "{\"a\":null}",
        "{\"a\":[1]}",
        "{\"a\":{}}",
        "{\"a\":{\"$eq\":1,\"$ne\":2}}",
        "{\"a\":{\"$eq\":null}}",
        "{\"a\":{\"$eq\":[1]}}",
        "{\"a\":{\"$eq\":{}}}",
        "{\"a\":{\"eq\":1}}",
        "{\"a\":{\"$like\":\"x\"}}",
        "{\"a\":{\"$gt\":\"x\"}}",
        "{\"a\":{\"$lte\":true}}",
        "{\"a\":{\"$gte\":[1]}}",
        "{\"a\":{\"$in\":[]}}",
        "{\"a\":{\"$in\":1}}",
        "{\"a\":{\"$in\":[1,1.5]}}",
        "{\"a\":{\"$in\":[1,\"x\"]}}",
        "{\"a\":{\"$in\":[\"x\",1]}}",
        "{\"a\":{\"$in\":[true,1]}}",
        "{\"a\":{\"$in\":[null]}}",
        "{\"a\":{\"$in\":[[1]]}}",
        "{\"a\":{\"$nin\":[1.5,null]}}",
        "{\"a\":{\"$in\":[9223372036854775808]}}",
        "{\"a\":{\"$in\":[1,9223372036854775808]}}",
        "{\"a\":{\"$contains\":[1]}}",
        "{\"a\":{\"$contains\":null}}",
        "{\"a\":{\"$regex\":\"x\"}}",
        "{\"a\":9223372036854775808}",
        "{\"a\":{\"$lt\":18446744073709551615}}",
        "{\"$and\":{}}",
        "{\"$and\":[{}]}",
        "{\"$or\":[1]}",
        "{\"$or\":[{\"a\":1},{\"b\":{}}]}",
        "{\"$not\":{\"a\":1}}",
        "{\"$eq\":1}",
        "{\"$contains\":\"x\"}",
        "{\"#document\":{\"$contains\":1}}",
        "{\"#document\":{\"$regex\":1}}",
        "{\"#document\":{}}",
        "{\"#document\":{\"like\":\"x\"}}",
    };
    static const char *const documents[] = {
        "{}",
        "[]",
        "\"x\"",
        "{\"$contains\":1}",
        "{\"$contains\":null}",
        "{\"$contains\":[\"x\"]}",
        "{\"$eq\":\"x\"}",
        "{\"$regex\":1}",
        "{\"a\":\"x\"}",
        "{\"$contains\":\"x\",\"$not_contains\":\"y\"}",
        "{\"$and\":{}}",
        "{\"$or\":[{\"$contains\":\"x\"},5]}",
    };

    for (size_t i = 0; i < COUNT_OF(wheres); i++) {
        ck_assert_msg(read_filter(wheres[i], NULL) == STATUS_INVALID, "%s", wheres[i]);
        ck_assert_str_eq(reason, "Invalid where clause");
    }
    for (size_t i = 0; i < COUNT_OF(documents); i++) {
        ck_assert_msg(read_filter("{\"a\":1}", documents[i]) == STATUS_INVALID, "%s", documents[i]);
        ck_assert_str_eq(reason, "Invalid where document clause");
    }
}
END_TEST

START_TEST(what_only_chroma_knows_it_is_asked)
{
    static const char *const wheres[] = {
        "{\"#document\":{\"$regex\":\"x\"}}",
        "{\"$or\":[{\"#document\":{\"$not_regex\":\"(\"}},{}]}",
        "{\"#document\":\"x\"}",
        "{\"#document\":{\"$ne\":\"x\"}}",
        "{\"#document\":{\"$in\":[\"x\"]}}",
        "{\"#document\":5}",
        "{\"#id\":\"x\"}",
        "{\"#embedding\":1}",
        "{\"chroma:document\":\"x\"}",
        "{\"chroma:uri\":{\"$ne\":\"x\"}}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":{\"$eq\":1,\"$eq\":2}}",
        "{\"a\":{},\"a\":1}",
        "{\"#document\":{\"$contains\":\"\\ufffd\"}}",
        "{\"#document\":{\"$contains\":\"x\\uffff\"}}",
        "",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"$and\":[{},",
    };
    static const char *const documents[] = {
        "{\"$regex\":\"x\"}",
        "{\"$and\":[{\"$not_regex\":\"x\"},5]}",
        "{\"$contains\":\"\\ufffe\"}",
        "{\"$contains\":\"x\",\"$contains\":\"y\"}",
    };

    for (size_t i = 0; i < COUNT_OF(wheres); i++)
        ck_assert_msg(read_filter(wheres[i], NULL) == STATUS_NOT_IMPLEMENTED, "%s", wheres[i]);
    for (size_t i = 0; i < COUNT_OF(documents); i++)
        ck_assert_msg(read_filter(NULL, documents[i]) == STATUS_NOT_IMPLEMENTED, "%s",
                      documents[i]);
    /* What comes first is what Chroma answers. */
    ck_assert_int_eq(read_filter("{\"#document\":{\"$regex\":\"x\"}}", "{}"),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(read_filter("{}", "{\"$regex\":\"x\"}"), STATUS_INVALID);
}
END_TEST

/* `count` times `item` between `begin` and `end`, with commas if `has_commas`. */
static enum status read_repeated(const char *begin, const char *item, size_t count, const char *end,
                                 bool has_commas)
{
    struct byte_buffer json = {.data = NULL};
    enum status        status = byte_buffer_printf(&json, SIZE_MAX, "%s", begin);

    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = byte_buffer_printf(&json, SIZE_MAX, "%s%s", has_commas && i > 0 ? "," : "", item);
    if (status == STATUS_OK)
        status = byte_buffer_append(&json, (struct bytes){.data = end, .size = strlen(end) + 1},
                                    SIZE_MAX);
    ck_assert_int_eq(status, STATUS_OK);
    status = read_filter(json.data, NULL);
    byte_buffer_done(&json);
    return status;
}

START_TEST(everything_has_a_bound)
{
    char        deep[400] = "{\"$and\":[]}";
    enum status status = STATUS_OK;
    unsigned    depth = 1;

    for (; status == STATUS_OK; depth++) {
        status = read_filter(deep, NULL);
        memmove(deep + 9, deep, strlen(deep) + 1);
        memcpy(deep, "{\"$and\":[", 9);
        strcat(deep, "]}");
    }
    ck_assert_int_eq(status, STATUS_NOT_IMPLEMENTED);
    ck_assert_uint_eq(depth - 2, FILTER_DEPTH_MAX);

    ck_assert_int_eq(read_repeated("{\"$or\":[", "{\"a\":1}", FILTER_NODES_MAX - 1, "]}", true),
                     STATUS_OK);
    ck_assert_int_eq(read_repeated("{\"$or\":[", "{\"a\":1}", FILTER_NODES_MAX, "]}", true),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(read_repeated("{\"a\":{\"$in\":[", "1", FILTER_OPERANDS_MAX, "]}}", true),
                     STATUS_OK);
    ck_assert_int_eq(read_repeated("{\"a\":{\"$in\":[", "1", FILTER_OPERANDS_MAX + 1, "]}}", true),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(
        read_repeated("{\"#document\":{\"$contains\":\"", "x", FILTER_NEEDLE_MAX, "\"}}", false),
        STATUS_OK);
    ck_assert_int_eq(read_repeated("{\"#document\":{\"$contains\":\"", "x", FILTER_NEEDLE_MAX + 1,
                                   "\"}}", false),
                     STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(read_repeated("{\"a\":\"", "x", FILTER_SIZE_MAX - 8, "\"}", false), STATUS_OK);
    ck_assert_int_eq(read_repeated("{\"a\":\"", "x", FILTER_SIZE_MAX - 7, "\"}", false),
                     STATUS_NOT_IMPLEMENTED);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("filter");

    tcase_add_test(tcase, equality_is_of_one_type_but_for_numbers);
    tcase_add_test(tcase, a_float_is_cut_to_compare_it_with_integers);
    tcase_add_test(tcase, numbers_are_ordered);
    tcase_add_test(tcase, what_is_negated_matches_records_without_the_key);
    tcase_add_test(tcase, a_value_is_among_several);
    tcase_add_test(tcase, lists_hold_what_is_strictly_equal);
    tcase_add_test(tcase, conditions_are_combined);
    tcase_add_test(tcase, documents_hold_texts);
    tcase_add_test(tcase, both_filters_must_hold);
    tcase_add_test(tcase, what_chroma_refuses_is_refused_in_its_words);
    tcase_add_test(tcase, what_only_chroma_knows_it_is_asked);
    tcase_add_test(tcase, everything_has_a_bound);
    return check_main("filter", tcase);
}
