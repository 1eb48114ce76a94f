/* What must hold: a forwarded head keeps the order and the bytes of every end-to-end field and
 * nothing of what was meant for one connection, and a head is written whole or not at all. */
#include "http/http_reader.h"
#include "http/http_writer.h"
#include "support/check_main.h"

static const struct http_reader_limits limits = {
    .start_line_bytes_max = 8000, .head_bytes_max = 64000, .body_bytes_max = UINT64_MAX};

/* The head of `text`; *ret_reader, which owns it, is the caller's. */
static const struct http_head *read_head(enum http_reader_kind kind, bool answers_head,
                                         const char *text, struct http_reader **ret_reader)
{
    struct bytes input = bytes_of(text), body;

    *ret_reader = http_reader_new(kind, &limits);
    http_reader_reset(*ret_reader, answers_head);
    ck_assert_int_eq(http_reader_feed(*ret_reader, &input, &body), HTTP_READER_HEAD);
    return http_reader_head(*ret_reader);
}

static void check_written(struct byte_buffer *out, const char *expected)
{
    ck_assert_int_eq(byte_buffer_append(out, BYTES_LITERAL("\0"), SIZE_MAX), STATUS_OK);
    ck_assert_str_eq(byte_buffer_bytes(out).data, expected);
    byte_buffer_done(out);
}

static void check_request(const char *text, struct http_writer_options options,
                          const char *expected)
{
    struct byte_buffer      out = {0};
    struct http_reader     *reader;
    const struct http_head *head = read_head(HTTP_READER_REQUEST, false, text, &reader);

    ck_assert_int_eq(http_writer_request(&out, head, BYTES_LITERAL("backend:8000"), &options),
                     STATUS_OK);
    check_written(&out, expected);
    http_reader_free(reader);
}

static void check_response(bool answers_head, const char *text, struct http_writer_options options,
                           const char *expected)
{
    struct byte_buffer      out = {0};
    struct http_reader     *reader;
    const struct http_head *head = read_head(HTTP_READER_RESPONSE, answers_head, text, &reader);

    ck_assert_int_eq(http_writer_response(&out, head, &options), STATUS_OK);
    check_written(&out, expected);
    http_reader_free(reader);
}

static void check_own(unsigned status, struct bytes content_type,
                      struct http_writer_options options, const char *expected)
{
    struct byte_buffer out = {0};

    ck_assert_int_eq(http_writer_own_response(&out, status, content_type, &options), STATUS_OK);
    check_written(&out, expected);
}

START_TEST(request_keeps_end_to_end_fields_and_drops_the_others)
{
    check_request("POST /a?b HTTP/1.1\r\nx-One:1\r\nHOST: h\r\nConnection: X-Drop, keep-alive\r\n"
                  "X-Drop: 2\r\nKeep-Alive: 3\r\nTE: trailers\r\nUpgrade: h2c\r\n"
                  "Proxy-Authorization: 4\r\nExpect: 100-continue\r\nTrailer: t\r\n"
                  "content-length: 007\r\nX-Empty:\r\nx-One:  5\t\r\n\r\n",
                  (struct http_writer_options){.framing = HTTP_FRAMING_LENGTH, .content_length = 7},
                  "POST /a?b HTTP/1.1\r\nx-One: 1\r\nHOST: h\r\ncontent-length: 7\r\n"
                  "X-Empty: \r\nx-One: 5\r\n\r\n");
}
END_TEST

START_TEST(request_to_1_0_gets_a_host_and_says_1_1)
{
    check_request("GET / HTTP/1.0\r\nA: b\r\n\r\n", (struct http_writer_options){0},
                  "GET / HTTP/1.1\r\nHost: backend:8000\r\nA: b\r\n\r\n");
    check_request("GET http://other/x HTTP/1.0\r\nA: b\r\n\r\n", (struct http_writer_options){0},
                  "GET /x HTTP/1.1\r\nA: b\r\nHost: other\r\n\r\n");
}
END_TEST

START_TEST(framing_may_change)
{
    check_request("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n",
                  (struct http_writer_options){.framing = HTTP_FRAMING_LENGTH},
                  "POST / HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 0\r\n\r\n");
    check_request("POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: Chunked\r\nA: b\r\n\r\n",
                  (struct http_writer_options){.framing = HTTP_FRAMING_CHUNKED},
                  "POST / HTTP/1.1\r\nHost: h\r\ntransfer-encoding: chunked\r\nA: b\r\n\r\n");
    check_request("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nA: b\r\n\r\n",
                  (struct http_writer_options){.framing = HTTP_FRAMING_CHUNKED},
                  "POST / HTTP/1.1\r\nHost: h\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    check_request(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nA: b\r\n\r\n",
        (struct http_writer_options){.framing = HTTP_FRAMING_LENGTH, .content_length = UINT64_MAX},
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n"
        "A: b\r\n\r\n");
}
END_TEST

START_TEST(via_date_extra_and_connection_come_last)
{
    struct http_writer_options options = {.framing = HTTP_FRAMING_LENGTH,
                                          .content_length = 2,
                                          .close = true,
                                          .received_by = BYTES_LITERAL("x"),
                                          .date = BYTES_LITERAL("now"),
                                          .extra = BYTES_LITERAL("X-A: 1\r\nX-B: 2\r\n")};

    check_response(false, "HTTP/1.1 200 OK\r\nVia: 1.0 y\r\nContent-Length: 2\r\n\r\n", options,
                   "HTTP/1.1 200 OK\r\nVia: 1.0 y\r\nContent-Length: 2\r\nDate: now\r\n"
                   "Via: 1.1 x\r\nX-A: 1\r\nX-B: 2\r\nConnection: close\r\n\r\n");
    options.close = false;
    options.say_keep_alive = true;
    check_response(false, "HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 2\r\n\r\n", options,
                   "HTTP/1.1 200 OK\r\ndate: then\r\nContent-Length: 2\r\nVia: 1.1 x\r\n"
                   "X-A: 1\r\nX-B: 2\r\nConnection: keep-alive\r\n\r\n");
}
END_TEST

START_TEST(via_names_the_version_that_was_received)
{
    struct http_writer_options options = {.received_by = BYTES_LITERAL("x")};

    check_request("GET / HTTP/1.0\r\nHost: h\r\n\r\n", options,
                  "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 x\r\n\r\n");
    check_request("GET / HTTP/1.1\r\nHost: h\r\n\r\n", options,
                  "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 x\r\n\r\n");
    check_response(false, "HTTP/1.0 200 OK\r\n\r\n", options,
                   "HTTP/1.1 200 OK\r\nVia: 1.0 x\r\n\r\n");
}
END_TEST

START_TEST(max_forwards_is_forwarded_as_one_less)
{
    struct http_writer_options options = {.framing = HTTP_FRAMING_NONE};

    check_request("OPTIONS / HTTP/1.1\r\nHost: h\r\nmax-forwards: 010\r\nA: b\r\n\r\n", options,
                  "OPTIONS / HTTP/1.1\r\nHost: h\r\nmax-forwards: 9\r\nA: b\r\n\r\n");
    check_request("TRACE / HTTP/1.1\r\nHost: h\r\nConnection: max-forwards\r\n"
                  "Max-Forwards: 1\r\n\r\n",
                  options, "TRACE / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");
    check_request("GET / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 3\r\n\r\n", options,
                  "GET / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 3\r\n\r\n");
    check_request("GET / HTTP/1.1\r\nHost: h\r\nConnection: max-forwards\r\n"
                  "Max-Forwards: 3\r\n\r\n",
                  options, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
}
END_TEST

START_TEST(status_line_is_kept_but_for_the_version)
{
    check_response(false, "HTTP/1.0 299 \x80 odd\r\n\r\n",
                   (struct http_writer_options){.framing = HTTP_FRAMING_UNTIL_CLOSE, .close = true},
                   "HTTP/1.1 299 \x80 odd\r\nConnection: close\r\n\r\n");
    check_response(false, "HTTP/1.1 200\r\nConnection: a\r\nA: b\r\nc: d\r\n\r\n",
                   (struct http_writer_options){.framing = HTTP_FRAMING_CHUNKED},
                   "HTTP/1.1 200 \r\nc: d\r\nTransfer-Encoding: chunked\r\n\r\n");
}
END_TEST

START_TEST(answers_without_a_body_have_a_length_only_where_it_may_be_said)
{
    struct http_writer_options keep = {.keep_content_length = true};
    struct http_writer_options zero = {.framing = HTTP_FRAMING_LENGTH};

    check_response(true, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nA: b\r\n\r\n", keep,
                   "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nA: b\r\n\r\n");
    check_response(true, "HTTP/1.1 200 OK\r\nA: b\r\n\r\n", keep,
                   "HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
    check_response(false, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", keep,
                   "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    check_response(true, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", keep,
                   "HTTP/1.1 200 OK\r\n\r\n");
    check_response(false, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", keep,
                   "HTTP/1.1 204 No Content\r\n\r\n");
    check_response(false, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", zero,
                   "HTTP/1.1 204 No Content\r\n\r\n");
    check_response(false, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", zero,
                   "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n");
}
END_TEST

START_TEST(own_responses_are_complete)
{
    check_own(413, BYTES_LITERAL("application/json"),
              (struct http_writer_options){.framing = HTTP_FRAMING_LENGTH,
                                           .content_length = 12,
                                           .close = true,
                                           .date = BYTES_LITERAL("now"),
                                           .extra = BYTES_LITERAL("Retry-After: 1\r\n")},
              "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\n"
              "Content-Length: 12\r\nDate: now\r\nRetry-After: 1\r\nConnection: close\r\n\r\n");
    check_own(100, (struct bytes){0}, (struct http_writer_options){0},
              "HTTP/1.1 100 Continue\r\n\r\n");
    check_own(999, (struct bytes){0}, (struct http_writer_options){.framing = HTTP_FRAMING_LENGTH},
              "HTTP/1.1 999 Unknown\r\nContent-Length: 0\r\n\r\n");
}
END_TEST

START_TEST(heads_are_appended)
{
    struct byte_buffer         out = {0};
    struct http_writer_options options = {.framing = HTTP_FRAMING_LENGTH};

    ck_assert_int_eq(byte_buffer_append(&out, BYTES_LITERAL("before "), SIZE_MAX), STATUS_OK);
    ck_assert_int_eq(http_writer_own_response(&out, 404, (struct bytes){0}, &options), STATUS_OK);
    check_written(&out, "before HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
}
END_TEST

START_TEST(every_status_told_to_clients_has_a_reason)
{
    for (enum status status = STATUS_OK; status < STATUS_COUNT; status++)
        if (status_http_code(status) != 0)
            ck_assert_str_ne(http_writer_reason((unsigned)status_http_code(status)), "Unknown");
    for (unsigned code = 100; code < 1000; code++) /* Chroma's too, and none is empty */
        ck_assert_uint_gt(strlen(http_writer_reason(code)), 0);
}
END_TEST

START_TEST(chunks_are_opened_with_their_size_and_read_again)
{
    static const struct {
        size_t      size;
        const char *line;
    } cases[] = {{1, "1\r\n"},       {15, "f\r\n"},
                 {16, "10\r\n"},     {0xabcdef, "abcdef\r\n"},
                 {4096, "1000\r\n"}, {SIZE_MAX, "ffffffffffffffff\r\n"}};
    char line[HTTP_WRITER_CHUNK_LINE_MAX];

    for (size_t i = 0; i < COUNT_OF(cases); i++)
        ck_assert(bytes_equal(
            (struct bytes){.data = line, .size = http_writer_chunk_line(line, cases[i].size)},
            bytes_of(cases[i].line)));
    ck_assert(bytes_equal(http_writer_last_chunk, BYTES_LITERAL("0\r\n\r\n")));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_writer");

    tcase_add_test(tcase, request_keeps_end_to_end_fields_and_drops_the_others);
    tcase_add_test(tcase, request_to_1_0_gets_a_host_and_says_1_1);
    tcase_add_test(tcase, framing_may_change);
    tcase_add_test(tcase, via_date_extra_and_connection_come_last);
    tcase_add_test(tcase, via_names_the_version_that_was_received);
    tcase_add_test(tcase, max_forwards_is_forwarded_as_one_less);
    tcase_add_test(tcase, status_line_is_kept_but_for_the_version);
    tcase_add_test(tcase, answers_without_a_body_have_a_length_only_where_it_may_be_said);
    tcase_add_test(tcase, own_responses_are_complete);
    tcase_add_test(tcase, heads_are_appended);
    tcase_add_test(tcase, every_status_told_to_clients_has_a_reason);
    tcase_add_test(tcase, chunks_are_opened_with_their_size_and_read_again);
    return check_main("http_writer", tcase);
}
