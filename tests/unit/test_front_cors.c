/* What must hold: an origin is allowed what Chroma allowed it last, and nothing on a guess. */
#include <stdio.h>
#include <string.h>

#include "front/front_cors.h"
#include "support/check_main.h"

static struct front_cors cors;

static void learn(const char *origin, const char *allowed, const char *vary)
{
    struct http_head answer = {.status = 200};

    if (allowed != NULL)
        answer.fields[answer.field_count++] = (struct http_field){
            .name = BYTES_LITERAL("Access-Control-Allow-Origin"), .value = bytes_of(allowed)};
    answer.fields[answer.field_count++] = (struct http_field){
        .name = BYTES_LITERAL("content-type"), .value = BYTES_LITERAL("application/json")};
    if (vary != NULL)
        answer.fields[answer.field_count++] =
            (struct http_field){.name = BYTES_LITERAL("vary"), .value = bytes_of(vary)};
    front_cors_learn(&cors, bytes_of(origin), &answer);
}

static void expect(const char *origin, const char *lines)
{
    struct bytes fields = front_cors_fields(&cors, bytes_of(origin));

    ck_assert_msg(bytes_equal(fields, bytes_of(lines)), "%s: %.*s", origin, (int)fields.size,
                  fields.data);
}

static void setup(void)
{
    memset(&cors, 0, sizeof cors);
}

START_TEST(an_origin_is_allowed_what_chroma_allowed_it)
{
    expect("http://a", "");
    learn("http://a", "http://a", "origin");
    expect("http://a", "Access-Control-Allow-Origin: http://a\r\nvary: origin\r\n");
    expect("http://b", "");
    expect("http://ab", "");
    expect("", "");
    learn("http://a", NULL, "origin");
    expect("http://a", "");
}
END_TEST

START_TEST(what_is_allowed_to_all_is_allowed_to_the_unknown)
{
    learn("http://a", "*", NULL);
    expect("http://b", "Access-Control-Allow-Origin: *\r\n");
    expect("", "Access-Control-Allow-Origin: *\r\n");
    learn("http://c", NULL, NULL);
    expect("http://b", "");
    expect("", "");
}
END_TEST

START_TEST(the_last_answer_counts)
{
    learn("http://a", "http://a", NULL);
    learn("http://a", "*", NULL);
    expect("http://a", "Access-Control-Allow-Origin: *\r\n");
    learn("http://a", "http://a", NULL);
    expect("http://a", "Access-Control-Allow-Origin: http://a\r\n");
    expect("http://b", "");
}
END_TEST

START_TEST(the_table_is_bounded_and_the_oldest_makes_room)
{
    char origin[32];

    for (int i = 0; i <= FRONT_CORS_ORIGINS_MAX; i++) {
        snprintf(origin, sizeof origin, "http://%d", i);
        learn(origin, origin, NULL);
    }
    expect("http://0", "");
    expect("http://1", "Access-Control-Allow-Origin: http://1\r\n");
    expect("http://16", "Access-Control-Allow-Origin: http://16\r\n");
}
END_TEST

START_TEST(what_does_not_fit_is_not_known)
{
    static char long_text[FRONT_CORS_FIELD_BYTES_MAX + 1];

    memset(long_text, 'x', sizeof long_text - 1);
    learn("http://a", "http://a", long_text);
    expect("http://a", "");
    long_text[FRONT_CORS_ORIGIN_BYTES_MAX + 1] = '\0';
    learn(long_text, long_text, NULL);
    expect(long_text, "");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("front_cors");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, an_origin_is_allowed_what_chroma_allowed_it);
    tcase_add_test(tcase, what_is_allowed_to_all_is_allowed_to_the_unknown);
    tcase_add_test(tcase, the_last_answer_counts);
    tcase_add_test(tcase, the_table_is_bounded_and_the_oldest_makes_room);
    tcase_add_test(tcase, what_does_not_fit_is_not_known);
    return check_main("front_cors", tcase);
}
