/* What must hold: never fewer ids are counted than a server may delete, a filter is asked about as
 * it is, and what is not understood is not counted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "chroma/chroma_removal.h"
#include "support/check_main.h"

static const unsigned char key[SIPHASH_KEY_SIZE] = "0123456789abcde";

/* count -1: it is not understood. `question`: of how Chroma is asked, what is behind the limit. */
static const struct {
    const char *body;
    int         count;
    const char *question; /* NULL: it is not asked */
} deletions[] = {
    {"{\"ids\":[\"a\",\"b\"]}", 2, NULL},
    {"{\"ids\":[\"a\",\"b\",\"a\",\"\\u0061\"],\"where\":null,\"where_document\":null}", 2, NULL},
    {" { \"where\" : null , \"ids\" : [ \"a\" ] , \"other\" : {\"ids\":[1]} } ", 1, NULL},
    {"{\"\\u0069ds\":[\"a\"]}", 1, NULL},
    {"{\"ids\":[\"a\"],\"limit\":7}", 1, NULL},
    {"{\"ids\":[\"a\",\"b\"],\"where\":{\"k\":1}}", 2,
     ",\"ids\":[\"a\",\"b\"],\"where\":{\"k\":1}}"},
    {"{\"ids\":[\"a\"],\"where_document\":{\"$contains\":\"x\"}}", 1,
     ",\"ids\":[\"a\"],\"where_document\":{\"$contains\":\"x\"}}"},
    {"{\"where\":{\"k\":{\"$in\":[1,2]}},\"where_document\":{\"$contains\":\"x\"}}", 0,
     ",\"where\":{\"k\":{\"$in\":[1,2]}},\"where_document\":{\"$contains\":\"x\"}}"},
    {"{\"where_document\":{\"$contains\":\"x\"},\"limit\":5}", 0,
     ",\"where_document\":{\"$contains\":\"x\"}}"},
    {"{\"ids\":[],\"where\":{\"k\":1}}", 0, ",\"where\":{\"k\":1}}"},
    {"{\"ids\":null,\"where\":{}}", 0, ",\"where\":{}}"},
    {"{\"ids\":[]}", 0, "}"},
    {"{}", 0, "}"},
    {"", -1, NULL},
    {"null", -1, NULL},
    {"[\"a\"]", -1, NULL},
    {"{\"ids\":[\"a\"]", -1, NULL},
    {"{\"ids\":[\"a\"]} x", -1, NULL},
    {"{\"ids\":[\"a\"],\"ids\":null}", -1, NULL},
    {"{\"ids\":null,\"ids\":[\"a\"]}", -1, NULL},
    {"{\"ids\":[\"a\"],\"\\u0069ds\":[\"b\"]}", -1, NULL},
    {"{\"where\":{\"k\":1},\"where\":null}", -1, NULL},
    {"{\"where_document\":null,\"where_document\":{}}", -1, NULL},
    {"{\"ids\":\"a\"}", -1, NULL},
    {"{\"ids\":[1]}", -1, NULL},
    {"{\"ids\":[\"a\",null]}", -1, NULL},
    {"{\"ids\":[\"a\"],\"where\":\"k\"}", -1, NULL},
    {"{\"ids\":[\"a\"],\"where\":[{}]}", -1, NULL},
};

/* The parts in one piece. */
static const char *question_of(const struct chroma_removal *removal, uint64_t records_max)
{
    static char  text[400];
    char         room[CHROMA_REMOVAL_ROOM];
    struct bytes parts[CHROMA_REMOVAL_PARTS_MAX];
    size_t       count = chroma_removal_question(removal, records_max, room, parts), used = 0;

    for (size_t i = 0; i < count; i++) {
        memcpy(text + used, parts[i].data, parts[i].size);
        used += parts[i].size;
    }
    text[used] = '\0';
    return text;
}

START_TEST(a_deletion_is_counted_or_asked_about)
{
    struct chroma_removal removal;
    bool is_read = chroma_removal_read(bytes_of(deletions[_i].body), key, &removal);
    char wanted[400];

    ck_assert_int_eq(is_read, deletions[_i].count >= 0);
    if (!is_read)
        return;
    ck_assert_uint_eq(removal.id_count, (uint64_t)deletions[_i].count);
    ck_assert_int_eq(removal.has_ids, deletions[_i].count > 0);
    ck_assert_int_eq(removal.is_asked, deletions[_i].question != NULL);
    if (!removal.is_asked)
        return;
    snprintf(wanted, sizeof wanted, "{\"limit\":1,\"offset\":1000,\"include\":[]%s",
             deletions[_i].question);
    ck_assert_str_eq(question_of(&removal, 1000), wanted);
}
END_TEST

START_TEST(many_ids_are_counted_once_each)
{
    enum { count = 50000 };
    char                 *body = malloc(20 * 2 * count);
    size_t                size = (size_t)sprintf(body, "{\"ids\":[\"0\"");
    struct chroma_removal removal;

    for (int i = 0; i < 2 * count; i++)
        size += (size_t)sprintf(body + size, ",\"%d\"", i % count);
    strcpy(body + size, "]}");
    ck_assert(chroma_removal_read(bytes_of(body), key, &removal));
    ck_assert_uint_eq(removal.id_count, count);
    free(body);
}
END_TEST

START_TEST(a_question_says_how_many_may_go)
{
    struct chroma_removal removal = {.is_asked = true};

    ck_assert_str_eq(question_of(&removal, 0), "{\"limit\":1,\"offset\":0,\"include\":[]}");
    ck_assert_str_eq(question_of(&removal, 4294967295),
                     "{\"limit\":1,\"offset\":4294967295,\"include\":[]}");
}
END_TEST

static const struct {
    const char *body;
    int         count; /* -1: not understood */
} commits[] = {
    {"{\"operations\":[]}", 0},
    {"{}", 0},
    {"{\"operations\":[{\"operation\":\"add\",\"payload\":{\"ids\":[\"a\"]}}]}", 0},
    {"{\"read_ids\":[\"x\"],\"operations\":[{\"operation\":\"delete\",\"payload\":{\"ids\":[\"a\","
     "\"b\"]}},{\"payload\":{\"ids\":[\"b\",\"c\"]},\"operation\":\"delete\"}]}",
     3},
    {"{\"operations\":[{\"operation\":\"\\u0064elete\",\"payload\":{\"ids\":[\"a\"]}}]}", 1},
    {"{\"operations\":[{\"operation\":\"delete\",\"payload\":{\"where\":{\"k\":1}}}]}", -1},
    {"{\"operations\":[{\"operation\":\"delete\",\"payload\":{\"ids\":[\"a\"],\"where\":{}}}]}",
     -1},
    {"{\"operations\":[{\"operation\":\"delete\"}]}", -1},
    {"{\"operations\":[{\"payload\":{\"ids\":[\"a\"]}}]}", -1},
    {"{\"operations\":[{\"operation\":\"add\",\"operation\":\"delete\",\"payload\":{}}]}", -1},
    {"{\"operations\":[{\"operation\":\"delete\",\"payload\":{\"ids\":[\"a\"]},\"payload\":{}}]}",
     -1},
    {"{\"operations\":[],\"operations\":[]}", -1},
    {"{\"operations\":{}}", -1},
    {"[]", -1},
    {"{\"operations\":[", -1},
};

START_TEST(a_commit_is_counted)
{
    struct chroma_removal removal;
    bool is_read = chroma_removal_read_commit(bytes_of(commits[_i].body), key, &removal);

    ck_assert_int_eq(is_read, commits[_i].count >= 0);
    if (!is_read)
        return;
    ck_assert_uint_eq(removal.id_count, (uint64_t)commits[_i].count);
    ck_assert(removal.has_ids && !removal.is_asked);
}
END_TEST

START_TEST(an_answer_says_whether_there_are_more)
{
    static const struct {
        const char                *body;
        enum chroma_removal_answer answer;
    } answers[] = {
        {"{\"ids\":[],\"documents\":null,\"include\":[]}", CHROMA_REMOVAL_NO_MORE},
        {"{\"include\":[],\"ids\":[\"a\"]}", CHROMA_REMOVAL_MORE},
        {"{\"ids\":[\"a\",\"b\"]}", CHROMA_REMOVAL_MORE},
        {"{\"ids\":null}", CHROMA_REMOVAL_NOT_SAID},
        {"{\"ids\":[1]}", CHROMA_REMOVAL_NOT_SAID},
        {"{\"ids\":[],\"ids\":[]}", CHROMA_REMOVAL_NOT_SAID},
        {"{\"ids\":[]", CHROMA_REMOVAL_NOT_SAID},
        {"{\"ids\":[]}x", CHROMA_REMOVAL_NOT_SAID},
        {"{}", CHROMA_REMOVAL_NOT_SAID},
        {"[]", CHROMA_REMOVAL_NOT_SAID},
        {"", CHROMA_REMOVAL_NOT_SAID},
    };

    for (size_t i = 0; i < COUNT_OF(answers); i++)
        ck_assert_msg(chroma_removal_read_answer(bytes_of(answers[i].body)) == answers[i].answer,
                      "%s", answers[i].body);
}
END_TEST

START_TEST(a_new_name_is_found)
{
    static const struct {
        const char *body, *name; /* NULL: it cannot be told */
    } changes[] = {
        {"{\"new_name\":\"docs\"}", "docs"},
        {"{\"new_name\":\"d\\u006fcs\",\"new_metadata\":{\"new_name\":\"x\"}}", "docs"},
        {"{\"new_metadata\":{\"a\":1}}", ""},
        {"{\"new_name\":null}", ""},
        {"{}", ""},
        {"{\"new_name\":\"a\",\"new_name\":\"b\"}", NULL},
        {"{\"new_name\":null,\"new_name\":\"b\"}", NULL},
        {"{\"new_name\":1}", NULL},
        {"{\"new_name\":\"longer than it may be\"}", NULL},
        {"{\"new_name\":\"a\"", NULL},
        {"[]", NULL},
        {"", NULL},
    };
    struct bytes name;
    char         room[20];

    for (size_t i = 0; i < COUNT_OF(changes); i++) {
        bool is_told = chroma_removal_new_name(bytes_of(changes[i].body), room, sizeof room, &name);

        ck_assert_msg(is_told == (changes[i].name != NULL), "%s", changes[i].body);
        if (is_told)
            ck_assert(bytes_equal(name, bytes_of(changes[i].name)));
    }
}
END_TEST

START_TEST(an_output_is_left_only_where_the_body_says_so)
{
    static const struct {
        const char *body;
        bool        leaves;
    } bodies[] = {
        {"{}", true},
        {"{\"delete_output\":false}", true},
        {"{\"delete_output\":null}", true},
        {"{\"delete_output\":true}", false},
        {"{\"delete_\\u006futput\":true}", false},
        {"{\"delete_output\":1}", false},
        {"{\"delete_output\":false,\"delete_output\":true}", false},
        {"{\"delete_output\":false,\"delete_output\":false}", false},
        {"{\"delete_output\":false", false},
        {"[]", false},
        {"", false},
    };

    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        ck_assert_msg(chroma_removal_leaves_output(bytes_of(bodies[i].body)) == bodies[i].leaves,
                      "%s", bodies[i].body);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chroma_removal");

    tcase_add_loop_test(tcase, a_deletion_is_counted_or_asked_about, 0, COUNT_OF(deletions));
    tcase_add_test(tcase, many_ids_are_counted_once_each);
    tcase_add_test(tcase, a_question_says_how_many_may_go);
    tcase_add_loop_test(tcase, a_commit_is_counted, 0, COUNT_OF(commits));
    tcase_add_test(tcase, an_answer_says_whether_there_are_more);
    tcase_add_test(tcase, a_new_name_is_found);
    tcase_add_test(tcase, an_output_is_left_only_where_the_body_says_so);
    return check_main("chroma_removal", tcase);
}
