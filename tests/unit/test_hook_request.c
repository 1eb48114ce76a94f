/* What must hold: a request is read as it is meant or refused with a reason, and answers are one
 * line of JSON, whatever they hold. */
#include <string.h>

#include "child/hook_request.h"
#include "support/check_main.h"

static struct hook_request request;
static struct error        error;
static struct byte_buffer  out;

static enum status read_line(const char *line)
{
    return hook_request_parse(bytes_of(line), &request, &error);
}

START_TEST(an_open_is_read)
{
    ck_assert_int_eq(
        read_line("{\"hook\":1,\"op\":\"open\",\"path\":\"/a/b\\u00e9\",\"python\":\"/p\","
                  "\"version\":\"1.5.9\",\"allow_reset\":true,\"pid\":7,\"new\":[1]}"),
        STATUS_OK);
    ck_assert_int_eq(request.operation, HOOK_OPEN);
    ck_assert_str_eq(request.path, "/a/b\xc3\xa9");
    ck_assert_str_eq(request.python, "/p");
    ck_assert_str_eq(request.version, "1.5.9");
    ck_assert(request.allow_reset);
}
END_TEST

START_TEST(a_note_is_read)
{
    ck_assert_int_eq(
        read_line("{\"hook\":1,\"op\":\"note\",\"what\":\"other_directory\",\"path\":\"/a\"}"),
        STATUS_OK);
    ck_assert_int_eq(request.operation, HOOK_NOTE);
    ck_assert_str_eq(request.what, "other_directory");
    ck_assert(!request.allow_reset);
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
    static const char *const bad[] = {
        "",
        "nonsense",
        "[]",
        "{}",
        "{\"hook\":2,\"op\":\"open\",\"path\":\"/a\",\"python\":\"/p\",\"version\":\"1\"}",
        "{\"hook\":1,\"op\":\"shut\",\"path\":\"/a\"}",
        "{\"hook\":1,\"op\":\"open\",\"path\":\"a\",\"python\":\"/p\",\"version\":\"1\"}",
        "{\"hook\":1,\"op\":\"open\",\"path\":\"/a\\u0000b\",\"python\":\"/p\",\"version\":\"1\"}",
        "{\"hook\":1,\"op\":\"open\",\"path\":\"/a\",\"python\":\"\",\"version\":\"1\"}",
        "{\"hook\":1,\"op\":\"open\",\"path\":\"/a\",\"python\":\"/p\"}",
        "{\"hook\":1,\"op\":\"open\",\"path\":\"/a\",\"python\":\"/p\",\"version\":"
        "\"123456789012345678901234567890123\"}",
        "{\"hook\":1,\"op\":\"note\",\"path\":\"/a\"}",
        "{\"hook\":1,\"hook\":1,\"op\":\"note\",\"path\":\"/a\",\"what\":\"x\"}",
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        error.text[0] = '\0';
        ck_assert_msg(read_line(bad[i]) == STATUS_INVALID, "%s", bad[i]);
        ck_assert_str_ne(error.text, "");
    }
}
END_TEST

static void expect(const char *text)
{
    struct bytes got = byte_buffer_bytes(&out);

    ck_assert_msg(bytes_equal(got, bytes_of(text)), "%.*s", (int)got.size, got.data);
    byte_buffer_done(&out);
}

START_TEST(answers_are_one_line)
{
    ck_assert_int_eq(hook_request_answer_ok(&out), STATUS_OK);
    expect("{\"ok\":true}\n");
    ck_assert_int_eq(hook_request_answer_address(&out, "127.0.0.1", 40001), STATUS_OK);
    expect("{\"ok\":true,\"host\":\"127.0.0.1\",\"port\":40001}\n");
    ck_assert_int_eq(hook_request_answer_no(&out, "a \"b\"\nc", HOOK_OTHER_DIRECTORY), STATUS_OK);
    expect("{\"ok\":false,\"reason\":\"a "
           "\\\"b\\\"\\nc\",\"other_directory\":true,\"in_use\":false}\n");
    ck_assert_int_eq(hook_request_answer_no(&out, "\xff", HOOK_IN_USE), STATUS_OK);
    expect("{\"ok\":false,\"reason\":\"see the log\",\"other_directory\":false,\"in_use\":true}\n");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("hook_request");

    tcase_add_test(tcase, an_open_is_read);
    tcase_add_test(tcase, a_note_is_read);
    tcase_add_test(tcase, what_is_no_request_is_refused);
    tcase_add_test(tcase, answers_are_one_line);
    return check_main("hook_request", tcase);
}
