/* What must hold: chunked bodies are decoded as RFC 9112 section 7.1 has it, wherever they are cut;
 * sizes cannot overflow; extensions and trailers are checked, bounded and dropped. */
#include "support/check_http_reader.h"
#include "support/check_main.h"

#define HEAD       "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define TRANSCRIPT "POST / HTTP/1.1\nHost: a\n-Transfer-Encoding: chunked\nkeep CHUNKED\n"
#define GOOD       TRANSCRIPT "|abcde|\nEND\n"
#define BAD        TRANSCRIPT "ERROR INVALID\n"
#define BAD_AFTER  TRANSCRIPT "|abcde|\nERROR INVALID\n"

START_TEST(chunks_are_joined)
{
    static const struct check_http_case cases[] = {
        {HEAD "5\r\nabcde\r\n0\r\n\r\n", GOOD, 0},
        {HEAD "1\r\na\r\n3\r\nbcd\r\n1\r\ne\r\n0\r\n\r\n", GOOD, 0},
        {HEAD "0000000000000005\r\nabcde\r\n0000\r\n\r\n", GOOD, 0},
        {HEAD "a\r\n0123456789\r\nB\r\n0123456789a\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
         TRANSCRIPT "|01234567890123456789a0123456789abcdef|\nEND\n", 0},
        {HEAD "0\r\n\r\n", TRANSCRIPT "END\n", 0},
        {HEAD "2\r\n\r\n\r\n0\r\n\r\n", TRANSCRIPT "|\r\n|\nEND\n", 0},
        {HEAD "5\r\nabcde\r\n0\r\n\r\n" HEAD "0\r\n\r\n", GOOD TRANSCRIPT "END\n", 0},
        {HEAD "5\r\nabcde\r\n0\r\n\r\n\r\n", GOOD, 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(bad_sizes_and_line_ends_are_refused)
{
    static const struct check_http_case cases[] = {
        {HEAD "0x5\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "+5\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "-0\r\n\r\n", BAD, 0},
        {HEAD " 5\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5 \r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5\t\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "g\r\n", BAD, 0},
        {HEAD "/\r\n", BAD, 0},
        {HEAD ":\r\n", BAD, 0},
        {HEAD "@\r\n", BAD, 0},
        {HEAD "`\r\n", BAD, 0},
        {HEAD "\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5\r\rabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5\r\nabcde0\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\n0\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r0\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcdef\r\n0\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n\r\n0\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\nx", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\n\rx", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\n\n", BAD_AFTER, 0},
        {HEAD "00000000000000005\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "10000000000000005\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "ffffffffffffffff\r\nabcde\r\n0\r\n\r\n", TRANSCRIPT "ERROR TOO_LARGE\n", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(body_limit_is_exact_over_all_chunks)
{
    static const struct check_http_case cases[] = {
        {HEAD "28\r\n0123456789012345678901234567890123456789\r\n0\r\n\r\n",
         TRANSCRIPT "|0123456789012345678901234567890123456789|\nEND\n", 0},
        {HEAD "29\r\n", TRANSCRIPT "ERROR TOO_LARGE\n", 0},
        {HEAD "24\r\n012345678901234567890123456789012345\r\n4\r\n6789\r\n0\r\n\r\n",
         TRANSCRIPT "|0123456789012345678901234567890123456789|\nEND\n", 0},
        {HEAD "24\r\n012345678901234567890123456789012345\r\n5\r\n",
         TRANSCRIPT "|012345678901234567890123456789012345|\nERROR TOO_LARGE\n", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(extensions_are_checked_and_dropped)
{
    static const struct check_http_case cases[] = {
        {HEAD "5;a\r\nabcde\r\n0;b\r\n\r\n", GOOD, 0},
        {HEAD "5;abc=def\r\nabcde\r\n0\r\n\r\n", GOOD, 0},
        {HEAD "5;a=b;c;d=\"e\"\r\nabcde\r\n0\r\n\r\n", GOOD, 0},
        {HEAD "5 ; \ta\t = b ;c;d = \"e\" ; f\r\nabcde\r\n0\r\n\r\n", GOOD, 0},
        {HEAD "5\t;a=\"\x80 \\\"\\\\\t;\"\r\nabcde\r\n0\r\n\r\n", GOOD, 0},
        {HEAD "5;\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;;a\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;=b\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=;b\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a b\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a \r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=b c\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=b \r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5 x\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a(\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=b=c\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=b\"\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=\"b\"c\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=\"b\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a=\"b\\\r\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a\nabcde\r\n0\r\n\r\n", BAD, 0},
        {HEAD "5;a\rabcde\r\n0\r\n\r\n", BAD, 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

/* A body of `chunks` one-byte chunks with extensions of 128 bytes each. */
static void check_extensions(unsigned chunks, const char *expected_end)
{
    struct http_transcript transcript = {
        .reader = http_reader_new(HTTP_READER_REQUEST, &check_http_limits)};
    struct byte_buffer input = {0};
    const char        *text;

    ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, HEAD), STATUS_OK);
    for (unsigned i = 0; i < chunks; i++)
        ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "1;%0127d\r\na\r\n", 0), STATUS_OK);
    ck_assert_int_eq(byte_buffer_printf(&input, SIZE_MAX, "0\r\n\r\n"), STATUS_OK);
    text = http_transcript_read(&transcript, byte_buffer_bytes(&input), http_transcript_cut_never,
                                NULL);
    ck_assert_str_eq(text + strlen(text) - strlen(expected_end), expected_end);
    byte_buffer_done(&input);
    byte_buffer_done(&transcript.text);
    http_reader_free(transcript.reader);
}

START_TEST(extensions_of_a_message_are_bounded_together)
{
    check_extensions(8, "|aaaaaaaa|\nEND\n");
    check_extensions(9, "|aaaaaaaa|\nERROR INVALID\n");
}
END_TEST

START_TEST(trailers_are_checked_and_dropped)
{
    static const struct check_http_case cases[] = {
        {HEAD "5\r\nabcde\r\n0\r\nX: y\r\nEmpty:\r\nContent-Length: 9\r\n\r\n", GOOD, 0},
        {HEAD "5\r\nabcde\r\n0\r\nX : y\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\n: y\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\nX\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\nX: y\r\n z\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\nX: y\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\nX: y\rz\r\n\r\n", BAD_AFTER, 0},
        {HEAD "5\r\nabcde\r\n0\r\nX: \x7f\r\n\r\n", BAD_AFTER, 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(trailers_are_bounded)
{
    static const struct http_reader_limits limits = {
        .start_line_bytes_max = 60, .head_bytes_max = 60, .body_bytes_max = 5};
    static const struct check_http_case cases[] = {
        {HEAD "0\r\nX: 3456789012345678901234567890123456789012345678901234567890",
         TRANSCRIPT "ERROR HEADERS_TOO_LARGE\n", 0},
        {HEAD "0\r\nX: 34567890123456789012345678901234567890123456789012345\r\n\r\n",
         TRANSCRIPT "END\n", 0},
        {HEAD "0\r\nX: 345678901234567890123456789012345678901234567890123456\r\n\r\n",
         TRANSCRIPT "ERROR HEADERS_TOO_LARGE\n", 0},
    };

    check_http_cases(HTTP_READER_REQUEST, &limits, false, cases, COUNT_OF(cases));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_chunked");

    tcase_add_test(tcase, chunks_are_joined);
    tcase_add_test(tcase, bad_sizes_and_line_ends_are_refused);
    tcase_add_test(tcase, body_limit_is_exact_over_all_chunks);
    tcase_add_test(tcase, extensions_are_checked_and_dropped);
    tcase_add_test(tcase, extensions_of_a_message_are_bounded_together);
    tcase_add_test(tcase, trailers_are_checked_and_dropped);
    tcase_add_test(tcase, trailers_are_bounded);
    return check_main("http_chunked", tcase);
}
