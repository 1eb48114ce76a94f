/* What must hold: the order of metadata and the last digits of distances do not matter, all else
 * does. */
#include "chroma/same_answer.h"

#include "base/compiler.h"
#include "support/check_main.h"

static bool same(const char *one, const char *other)
{
    bool is_same = same_answer(bytes_of(one), bytes_of(other));

    ck_assert_int_eq(same_answer(bytes_of(other), bytes_of(one)), is_same);
    return is_same;
}

START_TEST(order_of_members_and_the_last_digits_of_distances_do_not_matter)
{
    static const char *const pairs[][2] = {
        {"1", "1"},
        {"\"a\"", " \"a\" "},
        {"not JSON", "not JSON"},
        {"{\"a\":[1],\"b\":{}}", "{\"b\":{},\"a\":[1]}"},
        {"{\"metadatas\":[[{\"x\":1,\"y\":\"z\"},null]]}",
         "{\"metadatas\":[[{\"y\":\"z\",\"x\":1},null]]}"},
        {"{\"distances\":[[0.1234567,2]]}", "{\"distances\":[[0.1234568,2.0]]}"},
        {"{\"distances\":[[1000000.0,0]]}", "{\"distances\":[[1000001.0,-0.0000001]]}"},
        {"{\"distances\":null}", "{\"distances\":null}"},
    };

    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        ck_assert_msg(same(pairs[i][0], pairs[i][1]), "%s", pairs[i][0]);
}
END_TEST

START_TEST(all_else_does)
{
    static const char *const pairs[][2] = {
        {"1", "2"},
        {"1", "\"1\""},
        {"1", "1.0"},
        {"not JSON", "{}"},
        {"{}", "[]"},
        {"{}", "{\"a\":null}"},
        {"{\"a\":1}", "{\"b\":1}"},
        {"{\"ids\":[\"a\",\"b\"]}", "{\"ids\":[\"b\",\"a\"]}"},
        {"{\"ids\":[\"a\"]}", "{\"ids\":[\"a\",\"b\"]}"},
        {"{\"documents\":[\"a\"]}", "{\"documents\":[null]}"},
        {"{\"embeddings\":[[0.1234567]]}", "{\"embeddings\":[[0.1234568]]}"},
        {"{\"metadatas\":[{\"x\":true}]}", "{\"metadatas\":[{\"x\":false}]}"},
        {"{\"distances\":[[0.1]]}", "{\"distances\":[[0.10002]]}"},
        {"{\"distances\":[[0.1]]}", "{\"distances\":[[null]]}"},
        {"{\"distances\":[[0.1]]}", "{\"distances\":[[0.1,0.1]]}"},
        {"{\"distances\":[[1000000.0]]}", "{\"distances\":[[1000020.0]]}"},
    };

    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        ck_assert_msg(!same(pairs[i][0], pairs[i][1]), "%s", pairs[i][0]);
}
END_TEST

static bool same_search(const char *one, const char *other)
{
    bool is_same = same_answer_but_for_neighbours(bytes_of(one), bytes_of(other));

    ck_assert_int_eq(same_answer_but_for_neighbours(bytes_of(other), bytes_of(one)), is_same);
    return is_same;
}

START_TEST(searches_may_find_others)
{
    static const char *const pairs[][2] = {
        {"{\"ids\":[[]]}", "{\"ids\":[[]]}"},
        {"{\"ids\":[[\"a\",\"b\"]]}", "{\"ids\":[[\"c\",\"a\"]]}"},
        {"{\"ids\":[[\"a\",\"b\"]]}", "{\"ids\":[[\"a\"]]}"},
        {"{\"ids\":[[\"a\",\"b\"]],\"distances\":[[1,2]],\"documents\":null}",
         "{\"ids\":[[\"b\",\"c\"]],\"distances\":[[2.000001,3]],\"documents\":null}"},
        {"{\"ids\":[[\"a\"],[\"b\"]],\"metadatas\":[[{\"x\":1,\"y\":2}],[null]],\"uris\":null}",
         "{\"ids\":[[\"a\"],[\"b\"]],\"metadatas\":[[{\"y\":2,\"x\":1}],[null]],\"uris\":null}"},
    };

    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        ck_assert_msg(same_search(pairs[i][0], pairs[i][1]), "%s", pairs[i][0]);
}
END_TEST

START_TEST(what_both_have_found_must_be_the_same)
{
    static const char *const pairs[][2] = {
        {"[]", "[]"},
        {"{}", "{}"},
        {"{\"ids\":[[\"a\"]]}", "{\"ids\":[[\"a\"],[\"a\"]]}"},
        {"{\"ids\":[[\"a\"]]}", "{\"ids\":[[\"a\"]],\"uris\":null}"},
        {"{\"ids\":[[\"a\"]],\"documents\":null}", "{\"ids\":[[\"a\"]],\"documents\":[[\"a\"]]}"},
        {"{\"ids\":[[\"a\"]],\"documents\":null}", "{\"ids\":[[\"b\"]],\"documents\":[[\"b\"]]}"},
        {"{\"ids\":[[\"a\"]],\"documents\":[[]]}", "{\"ids\":[[\"a\"]],\"documents\":[[\"a\"]]}"},
        {"{\"ids\":[[\"a\"]],\"include\":[\"uris\"]}",
         "{\"ids\":[[\"a\"]],\"include\":[\"documents\"]}"},
        {"{\"ids\":[[\"a\",\"b\"]],\"documents\":[[\"x\",\"y\"]]}",
         "{\"ids\":[[\"b\",\"c\"]],\"documents\":[[\"x\",\"y\"]]}"},
        {"{\"ids\":[[\"a\"]],\"distances\":[[1]]}", "{\"ids\":[[\"a\"]],\"distances\":[[1.1]]}"},
        {"{\"ids\":[[\"a\"]],\"metadatas\":[[null]]}", "{\"ids\":[[\"a\"]],\"metadatas\":[[{}]]}"},
        {"{\"ids\":[[\"a\"],[\"b\"]],\"documents\":[[\"x\"],[\"y\"]]}",
         "{\"ids\":[[\"a\"],[\"b\"]],\"documents\":[[\"x\"],[\"z\"]]}"},
    };

    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        ck_assert_msg(!same_search(pairs[i][0], pairs[i][1]), "%s", pairs[i][0]);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("same_answer");

    tcase_add_test(tcase, order_of_members_and_the_last_digits_of_distances_do_not_matter);
    tcase_add_test(tcase, all_else_does);
    tcase_add_test(tcase, searches_may_find_others);
    tcase_add_test(tcase, what_both_have_found_must_be_the_same);
    return check_main("same_answer", tcase);
}
