/* What must hold: an error of our own has Chroma's shape, is valid JSON whatever it quotes, and
 * says what the client may do. */
#include <jansson.h>

#include "front/front_error.h"
#include "support/check_main.h"

static struct byte_buffer out;

static void teardown(void)
{
    byte_buffer_done(&out);
}

static const char *write_error(const struct front_error *error)
{
    byte_buffer_clear(&out);
    ck_assert_int_eq(front_error_write(&out, error, BYTES_LITERAL("DATE")), STATUS_OK);
    ck_assert_int_eq(byte_buffer_append(&out, BYTES_LITERAL("\0"), SIZE_MAX), STATUS_OK);
    return byte_buffer_bytes(&out).data;
}

/* The body, checked against its Content-Length. */
static json_t *read_body(const char *answer)
{
    const char  *body = strstr(answer, "\r\n\r\n"), *length = strstr(answer, "Content-Length: ");
    json_error_t problem;
    json_t      *json;

    ck_assert_ptr_nonnull(body);
    body += 4;
    if (length == NULL)
        length = strstr(answer, "content-length: ");
    ck_assert_ptr_nonnull(length);
    ck_assert_uint_eq(strtoul(length + strlen("Content-Length: "), NULL, 10), strlen(body));
    json = json_loads(body, JSON_REJECT_DUPLICATES, &problem);
    ck_assert_msg(json != NULL, "%s in %s", problem.text, body);
    ck_assert_uint_eq(json_object_size(json), 2);
    return json;
}

START_TEST(every_status_for_clients_has_code_and_name_in_chromas_shape)
{
    struct front_error error = {.status = (enum status)_i};
    const char        *answer;
    json_t            *json;
    char               line[32];

    if (status_http_code(error.status) < 400)
        return;
    answer = write_error(&error);
    snprintf(line, sizeof line, "HTTP/1.1 %d ", status_http_code(error.status));
    ck_assert_int_eq(strncmp(answer, line, strlen(line)), 0);
    ck_assert_ptr_nonnull(strcasestr(answer, "\r\ncontent-type: application/json\r\n"));
    ck_assert_ptr_nonnull(strcasestr(answer, "\r\ndate: DATE\r\n"));
    json = read_body(answer);
    ck_assert_str_eq(json_string_value(json_object_get(json, "error")),
                     status_error_name(error.status));
    ck_assert_str_eq(json_string_value(json_object_get(json, "message")),
                     status_text(error.status));
    json_decref(json);
}
END_TEST

START_TEST(what_is_quoted_cannot_break_out)
{
    struct front_error error = {.status = STATUS_INVALID,
                                .message = "a \"b\" \\c\r\nSet-Cookie: x\x01\xff\xe4\xb8\xad"};
    const char        *answer = write_error(&error);
    json_t            *json = read_body(answer);

    ck_assert_ptr_null(strstr(answer, "\nSet-Cookie"));
    ck_assert_str_eq(json_string_value(json_object_get(json, "message")),
                     "a \"b\" \\c??Set-Cookie: x?????");
    json_decref(json);
}
END_TEST

START_TEST(a_long_message_is_cut_and_stays_valid)
{
    char               message[5000];
    struct front_error error = {.status = STATUS_INVALID, .message = message};

    for (size_t size = 900; size < 1100; size++) {
        memset(message, '"', size);
        message[size] = '\0';
        json_decref(read_body(write_error(&error)));
    }
    memset(message, 'x', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    json_decref(read_body(write_error(&error)));
    ck_assert_uint_lt(byte_buffer_size(&out), 2000);
}
END_TEST

START_TEST(it_says_whether_the_request_was_executed_and_when_to_retry)
{
    struct front_error error = {
        .status = STATUS_OVERLOADED, .executed = FRONT_EXECUTED_NO, .retry_after_s = 7};
    const char *answer = write_error(&error);

    ck_assert_ptr_nonnull(strstr(answer, "\r\nX-Chromabouncer-Executed: no\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nRetry-After: 7\r\n"));
    error = (struct front_error){.status = STATUS_TIMED_OUT, .executed = FRONT_EXECUTED_MAYBE};
    answer = write_error(&error);
    ck_assert_ptr_nonnull(strstr(answer, "\r\nX-Chromabouncer-Executed: maybe\r\n"));
    ck_assert_ptr_null(strstr(answer, "Retry-After"));
    error.fields = "RateLimit: \"a\";r=0;t=1\r\n";
    ck_assert_ptr_nonnull(strstr(write_error(&error), "\r\nRateLimit: \"a\";r=0;t=1\r\n"));
    error.is_plain = true;
    error.retry_after_s = 7;
    answer = write_error(&error);
    ck_assert_ptr_null(strstr(answer, "X-Chromabouncer"));
    ck_assert_ptr_null(strstr(answer, "RateLimit"));
}
END_TEST

START_TEST(what_lets_a_page_read_it_is_no_field_of_our_own)
{
    static char        lines[FRONT_ERROR_CORS_BYTES_MAX + 1] = "a: b\r\nvary: ";
    struct front_error error = {
        .status = STATUS_BACKEND_DOWN, .retry_after_s = 1, .is_plain = true};

    memset(lines + 12, 'x', sizeof lines - 15);
    memcpy(lines + sizeof lines - 3, "\r\n", 2);
    error.cors = bytes_of(lines);
    ck_assert_uint_eq(error.cors.size, FRONT_ERROR_CORS_BYTES_MAX);
    ck_assert_ptr_nonnull(strstr(write_error(&error), lines));
    error.is_plain = false;
    error.executed = FRONT_EXECUTED_MAYBE;
    ck_assert_ptr_nonnull(strstr(write_error(&error), lines));
}
END_TEST

START_TEST(head_gets_no_body_and_close_is_said)
{
    struct front_error error = {.status = STATUS_NOT_FOUND, .is_head = true, .close = true};
    const char        *answer = write_error(&error);

    ck_assert_ptr_nonnull(strcasestr(answer, "\r\nconnection: close\r\n"));
    ck_assert_str_eq(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    error.close = false;
    ck_assert_ptr_null(strcasestr(write_error(&error), "connection: close"));
}
END_TEST

START_TEST(it_is_appended_behind_what_is_there)
{
    struct front_error error = {.status = STATUS_NOT_FOUND};

    ck_assert_int_eq(byte_buffer_append(&out, BYTES_LITERAL("before"), SIZE_MAX), STATUS_OK);
    ck_assert_int_eq(front_error_write(&out, &error, (struct bytes){0}), STATUS_OK);
    ck_assert(bytes_begin_with(byte_buffer_bytes(&out), BYTES_LITERAL("beforeHTTP/1.1 404 ")));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("front_error");

    tcase_add_checked_fixture(tcase, NULL, teardown);
    tcase_add_loop_test(tcase, every_status_for_clients_has_code_and_name_in_chromas_shape, 0,
                        STATUS_COUNT);
    tcase_add_test(tcase, what_is_quoted_cannot_break_out);
    tcase_add_test(tcase, a_long_message_is_cut_and_stays_valid);
    tcase_add_test(tcase, it_says_whether_the_request_was_executed_and_when_to_retry);
    tcase_add_test(tcase, what_lets_a_page_read_it_is_no_field_of_our_own);
    tcase_add_test(tcase, head_gets_no_body_and_close_is_said);
    tcase_add_test(tcase, it_is_appended_behind_what_is_there);
    return check_main("front_error", tcase);
}
