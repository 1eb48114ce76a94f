/* What must hold: a request means the same however the network cuts it, and what RFC 9112 does not
 * allow is refused with the right status before anything behind it is read. */
#include "support/check_http_reader.h"
#include "support/check_main.h"

#define GET  "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"

#define WITH_NUL(input, transcript)                                                                \
    {                                                                                              \
        input, transcript, sizeof(input) - 1                                                       \
    }

/* A request without a body that holds a second one, which must never be seen. */
#define HIDDEN "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

START_TEST(start_lines_are_read)
{
    static const struct check_http_case cases[] = {
        {GET "\r\n", "GET / HTTP/1.1\nHost: a\nkeep NONE\nEND\n", 0},
        {"GET /a?b?c HTTP/1.1\r\nHost:\r\n\r\n", "GET /a?b?c HTTP/1.1\nHost: \nkeep NONE\nEND\n",
         0},
        {"GET /? HTTP/1.0\r\n\r\n", "GET /? HTTP/1.0\nclose NONE\nEND\n", 0},
        {"!x-Y~ //{|}^ HTTP/1.1\r\nHost: a\r\n\r\n",
         "!x-Y~ //{|}^ HTTP/1.1\nHost: a\nkeep NONE\nEND\n", 0},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\nHost: a\nkeep NONE\nEND\n",
         0},
        {"\r\n\r\n\r\n\r\n" GET "\r\n", "GET / HTTP/1.1\nHost: a\nkeep NONE\nEND\n", 0},
        {"\r\n\r\n", "", 0},
        {"", "", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(bad_start_lines_are_refused)
{
    static const struct check_http_case cases[] = {
        {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400", 0},
        {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        WITH_NUL("GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        {"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET /\rb HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET\r\n", "400", 0},
        {"GET /\r\n", "400", 0},
        {"GET \r\n", "400", 0},
        {"GET / \r\n", "400", 0},
        {"GET / HTTP/1.1\nHost: a\r\n\r\n", "400", 0},
        {"\nGET / HTTP/1.1\r\n", "400", 0},
        {"\r\n\nGET / HTTP/1.1\r\n", "400", 0},
        {"\rGET / HTTP/1.1\r\n", "400", 0},
        {"\r\r\n", "400", 0},
        {"\r\n\r\n\r\n\r\n\r\n" GET "\r\n", "400", 0},
        {"\x16\x03\x01", "400", 0},
        {"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "501", 0},
        {"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "501", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(only_versions_of_http_1_are_served)
{
    static const struct check_http_case cases[] = {
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505", 0},
        {"GET / HTTP/2.0\r\n", "505", 0},
        {"GET / HTTP/0.9\r\n", "505", 0},
        {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: a\nkeep NONE\nEND\n", 0},
        {"GET / HTTP/1.9\r\n\r\n", "400", 0}, /* without Host, as 1.1 */
        {"GET / HTTP/2\r\n", "400", 0},
        {"GET / HTTP/01.1\r\n", "400", 0},
        {"GET / HTTP/1.-1\r\n", "400", 0},
        {"GET / HTTP/1.10\r\n", "400", 0},
        {"GET / HTTP/1:1\r\n", "400", 0},
        {"GET / HTTP/a.1\r\n", "400", 0},
        {"GET / HTTP/1.a\r\n", "400", 0},
        {"GET / http/1.1\r\n", "400", 0},
        {"GET / ICAP/1.1\r\n", "400", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(absolute_targets_are_reduced_and_name_the_host)
{
    static const struct check_http_case cases[] = {
        {"GET http://b:8/c?d HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /c?d HTTP/1.1\nHost: b:8\nkeep NONE\nEND\n", 0},
        {"GET hTTps://b/ HTTP/1.1\r\nX: y\r\nhost: a\r\n\r\n",
         "GET / HTTP/1.1\nX: y\nhost: b\nkeep NONE\nEND\n", 0},
        {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\nHost: b\nkeep NONE\nEND\n",
         0},
        {"GET http://b?d/e HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET /?d/e HTTP/1.1\nHost: b\nkeep NONE\nEND\n", 0},
        {"OPTIONS http://b:8 HTTP/1.1\r\nHost: a\r\n\r\n",
         "OPTIONS * HTTP/1.1\nHost: b:8\nkeep NONE\nEND\n", 0},
        {"OPTIONS http://b?c HTTP/1.1\r\nHost: a\r\n\r\n",
         "OPTIONS /?c HTTP/1.1\nHost: b\nkeep NONE\nEND\n", 0},
        {"GET http://b/c HTTP/1.0\r\n\r\n", "GET /c HTTP/1.0\nHost: b\nclose NONE\nEND\n", 0},
        {"GET http://[::1]:8/ HTTP/1.1\r\nHost: a\r\n\r\n",
         "GET / HTTP/1.1\nHost: [::1]:8\nkeep NONE\nEND\n", 0},
        {"GET http://b/ HTTP/1.1\r\n\r\n", "400", 0},
        {"GET http://b/ HTTP/1.1\r\nHost: a/\r\n\r\n", "400", 0},
        {"GET http:///c HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET http:// HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET https:// HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET http://?c HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET http://b:8x/ HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET http:/b HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
        {"GET ftp://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(fields_are_split_and_trimmed)
{
    static const struct check_http_case cases[] = {
        {GET "X:\r\nY: \t\r\nZ:\ta  b \t\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\nX: \nY: \nZ: a  b\nkeep NONE\nEND\n", 0},
        {GET "!#$%&'*+-.^_`|~09azAZ: \"(),/:;<=>?@[\\]{}\x80\xff\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\n!#$%&'*+-.^_`|~09azAZ: \"(),/:;<=>?@[\\]{}\x80\xff\n"
         "keep NONE\nEND\n",
         0},
        {GET "keep-Alive: x\r\nPROXY-CONNECTION: x\r\nTE: x\r\nTrailer: x\r\nUpgrade: x\r\n"
             "Proxy-Authenticate: x\r\nProxy-Authorization: x\r\nVia: x\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\n-keep-Alive: x\n-PROXY-CONNECTION: x\n-TE: x\n-Trailer: x\n"
         "-Upgrade: x\n-Proxy-Authenticate: x\n-Proxy-Authorization: x\nVia: x\nkeep NONE\nEND\n",
         0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(bad_fields_are_refused)
{
    static const struct check_http_case cases[] = {
        {GET "X : y\r\n\r\n", "400", 0},
        {GET "X\t: y\r\n\r\n", "400", 0},
        {GET "Content-Length : 34\r\n\r\n" HIDDEN, "400", 0},
        {GET ": y\r\n\r\n", "400", 0},
        {GET "X\r\n\r\n", "400", 0},
        {GET "X(: y\r\n\r\n", "400", 0},
        {GET "X\xc3\xa4: y\r\n\r\n", "400", 0},
        {GET "X: y\r\n z\r\n\r\n", "400", 0},
        {GET "X: y\r\n\tz\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400", 0},
        {GET "X: y\n\r\n", "400", 0},
        {GET "\n", "400", 0},
        {GET "X: y\rz\r\n\r\n", "400", 0},
        {GET "X: y\r\r\n\r\n", "400", 0},
        {GET "X: y\x01\r\n\r\n", "400", 0},
        {GET "X: y\x0b\r\n\r\n", "400", 0},
        {GET "X: y\x7fz\r\n\r\n", "400", 0},
        WITH_NUL(GET "X\0: y\r\n\r\n", "400"),
        WITH_NUL(GET "X: y\0z\r\n\r\n", "400"),
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(exactly_one_valid_host_is_needed)
{
    static const struct check_http_case cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nX: y\r\n\r\n", "400", 0},
        {GET "Host: a\r\n\r\n", "400", 0},
        {"GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n", "400", 0},
        {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: a:8:8\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: [:/]\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", "400", 0},
        {"GET / HTTP/1.1\r\nHost: my_service-1.ns%20:80\r\n\r\n",
         "GET / HTTP/1.1\nHost: my_service-1.ns%20:80\nkeep NONE\nEND\n", 0},
        {"GET / HTTP/1.1\r\nHost: [fe80::1]:80\r\n\r\n",
         "GET / HTTP/1.1\nHost: [fe80::1]:80\nkeep NONE\nEND\n", 0},
        {"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "GET / HTTP/1.1\nHost: a:\nkeep NONE\nEND\n", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(content_length_is_digits_once)
{
    static const struct check_http_case cases[] = {
        {POST "Content-Length: 3\r\n\r\nabc" GET "\r\n",
         "POST / HTTP/1.1\nHost: a\n-Content-Length: 3\nkeep LENGTH 3\n|abc|\nEND\n"
         "GET / HTTP/1.1\nHost: a\nkeep NONE\nEND\n",
         0},
        {POST "Content-Length: 0\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Content-Length: 0\nkeep LENGTH 0\nEND\n", 0},
        {POST "Content-Length: 00040\r\n\r\n0123456789012345678901234567890123456789",
         "POST / HTTP/1.1\nHost: a\n-Content-Length: 00040\nkeep LENGTH 40\n"
         "|0123456789012345678901234567890123456789|\nEND\n",
         0},
        {POST "Content-Length: 3\r\n\r\nab",
         "POST / HTTP/1.1\nHost: a\n-Content-Length: 3\nkeep LENGTH 3\n|ab|\nERROR INVALID\n", 0},
        {"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n" HIDDEN GET "\r\n",
         "HEAD / HTTP/1.1\nHost: a\n-Content-Length: 33\nkeep LENGTH 33\n"
         "|" HIDDEN "|\nEND\nGET / HTTP/1.1\nHost: a\nkeep NONE\nEND\n",
         0},
        {"ODD / HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n" HIDDEN,
         "ODD / HTTP/1.1\nHost: a\n-Content-Length: 33\nkeep LENGTH 33\n|" HIDDEN "|\nEND\n", 0},
        {POST "Content-Length: 41\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Content-Length: 41\nkeep LENGTH 41\nERROR TOO_LARGE\n", 0},
        {POST "Content-Length: 18446744073709551615\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Content-Length: 18446744073709551615\n"
         "keep LENGTH 18446744073709551615\nERROR TOO_LARGE\n",
         0},
        {POST "Content-Length: 18446744073709551616\r\n\r\n", "400", 0},
        {POST "Content-Length: 18446744073709551621\r\n\r\n", "400", 0},
        {POST "Content-Length: 184467440737095516150\r\n\r\n", "400", 0},
        {POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400", 0},
        {POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "400", 0},
        {POST "Content-Length: 5x\r\nX: y\r\n\r\n", "400", 0},
        {POST "Content-Length: 5, 5\r\n\r\nabcde", "400", 0},
        {POST "Content-Length: 5 5\r\n\r\nabcde", "400", 0},
        {POST "Content-Length:\r\n\r\n", "400", 0},
        {POST "Content-Length: +5\r\n\r\nabcde", "400", 0},
        {POST "Content-Length: -5\r\n\r\nabcde", "400", 0},
        {POST "Content-Length: 0x5\r\n\r\nabcde", "400", 0},
        {POST "Content-Length: 5.0\r\n\r\nabcde", "400", 0},
        {POST "Content-Length: \xb2\r\n\r\nabcde", "400", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(transfer_encoding_is_chunked_alone)
{
    static const struct check_http_case cases[] = {
        {POST "Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET "\r\n",
         "POST / HTTP/1.1\nHost: a\n-Transfer-Encoding: CHUNKED\nkeep CHUNKED\n|abc|\nEND\n"
         "GET / HTTP/1.1\nHost: a\nkeep NONE\nEND\n",
         0},
        {POST "Transfer-Encoding: identity\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: xchunked\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: chunked, chunked\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n" HIDDEN, "501", 0},
        {POST "Transfer-Encoding: chunked;q=1\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: \"chunked\"\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding:\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400",
         0},
        {POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", "400", 0},
        {POST "Transfer-Encoding: gzip\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: chunked, gzip, chunked\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: ,\r\n\r\n" HIDDEN, "400", 0},
        {POST "Transfer-Encoding: x;a=\",chunked\r\n\r\n" HIDDEN, "501", 0},
        {POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501",
         0},
        {POST "Transfer-Encoding: \x0b"
              "chunked\r\n\r\n" HIDDEN,
         "400", 0},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "400", 0},
        {POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400", 0},
        {POST "Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\n", "400", 0},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(empty_elements_of_transfer_encoding_are_ignored)
{
    static const struct check_http_case cases[] = {
        {POST "Transfer-Encoding: , chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Transfer-Encoding: , chunked\nkeep CHUNKED\n|abc|\nEND\n", 0},
        {POST "Transfer-Encoding: chunked,,\t\r\n\r\n0\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Transfer-Encoding: chunked,,\nkeep CHUNKED\nEND\n", 0},
        {POST "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Transfer-Encoding: \n-Transfer-Encoding: chunked\n"
         "keep CHUNKED\nEND\n",
         0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(max_forwards_counts_for_options_and_trace_only)
{
    static const struct check_http_case cases[] = {
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n",
         "OPTIONS * HTTP/1.1\nHost: a\n-Max-Forwards: 7\nkeep NONE forwards 6\nEND\n", 0},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n",
         "OPTIONS / HTTP/1.1\nHost: a\n-Max-Forwards: 0\nkeep NONE last\nEND\n", 0},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 99999999999999999999999\r\n\r\n",
         "OPTIONS / HTTP/1.1\nHost: a\n-Max-Forwards: 99999999999999999999999\n"
         "keep NONE forwards 4294967294\nEND\n",
         0},
        {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n",
         "TRACE / HTTP/1.1\nHost: a\n-Max-Forwards: 1\nkeep NONE forwards 0\nEND\n", 0},
        {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", "501", 0},
        {"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 2\r\n\r\n", "400", 0},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1\r\n\r\n",
         "OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: -1\nkeep NONE\nEND\n", 0},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards:\r\n\r\n",
         "OPTIONS / HTTP/1.1\nHost: a\nMax-Forwards: \nkeep NONE\nEND\n", 0},
        {GET "Max-Forwards: 0\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\nMax-Forwards: 0\nkeep NONE\nEND\n", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(only_100_continue_may_be_expected)
{
    static const struct check_http_case cases[] = {
        {POST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc",
         "POST / HTTP/1.1\nHost: a\n-Expect: 100-Continue\n-Content-Length: 3\n"
         "keep LENGTH 3 continue\n|abc|\nEND\n",
         0},
        {POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Expect: 100-continue\n-Transfer-Encoding: chunked\n"
         "keep CHUNKED continue\nEND\n",
         0},
        {POST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
         "POST / HTTP/1.1\nHost: a\n-Expect: 100-continue\n-Content-Length: 0\n"
         "keep LENGTH 0\nEND\n",
         0},
        {"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
         "POST / HTTP/1.0\n-Expect: 100-continue\n-Content-Length: 1\n"
         "close LENGTH 1\n|a|\nEND\n",
         0},
        {"POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\na",
         "POST / HTTP/1.0\n-Expect: x\n-Content-Length: 1\nclose LENGTH 1\n|a|\nEND\n", 0},
        {POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", "417", 0},
        {POST "Expect: 100-continue, x\r\nContent-Length: 1\r\n\r\na", "417", 0},
        {POST "Expect: 100-continue\r\nExpect:\r\nContent-Length: 1\r\n\r\na", "417", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(connection_decides_whether_the_next_request_comes)
{
    static const struct check_http_case cases[] = {
        {GET "Connection: close\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\n-Connection: close\nclose NONE\nEND\n", 0},
        {GET "Connection: x , ,\tCLOSE\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\n-Connection: x , ,\tCLOSE\nclose NONE\nEND\n", 0},
        {GET "Connection: keep-alive\r\nConnection: close\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\n-Connection: keep-alive\n-Connection: close\n"
         "close NONE\nEND\n",
         0},
        {GET "Connection: ,\r\nConnection:\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\n-Connection: ,\n-Connection: \nkeep NONE\nEND\n", 0},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
         "GET / HTTP/1.0\n-Connection: Keep-Alive\nkeep NONE\nEND\n", 0},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
         "GET / HTTP/1.0\n-Connection: keep-alive, close\nclose NONE\nEND\n", 0},
        {GET "Connection: a b\r\n\r\n", "400", 0},
        {GET "Connection: \"close\"\r\n\r\n", "400", 0},
        {GET "Connection: close;x\r\n\r\n", "400", 0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

START_TEST(connection_names_hop_by_hop_fields_but_not_the_protected)
{
    static const struct check_http_case cases[] = {
        {GET "X-A: 1\r\nX-B: 2\r\nX-C: 3\r\nConnection: x-a,X-C\r\nx-a: 4\r\nConnection: accept\r\n"
             "Accept: 5\r\n\r\n",
         "GET / HTTP/1.1\nHost: a\n-X-A: 1\nX-B: 2\n-X-C: 3\n-Connection: x-a,X-C\n-x-a: 4\n"
         "-Connection: accept\n-Accept: 5\nkeep NONE\nEND\n",
         0},
        {POST "Connection: host, content-length, authorization, cookie, x-chroma-token, "
              "content-type, via\r\nAuthorization: 1\r\nCookie: 2\r\nX-Chroma-Token: 3\r\n"
              "Content-Type: 4\r\nVia: 5\r\nContent-Length: 1\r\n\r\na",
         "POST / HTTP/1.1\nHost: a\n-Connection: host, content-length, authorization, cookie, "
         "x-chroma-token, content-type, via\nAuthorization: 1\nCookie: 2\nX-Chroma-Token: 3\n"
         "Content-Type: 4\nVia: 5\n-Content-Length: 1\nkeep LENGTH 1\n|a|\nEND\n",
         0},
    };

    CHECK_HTTP_REQUESTS(cases);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_reader");

    tcase_add_test(tcase, start_lines_are_read);
    tcase_add_test(tcase, bad_start_lines_are_refused);
    tcase_add_test(tcase, only_versions_of_http_1_are_served);
    tcase_add_test(tcase, absolute_targets_are_reduced_and_name_the_host);
    tcase_add_test(tcase, fields_are_split_and_trimmed);
    tcase_add_test(tcase, bad_fields_are_refused);
    tcase_add_test(tcase, exactly_one_valid_host_is_needed);
    tcase_add_test(tcase, content_length_is_digits_once);
    tcase_add_test(tcase, transfer_encoding_is_chunked_alone);
    tcase_add_test(tcase, empty_elements_of_transfer_encoding_are_ignored);
    tcase_add_test(tcase, max_forwards_counts_for_options_and_trace_only);
    tcase_add_test(tcase, only_100_continue_may_be_expected);
    tcase_add_test(tcase, connection_decides_whether_the_next_request_comes);
    tcase_add_test(tcase, connection_names_hop_by_hop_fields_but_not_the_protected);
    return check_main("http_reader", tcase);
}
