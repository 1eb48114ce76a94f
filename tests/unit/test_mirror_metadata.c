/* What must hold: metadata becomes what Chroma keeps of it, and what this does not know is said to
 * be so. tests/e2e/test_filters.py asks a real server. */
#include "mirror/mirror_metadata.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/compiler.h"
#include "support/check_main.h"

static struct mirror_metadata *metadata;
static const char             *reason;

static enum status read_bytes(struct bytes json)
{
    mirror_metadata_free(metadata);
    metadata = NULL;
    reason = NULL;
    return mirror_metadata_read(json, MIRROR_SOURCE_ANSWER, &metadata, &reason);
}

static void read_json(const char *json)
{
    ck_assert_msg(read_bytes(bytes_of(json)) == STATUS_OK, "%s: %s", json, reason);
}

static const struct mirror_field *field(const char *key)
{
    const struct mirror_field *found = mirror_metadata_find(metadata, bytes_of(key));

    ck_assert_msg(found != NULL, "no %s", key);
    return found;
}

static void check_text(const struct mirror_field *found, size_t place, const char *text)
{
    ck_assert_int_eq(found->type, MIRROR_TYPE_STRING);
    ck_assert(bytes_equal(found->items[place].text, bytes_of(text)));
}

START_TEST(values_have_the_types_that_chroma_gives_them)
{
    read_json("{\"s\":\"text\",\"i\":5,\"n\":-9223372036854775808,\"f\":5.0,\"t\":true,\"u\":false,"
              "\"0\":null,\"e\":\"\"}");
    ck_assert_uint_eq(metadata->count, 8);
    check_text(field("s"), 0, "text");
    check_text(field("e"), 0, "");
    ck_assert_int_eq(field("i")->type, MIRROR_TYPE_INTEGER);
    ck_assert_int_eq(field("i")->items->integer, 5);
    ck_assert(field("n")->items->integer == INT64_MIN);
    ck_assert_int_eq(field("f")->type, MIRROR_TYPE_DOUBLE);
    ck_assert(field("f")->items->real == 5.0);
    ck_assert_int_eq(field("t")->type, MIRROR_TYPE_BOOL);
    ck_assert(field("t")->items->flag && !field("u")->items->flag);
    ck_assert_int_eq(field("0")->type, MIRROR_TYPE_NULL);
    for (size_t i = 0; i < metadata->count; i++)
        ck_assert(!metadata->fields[i].is_list && metadata->fields[i].count == 1);
}
END_TEST

START_TEST(integers_that_do_not_fit_are_floats)
{
    static const char *const floats[] = {"9223372036854775808", "-9223372036854775809",
                                         "18446744073709551616", "-0", "1e2"};
    char                     json[100];

    for (size_t i = 0; i < COUNT_OF(floats); i++) {
        snprintf(json, sizeof json, "{\"k\":%s}", floats[i]);
        read_json(json);
        ck_assert_int_eq(field("k")->type, MIRROR_TYPE_DOUBLE);
        ck_assert(field("k")->items->real == strtod(floats[i], NULL));
    }
}
END_TEST

START_TEST(floats_of_writes_are_read_twice_and_those_of_answers_exactly)
{
    static const char json[] = "{\"k\":12.0889957903289218,\"l\":[0.5,12.0889957903289218]}";

    read_json(json);
    ck_assert(field("k")->items->real == 12.0889957903289218);
    mirror_metadata_free(metadata);
    ck_assert_int_eq(mirror_metadata_read(bytes_of(json), MIRROR_SOURCE_WRITE, &metadata, &reason),
                     STATUS_OK);
    ck_assert(field("k")->items->real == 12.08899579032892);
    ck_assert(field("l")->items[1].real == 12.08899579032892);
}
END_TEST

START_TEST(lists_keep_their_items_in_order)
{
    read_json("{\"s\":[\"b\",\"a\",\"b\"],\"i\":[3,1],\"f\":[0.5],\"b\":[true,false]}");
    ck_assert(field("s")->is_list);
    ck_assert_uint_eq(field("s")->count, 3);
    check_text(field("s"), 0, "b");
    check_text(field("s"), 1, "a");
    check_text(field("s"), 2, "b");
    ck_assert_int_eq(field("i")->type, MIRROR_TYPE_INTEGER);
    ck_assert_int_eq(field("i")->items[0].integer, 3);
    ck_assert_int_eq(field("i")->items[1].integer, 1);
    ck_assert(field("f")->is_list && field("f")->count == 1 && field("f")->items[0].real == 0.5);
    ck_assert(field("b")->items[0].flag && !field("b")->items[1].flag);
}
END_TEST

START_TEST(fields_are_sorted_and_found)
{
    read_json("{\"b\":1,\"\":2,\"ab\":3,\"a\":4,\"\\u0061a\":5,\"\xc3\xa9\":6}");
    ck_assert_uint_eq(metadata->count, 6);
    for (size_t i = 1; i < metadata->count; i++)
        ck_assert_int_lt(
            mirror_metadata_compare(metadata->fields[i - 1].key, metadata->fields[i].key), 0);
    ck_assert_int_eq(field("b")->items->integer, 1);
    ck_assert_int_eq(field("")->items->integer, 2);
    ck_assert_int_eq(field("ab")->items->integer, 3);
    ck_assert_int_eq(field("a")->items->integer, 4);
    ck_assert_int_eq(field("aa")->items->integer, 5);
    ck_assert_int_eq(field("\xc3\xa9")->items->integer, 6);
    ck_assert_ptr_null(mirror_metadata_find(metadata, BYTES_LITERAL("c")));
    ck_assert_ptr_null(mirror_metadata_find(metadata, BYTES_LITERAL("abc")));
    ck_assert_ptr_null(mirror_metadata_find(NULL, BYTES_LITERAL("a")));
}
END_TEST

START_TEST(the_last_value_of_a_key_counts)
{
    read_json("{\"a\":1,\"b\":2,\"a\":\"x\",\"\\u0061\":[7,8]}");
    ck_assert_uint_eq(metadata->count, 2);
    ck_assert(field("a")->is_list);
    ck_assert_int_eq(field("a")->items[1].integer, 8);
    ck_assert_int_eq(field("b")->items->integer, 2);
}
END_TEST

START_TEST(texts_are_decoded)
{
    read_json("{\"k\\n\":\"a\\u0000b\\ud83d\\ude00\"}");
    ck_assert(bytes_equal(field("k\n")->items->text, BYTES_LITERAL("a\0b\xf0\x9f\x98\x80")));
}
END_TEST

START_TEST(there_may_be_none)
{
    read_json("{}");
    ck_assert_uint_eq(metadata->count, 0);
    read_json(" null ");
    ck_assert_uint_eq(metadata->count, 0);
    ck_assert_ptr_null(mirror_metadata_find(metadata, BYTES_LITERAL("a")));
}
END_TEST

START_TEST(what_is_not_known_is_said_to_be_so)
{
    static const char *const unknown[] = {
        "",
        "[]",
        "5",
        "\"x\"",
        "{\"a\":1",
        "{\"a\":1}x",
        "{\"a\":01}",
        "{\"a\":}",
        "{\"a\":[1,}",
        "{\"a\":[",
        "{\"a\":{}}",
        "{\"a\":{\"#type\":\"sparse_vector\",\"indices\":[1],\"values\":[0.5]}}",
        "{\"a\":[]}",
        "{\"a\":[null]}",
        "{\"a\":[1,\"x\"]}",
        "{\"a\":[1,1.5]}",
        "{\"a\":[1,true]}",
        "{\"a\":[[1]]}",
        "{\"a\":[{}]}",
        "{\"chroma:document\":\"x\"}",
        "{\"chr\\u006fma:x\":1}",
        "{\"a\":\"\xff\"}",
    };

    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        ck_assert_msg(read_bytes(bytes_of(unknown[i])) == STATUS_NOT_IMPLEMENTED, "%s", unknown[i]);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

/* {"0":0,"1":1,...}, the last `item_count` of the values in one list. */
static enum status read_many(int field_count, int item_count)
{
    static char json[64 << 10];
    size_t      size = 1;

    json[0] = '{';
    for (int i = 0; i < field_count; i++)
        size += (size_t)snprintf(json + size, sizeof json - size, "\"%d\":%d,", i, i);
    size += (size_t)snprintf(json + size, sizeof json - size, "\"list\":[");
    for (int i = 0; i < item_count; i++)
        size += (size_t)snprintf(json + size, sizeof json - size, "%s7", i == 0 ? "" : ",");
    size += (size_t)snprintf(json + size, sizeof json - size, "]}");
    return read_bytes((struct bytes){.data = json, .size = size});
}

START_TEST(values_have_a_bound)
{
    ck_assert_int_eq(read_many(MIRROR_METADATA_VALUES_MAX - 2, 2), STATUS_OK);
    ck_assert_uint_eq(metadata->count, MIRROR_METADATA_VALUES_MAX - 1);
    ck_assert_int_eq(read_many(MIRROR_METADATA_VALUES_MAX - 2, 3), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(read_many(MIRROR_METADATA_VALUES_MAX, 1), STATUS_NOT_IMPLEMENTED);
    ck_assert_int_eq(read_many(0, MIRROR_METADATA_VALUES_MAX + 1), STATUS_NOT_IMPLEMENTED);
}
END_TEST

/* A sanitizer's malloc does not return NULL, it ends the program. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_FAILS 0
#elif defined(__has_feature)
#define MALLOC_FAILS (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define MALLOC_FAILS 1
#endif

START_TEST(without_memory_nothing_is_given)
{
    enum { text_size = 8 << 20 }; /* more than malloc keeps */
    char         *json = malloc(text_size);
    struct rlimit saved, denied;
    enum status   status;

    memset(json, 'x', text_size);
    memcpy(json, "{\"k\":\"", 6);
    memcpy(json + text_size - 2, "\"}", 2);
    ck_assert_int_eq(getrlimit(RLIMIT_AS, &saved), 0);
    denied = saved;
    denied.rlim_cur = 0;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &denied), 0);
    status = read_bytes((struct bytes){.data = json, .size = text_size});
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &saved), 0);
    ck_assert_int_eq(status, STATUS_NO_MEMORY);
    ck_assert_ptr_null(metadata);
    free(json);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("mirror_metadata");

    tcase_add_test(tcase, values_have_the_types_that_chroma_gives_them);
    tcase_add_test(tcase, integers_that_do_not_fit_are_floats);
    tcase_add_test(tcase, floats_of_writes_are_read_twice_and_those_of_answers_exactly);
    tcase_add_test(tcase, lists_keep_their_items_in_order);
    tcase_add_test(tcase, fields_are_sorted_and_found);
    tcase_add_test(tcase, the_last_value_of_a_key_counts);
    tcase_add_test(tcase, texts_are_decoded);
    tcase_add_test(tcase, there_may_be_none);
    tcase_add_test(tcase, what_is_not_known_is_said_to_be_so);
    tcase_add_test(tcase, values_have_a_bound);
    if (MALLOC_FAILS)
        tcase_add_test(tcase, without_memory_nothing_is_given);
    return check_main("mirror_metadata", tcase);
}
