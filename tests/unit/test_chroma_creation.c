/* What must hold: nothing is taken for the collection that was asked for but that collection. */
#include <string.h>

#include "base/compiler.h"
#include "chroma/chroma_creation.h"
#include "support/check_main.h"

/* As 1.5.9 describes it, shortened. */
#define DESCRIPTION(name, metadata, dimension)                                                     \
    "{\"id\":\"4de5ac2a-e674-4bea-a356-304ee16567b2\",\"name\":\"" name                            \
    "\",\"configuration_json\":{\"hnsw\":{\"space\":\"cosine\",\"ef_search\":100,"                 \
    "\"resize_factor\":1.2},\"spann\":null,\"embedding_function\":{\"type\":\"known\","            \
    "\"name\":\"default\",\"config\":{}}},\"schema\":{\"keys\":{\"k\":[1]}},"                      \
    "\"metadata\":" metadata ",\"dimension\":" dimension                                           \
    ",\"tenant\":\"t\",\"database\":\"d\",\"log_position\":0,"                                     \
    "\"version\":0}"

static const char fresh[] = DESCRIPTION("abc", "{\"a\":1,\"b\":\"c\"}", "null");
static const char bare[] = DESCRIPTION("abc", "null", "null");

static const struct {
    const char *body, *description;
    bool        is_of;
} creations[] = {
    {"{\"name\":\"abc\"}", bare, true},
    {"{\"name\":\"abc\",\"metadata\":null,\"configuration\":null,\"schema\":null}", bare, true},
    {"{\"name\":\"abc\",\"metadata\":{\"b\":\"c\",\"a\":1}}", fresh, true},
    {"{\"name\":\"abc\",\"configuration\":{\"hnsw\":{\"space\":\"cosine\",\"ef_search\":100.0}}}",
     bare, true},
    {"{\"name\":\"abc\",\"configuration\":{\"hnsw\":{\"ef_search\":null},\"spann\":null,"
     "\"embedding_function\":{\"type\":\"known\",\"name\":\"default\",\"config\":{}}}}",
     bare, true},
    {"{\"name\":\"abc\",\"schema\":{\"keys\":{\"k\":[1]}}}", bare, true},
    {"{\"name\":\"abd\"}", bare, false},
    {"{}", bare, false},
    {"{\"name\":\"abc\"}", fresh, false},
    {"{\"name\":\"abc\",\"metadata\":{\"a\":1}}", fresh, false},
    {"{\"name\":\"abc\",\"metadata\":{\"a\":1,\"b\":\"d\"}}", fresh, false},
    {"{\"name\":\"abc\",\"metadata\":{\"a\":1}}", bare, false},
    {"{\"name\":\"abc\"}", DESCRIPTION("abc", "null", "3"), false},
    {"{\"name\":\"abc\",\"configuration\":{\"hnsw\":{\"space\":\"l2\"}}}", bare, false},
    {"{\"name\":\"abc\",\"configuration\":{\"hnsw\":{\"ef_search\":99}}}", bare, false},
    {"{\"name\":\"abc\",\"configuration\":{\"hnsw\":{\"other\":1}}}", bare, false},
    {"{\"name\":\"abc\",\"configuration\":{\"spann\":{\"space\":\"l2\"}}}", bare, false},
    {"{\"name\":\"abc\",\"schema\":{\"keys\":{\"k\":[1,2]}}}", bare, false},
    {"{\"name\":\"abc\",\"name\":\"abc\"}", bare, false},
    {"[\"abc\"]", bare, false},
    {"{\"name\":\"abc\"}", "{}", false},
    {"{\"name\":\"abc\"}", "", false},
    {"", bare, false},
};

START_TEST(a_description_is_told_from_that_of_another_collection)
{
    ck_assert_int_eq(
        chroma_creation_is_of(bytes_of(creations[_i].body), bytes_of(creations[_i].description)),
        creations[_i].is_of);
}
END_TEST

static const struct {
    const char *body, *name; /* NULL: it cannot be told */
} names[] = {
    {"{\"name\":\"abc\"}", "abc"},
    {" {\"metadata\":{\"name\":\"x\"},\"name\":\"abc\",\"get_or_create\":true}", "abc"},
    {"{\"name\":\"a\\u0062c\"}", NULL},
    {"{\"name\":\"abc\",\"name\":\"abd\"}", NULL},
    {"{\"name\":\"\"}", NULL},
    {"{\"name\":1}", NULL},
    {"{\"metadata\":{\"name\":\"x\"}}", NULL},
    {"{\"name\":\"abc\"", NULL},
    {"{\"name\":\"abc\"}}", NULL},
    {"\"abc\"", NULL},
    {"", NULL},
};

START_TEST(the_name_is_read_or_said_to_be_unknown)
{
    struct bytes name = {0};
    bool         is_told = chroma_creation_name(bytes_of(names[_i].body), &name);

    ck_assert_int_eq(is_told, names[_i].name != NULL);
    ck_assert(!is_told || bytes_equal(name, bytes_of(names[_i].name)));
}
END_TEST

START_TEST(a_large_body_is_not_looked_at)
{
    static char  body[64 << 10] = "{\"name\":\"abc\"";
    struct bytes name;

    memset(body + strlen(body), ' ', sizeof body - 1 - strlen(body));
    body[sizeof body - 2] = '}';
    ck_assert(!chroma_creation_name(bytes_of(body), &name));
    ck_assert(!chroma_creation_is_of(bytes_of(body), bytes_of(bare)));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_creation");

    tcase_add_loop_test(tcase, a_description_is_told_from_that_of_another_collection, 0,
                        COUNT_OF(creations));
    tcase_add_loop_test(tcase, the_name_is_read_or_said_to_be_unknown, 0, COUNT_OF(names));
    tcase_add_test(tcase, a_large_body_is_not_looked_at);
    return check_main("chroma_creation", tcase);
}
