/* What must hold: every limit is exact, however the input is cut, and the reader says where it
 * stands. */
#include <stdio.h>

#include "http/http_field.h"
#include "support/check_http_reader.h"
#include "support/check_main.h"
#include "support/plain_budget.h"

START_TEST(start_line_limit_is_exact)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 16, .head_bytes_max = 1000, .body_bytes_max = 0};
    static const struct check_http_case cases[] = {
        {"GET /3 HTTP/1.0\r\n\r\n", "GET /3 HTTP/1.0\nclose NONE\nEND\n", 0},
        {"GET /34 HTTP/1.0\r\n\r\n", "GET /34 HTTP/1.0\nclose NONE\nEND\n", 0},
        {"\r\nGET /34 HTTP/1.0\r\n\r\n", "GET /34 HTTP/1.0\nclose NONE\nEND\n", 0},
        {"GET /345 HTTP/1.0\r\n\r\n", "414", 0},
        {"GET /34567890123456789", "414", 0},
        {"GET /34 HTTP/1.0\r\nX: 34567890123456789\r\n\r\n",
         "GET /34 HTTP/1.0\nX: 34567890123456789\nclose NONE\nEND\n", 0},
    };

    check_http_cases(HTTP_READER_REQUEST, &limits, false, cases, COUNT_OF(cases));
}
END_TEST

START_TEST(head_limit_is_exact)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 1000, .head_bytes_max = 30, .body_bytes_max = 0};
    static const struct check_http_case cases[] = {
        {"GET / HTTP/1.0\r\nX: 345678\r\n\r\n", "GET / HTTP/1.0\nX: 345678\nclose NONE\nEND\n", 0},
        {"GET / HTTP/1.0\r\nX: 3456789\r\n\r\n", "GET / HTTP/1.0\nX: 3456789\nclose NONE\nEND\n",
         0},
        {"GET / HTTP/1.0\r\nX: 34567890\r\n\r\n", "431", 0},
        {"GET / HTTP/1.0\r\nX: 345678901234567890", "431", 0},
        {"GET /67890123456789 HTTP/1.0\r\n\r\n", "431", 0},
        {"GET /678901234567890 HTTP/1.0\r\n\r\n", "414", 0},
        {"GET /67890123456789012345678901", "414", 0},
    };

    check_http_cases(HTTP_READER_REQUEST, &limits, false, cases, COUNT_OF(cases));
}
END_TEST

/* A reload changes them under a head that is half read. */
START_TEST(a_limit_lowered_below_what_was_read_is_met)
{
    struct http_reader_limits limits = {
        .start_line_bytes_max = 100000, .head_bytes_max = 100000, .body_bytes_max = 0};

    for (int is_start_line = 0; is_start_line < 2; is_start_line++) {
        struct http_reader *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
        char                text[8000] = "GET / HTTP/1.1\r\nX: ";
        struct bytes        input = {.data = text, .size = sizeof text}, body;

        memset(text + strlen(text), 'a', sizeof text - strlen(text));
        if (is_start_line)
            memset(text + 4, 'a', 100);
        ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_MORE);
        limits.head_bytes_max = limits.start_line_bytes_max = 1000;
        input = (struct bytes){.data = text + 1000, .size = 7000};
        ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_ERROR);
        limits.head_bytes_max = limits.start_line_bytes_max = 100000;
        http_reader_free(reader);
    }
}
END_TEST

START_TEST(too_long_responses_are_garbled)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 15, .head_bytes_max = 30, .body_bytes_max = 0};
    static const struct check_http_case cases[] = {
        {"HTTP/1.1 204 OKO\r\n", "502", 0},
        {"HTTP/1.1 204 OK\r\nX: 34567890\r\n\r\n", "502", 0},
    };

    check_http_cases(HTTP_READER_RESPONSE, &limits, false, cases, COUNT_OF(cases));
}
END_TEST

/* A request with `count` fields, "X0: 0" and so on, and what `format` makes of the number of the
 * last one; the transcript's last line must be `expected`. */
static void check_many_fields(const char *start_line, unsigned count, const char *expected)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 100, .head_bytes_max = 100000, .body_bytes_max = 0};
    struct http_transcript transcript = {.reader = http_reader_new(HTTP_READER_REQUEST, &limits)};
    struct byte_buffer     input = {0};
    const char            *text;

    ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "%s\r\n", start_line), STATUS_OK);
    for (unsigned i = 0; i < count; i++)
        ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "X%u: %u\r\n", i, i), STATUS_OK);
    ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "\r\n"), STATUS_OK);
    text = http_transcript_read(&transcript, byte_buffer_bytes(&input), http_transcript_cut_always,
                                NULL);
    ck_assert_ptr_nonnull(strstr(text, expected));
    byte_buffer_done(&input);
    byte_buffer_done(&transcript.text);
    http_reader_free(transcript.reader);
}

START_TEST(field_count_is_bounded)
{
    check_many_fields("GET / HTTP/1.0", HTTP_FIELDS_MAX, "X99: 99\nclose NONE\nEND\n");
    check_many_fields("GET / HTTP/1.0", HTTP_FIELDS_MAX + 1, "ERROR HEADERS_TOO_LARGE\n");
    check_many_fields("GET / HTTP/1.0", 2000, "ERROR HEADERS_TOO_LARGE\n");
    check_many_fields("GET http://a/ HTTP/1.0", HTTP_FIELDS_MAX - 1, "\nHost: a\nclose NONE\n");
    check_many_fields("GET http://a/ HTTP/1.0", HTTP_FIELDS_MAX, "ERROR HEADERS_TOO_LARGE\n");
}
END_TEST

/* One Connection field with `count` options. */
static void check_many_options(unsigned count, const char *expected)
{
    struct http_transcript transcript = {
        .reader = http_reader_new(HTTP_READER_REQUEST, &check_http_limits)};
    struct byte_buffer input = {0};
    const char        *text;

    ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "GET / HTTP/1.0\r\nConnection: a"),
                     STATUS_OK);
    for (unsigned i = 1; i < count; i++)
        ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, i % 2 == 0 ? ",a" : ","), STATUS_OK);
    ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, ",\r\n\r\n"), STATUS_OK);
    text = http_transcript_read(&transcript, byte_buffer_bytes(&input), http_transcript_cut_never,
                                NULL);
    ck_assert_ptr_nonnull(strstr(text, expected));
    byte_buffer_done(&input);
    byte_buffer_done(&transcript.text);
    http_reader_free(transcript.reader);
}

START_TEST(connection_options_are_bounded)
{
    check_many_options(HTTP_FIELDS_MAX, "close NONE\nEND\n");
    check_many_options(HTTP_FIELDS_MAX + 1, "ERROR INVALID\n");
}
END_TEST

START_TEST(what_a_head_takes_is_charged_until_the_reset)
{
    struct memory_account_budget budget;
    struct http_reader_limits    limits = {.start_line_bytes_max = 8000,
                                           .head_bytes_max = 65536,
                                           .account = &budget.accounts[MEMORY_ACCOUNT_OTHER]};
    struct http_reader          *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    static char                  field[5000] = "GET / HTTP/1.1\r\nX: ";
    struct bytes                 input, body;

    plain_budget_init(&budget, 1 << 20);
    memset(field + strlen(field), 'x', sizeof field - strlen(field));
    for (int i = 0; i < 2; i++) {
        input = (struct bytes){.data = field, .size = sizeof field};
        ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_MORE);
        ck_assert_uint_ge(budget.used, sizeof field);
        ck_assert_uint_le(budget.used, 2 * sizeof field);
        http_reader_reset(reader, false);
        ck_assert_uint_eq(budget.used, 0);
    }
    input = (struct bytes){.data = field, .size = sizeof field};
    ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_MORE);
    http_reader_free(reader);
    ck_assert_uint_eq(budget.used, 0);
}
END_TEST

/* The buffer grows while fields point into it. */
START_TEST(long_heads_are_kept_whole)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 8000, .head_bytes_max = 65536, .body_bytes_max = 0};
    struct http_reader     *reader = http_reader_new(HTTP_READER_REQUEST, &limits);
    struct byte_buffer      input = {0};
    const struct http_head *head;
    struct bytes            left, body;

    ck_assert_int_eq(
        byte_buffer_printf(&input, SIZE_MAX, "GET /%01000d?q HTTP/1.1\r\nHost: a\r\n", 1),
        STATUS_OK);
    for (int i = 0; i < 90; i++)
        ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "X-%d: %0*d\r\n", i, 7 * i + 1, i),
                         STATUS_OK);
    ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "\r\n"), STATUS_OK);
    left = byte_buffer_bytes(&input);
    ck_assert_int_eq(http_reader_feed(reader, &left, &body), HTTP_READER_HEAD);
    byte_buffer_done(&input);

    head = http_reader_head(reader);
    ck_assert_uint_eq(head->target.size, 1003);
    ck_assert(bytes_equal(head->method, BYTES_LITERAL("GET")));
    ck_assert(bytes_equal(head->query, BYTES_LITERAL("q")));
    ck_assert_ptr_eq(http_head_find(head, HTTP_FIELD_HOST), &head->fields[0]);
    ck_assert_ptr_null(http_head_find(head, HTTP_FIELD_DATE));
    for (int i = 0; i < 90; i++) {
        char expected[700];

        snprintf(expected, sizeof expected, "%0*d", 7 * i + 1, i);
        ck_assert(bytes_equal(head->fields[i + 1].value, bytes_of(expected)));
    }
    http_reader_free(reader);
}
END_TEST

static enum http_reader_event feed_text(struct http_reader *reader, const char *text)
{
    struct bytes input = bytes_of(text), body;

    return http_reader_feed(reader, &input, &body);
}

START_TEST(a_message_begins_with_its_first_byte_that_is_no_empty_line)
{
    struct http_reader *reader = http_reader_new(HTTP_READER_REQUEST, &check_http_limits);

    ck_assert(!http_reader_has_begun(reader));
    ck_assert_int_eq(feed_text(reader, "\r\n\r"), HTTP_READER_MORE);
    ck_assert(!http_reader_has_begun(reader));
    ck_assert_int_eq(feed_text(reader, "\nG"), HTTP_READER_MORE);
    ck_assert(http_reader_has_begun(reader));
    ck_assert_int_eq(feed_text(reader, "E"), HTTP_READER_MORE);
    ck_assert(http_reader_has_begun(reader));
    ck_assert_int_eq(feed_text(reader, "T / HTTP/1.0\r\n"), HTTP_READER_MORE);
    ck_assert(http_reader_has_begun(reader));
    ck_assert_int_eq(feed_text(reader, "\r\n"), HTTP_READER_HEAD);
    ck_assert_int_eq(feed_text(reader, ""), HTTP_READER_END);
    http_reader_reset(reader, false);
    ck_assert(!http_reader_has_begun(reader));
    http_reader_free(reader);
    http_reader_free(NULL);
}
END_TEST

START_TEST(what_is_behind_a_message_is_left_in_the_input)
{
    struct http_reader *reader = http_reader_new(HTTP_READER_REQUEST, &check_http_limits);
    struct bytes        input = BYTES_LITERAL("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabcGET");
    struct bytes        body;

    ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_HEAD);
    ck_assert_uint_eq(input.size, 6);
    ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_BODY);
    ck_assert(bytes_equal(body, BYTES_LITERAL("abc")));
    ck_assert(bytes_equal(input, BYTES_LITERAL("GET")));
    ck_assert_int_eq(http_reader_feed(reader, &input, &body), HTTP_READER_END);
    ck_assert(bytes_equal(input, BYTES_LITERAL("GET")));
    http_reader_free(reader);
}
END_TEST

/* So that the answer can depend on the route. */
START_TEST(head_is_told_before_its_body_is_refused)
{
    struct http_reader *reader = http_reader_new(HTTP_READER_REQUEST, &check_http_limits);

    ck_assert_int_eq(feed_text(reader, "POST /a HTTP/1.0\r\nContent-Length: 41\r\n\r\n"),
                     HTTP_READER_HEAD);
    ck_assert_int_eq(feed_text(reader, ""), HTTP_READER_ERROR);
    ck_assert_int_eq(http_reader_error(reader)->status, STATUS_TOO_LARGE);
    ck_assert(bytes_equal(http_reader_head(reader)->path, BYTES_LITERAL("/a")));
    http_reader_free(reader);
}
END_TEST

START_TEST(every_field_of_the_table_is_recognised)
{
    static const struct {
        const char        *name;
        enum http_field_id id;
        bool               hop_by_hop;
    } fields[] = {
#define HTTP_FIELD(id, name, hop_by_hop) {name, HTTP_FIELD_##id, hop_by_hop},
#include "http/http_field.def"
#undef HTTP_FIELD
    };

    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        char              text[32];
        size_t            size = strlen(fields[i].name);
        struct http_field field;

        snprintf(text, sizeof text, "%s:x", fields[i].name);
        for (size_t j = 0; j < size; j += 2) /* letters become upper case */
            if (text[j] >= 'a')
                text[j] = (char)(text[j] - 'a' + 'A');
        ck_assert_int_eq(http_field_parse(bytes_of(text), &field, NULL), STATUS_OK);
        ck_assert_int_eq(field.id, fields[i].id);
        ck_assert_int_eq(field.hop_by_hop, fields[i].hop_by_hop);
        for (size_t j = 0; j < size; j++) { /* one other character, and it is another field */
            snprintf(text, sizeof text, "%s", fields[i].name);
            text[j] = '~';
            ck_assert_int_eq(http_field_identify(bytes_of(text)), HTTP_FIELD_OTHER);
        }
        ck_assert_int_eq(http_field_identify((struct bytes){.data = text, .size = size - 1}),
                         HTTP_FIELD_OTHER);
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_reader_limits");

    tcase_add_test(tcase, start_line_limit_is_exact);
    tcase_add_test(tcase, head_limit_is_exact);
    tcase_add_test(tcase, a_limit_lowered_below_what_was_read_is_met);
    tcase_add_test(tcase, too_long_responses_are_garbled);
    tcase_add_test(tcase, field_count_is_bounded);
    tcase_add_test(tcase, connection_options_are_bounded);
    tcase_add_test(tcase, what_a_head_takes_is_charged_until_the_reset);
    tcase_add_test(tcase, long_heads_are_kept_whole);
    tcase_add_test(tcase, a_message_begins_with_its_first_byte_that_is_no_empty_line);
    tcase_add_test(tcase, what_is_behind_a_message_is_left_in_the_input);
    tcase_add_test(tcase, head_is_told_before_its_body_is_refused);
    tcase_add_test(tcase, every_field_of_the_table_is_recognised);
    return check_main("http_reader_limits", tcase);
}
