/* What must hold: a response means the same however it is cut, its body ends where RFC 9112 section
 * 6.3 says, and what is not valid is never passed on. */
#include "support/check_http_reader.h"
#include "support/check_main.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"

START_TEST(status_lines_are_read)
{
    static const struct check_http_case cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 200 OK\n-Content-Length: 0\nkeep LENGTH 0\nEND\n", 0},
        {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 200 \n-Content-Length: 0\nkeep LENGTH 0\nEND\n", 0},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 200 \n-Content-Length: 0\nkeep LENGTH 0\nEND\n", 0},
        {"HTTP/1.1 999  \tSo \x80\xff so\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 999  \tSo \x80\xff so\n-Content-Length: 0\nkeep LENGTH 0\nEND\n", 0},
        {"", "", 0},
    };

    CHECK_HTTP_RESPONSES(cases);
}
END_TEST

START_TEST(bad_status_lines_are_garbled)
{
    static const struct check_http_case cases[] = {
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", "502", 0},
        {" HTTP/1.1 200 OK\r\n\r\n", "502", 0},
        {"HTTP/2.0 200 OK\r\n\r\n", "502", 0},
        {"HTTP/0.9 200 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1  200 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1\t200 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1 099 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1 20 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1 2O0 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1 20O OK\r\n\r\n", "502", 0},
        {"HTTP/1.1 x00 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1 2000 OK\r\n\r\n", "502", 0},
        {"HTTP/1.1 200\tOK\r\n\r\n", "502", 0},
        {"HTTP/1.1 200 O\x01K\r\n\r\n", "502", 0},
        {"HTTP/1.1 200 O\rK\r\n\r\n", "502", 0},
        {"HTTP/1.1 200 OK\n\r\n", "502", 0},
        {"HTTP/1.1\r\n", "502", 0},
        {"HTTP/1\r\n", "502", 0},
        {"HTTP/1.1 \r\n", "502", 0},
        {"HTTP/1.1 2\r\n", "502", 0},
        {"GET / HTTP/1.1\r\n", "502", 0},
    };

    CHECK_HTTP_RESPONSES(cases);
}
END_TEST

START_TEST(bodies_end_where_the_framing_says)
{
    static const struct check_http_case cases[] = {
        {OK_LINE "Content-Length: 2\r\n\r\n{}" OK_LINE "Content-Length: 0\r\n\r\n",
         "HTTP/1.1 200 OK\n-Content-Length: 2\nkeep LENGTH 2\n|{}|\nEND\n"
         "HTTP/1.1 200 OK\n-Content-Length: 0\nkeep LENGTH 0\nEND\n",
         0},
        {OK_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
         "HTTP/1.1 200 OK\n-Transfer-Encoding: chunked\nkeep CHUNKED\n|{}|\nEND\n", 0},
        {OK_LINE "\r\n{}\r\n", "HTTP/1.1 200 OK\nclose UNTIL_CLOSE\n|{}\r\n|\nEND\n", 0},
        {OK_LINE "\r\n", "HTTP/1.1 200 OK\nclose UNTIL_CLOSE\nEND\n", 0},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n{}",
         "HTTP/1.0 200 OK\n-Connection: keep-alive\nclose UNTIL_CLOSE\n|{}|\nEND\n", 0},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
         "HTTP/1.0 200 OK\n-Content-Length: 2\nclose LENGTH 2\n|{}|\nEND\n", 0},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
         "HTTP/1.0 200 OK\n-Connection: keep-alive\n-Content-Length: 2\nkeep LENGTH 2\n"
         "|{}|\nEND\n",
         0},
        {OK_LINE "Connection: x, close\r\nX: y\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 200 OK\n-Connection: x, close\n-X: y\n-Content-Length: 0\nclose LENGTH 0\n"
         "END\n",
         0},
    };

    CHECK_HTTP_RESPONSES(cases);
}
END_TEST

START_TEST(some_responses_have_no_body)
{
    static const struct check_http_case cases[] = {
        {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\nkeep NONE\nEND\n", 0},
        {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 204 No Content\n-Transfer-Encoding: chunked\nkeep NONE\nEND\n", 0},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
         "HTTP/1.1 304 Not Modified\n-Content-Length: 99\nkeep NONE 99\nEND\n", 0},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_LINE
         "Content-Length: 2\r\n\r\n{}",
         "HTTP/1.1 100 Continue\nkeep NONE\nEND\n"
         "HTTP/1.1 103 Early Hints\nLink: x\nkeep NONE\nEND\n"
         "HTTP/1.1 200 OK\n-Content-Length: 2\nkeep LENGTH 2\n|{}|\nEND\n",
         0},
        {"HTTP/1.1 204 No Content\r\n\r\nx",
         "HTTP/1.1 204 No Content\nkeep NONE\nEND\nERROR BACKEND_GARBLED\n", 0},
    };
    static const struct check_http_case to_head[] = {
        {OK_LINE "Content-Length: 99\r\n\r\n",
         "HTTP/1.1 200 OK\n-Content-Length: 99\nkeep NONE 99\nEND\n", 0},
        {OK_LINE "Transfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 200 OK\n-Transfer-Encoding: chunked\nkeep NONE\nEND\n", 0},
        {OK_LINE "\r\n", "HTTP/1.1 200 OK\nkeep NONE\nEND\n", 0},
    };

    CHECK_HTTP_RESPONSES(cases);
    check_http_cases(HTTP_READER_RESPONSE, &check_http_limits, true, to_head, COUNT_OF(to_head));
}
END_TEST

START_TEST(bad_framing_is_garbled)
{
    static const struct check_http_case cases[] = {
        {OK_LINE "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "502", 0},
        {OK_LINE "Content-Length: +2\r\n\r\n{}", "502", 0},
        {OK_LINE "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "502", 0},
        {OK_LINE "Transfer-Encoding: gzip\r\n\r\n", "502", 0},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "502", 0},
        {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "502", 0},
        {OK_LINE "X: y\r\n z\r\n\r\n", "502", 0},
        {OK_LINE "X : y\r\n\r\n", "502", 0},
        {OK_LINE "X: \x01\r\n\r\n", "502", 0},
        {OK_LINE "Connection: a b\r\n\r\n", "502", 0},
        {OK_LINE "Content-Length: 41\r\n\r\n",
         "HTTP/1.1 200 OK\n-Content-Length: 41\nkeep LENGTH 41\nERROR BACKEND_GARBLED\n", 0},
        {OK_LINE "\r\n01234567890123456789012345678901234567890",
         "HTTP/1.1 200 OK\nclose UNTIL_CLOSE\n|0123456789012345678901234567890123456789|\n"
         "ERROR BACKEND_GARBLED\n",
         0},
        {OK_LINE "Transfer-Encoding: chunked\r\n\r\nx",
         "HTTP/1.1 200 OK\n-Transfer-Encoding: chunked\nkeep CHUNKED\nERROR BACKEND_GARBLED\n", 0},
    };

    CHECK_HTTP_RESPONSES(cases);
}
END_TEST

START_TEST(cut_responses_are_told_from_garbled_ones)
{
    static const struct check_http_case cases[] = {
        {"H", "ERROR BACKEND_RESET\n", 0},
        {"HTTP/1.1 200 OK\r\nX: ", "ERROR BACKEND_RESET\n", 0},
        {OK_LINE "Content-Length: 2\r\n\r\n{",
         "HTTP/1.1 200 OK\n-Content-Length: 2\nkeep LENGTH 2\n|{|\nERROR BACKEND_RESET\n", 0},
        {OK_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
         "HTTP/1.1 200 OK\n-Transfer-Encoding: chunked\nkeep CHUNKED\n|{}|\n"
         "ERROR BACKEND_RESET\n",
         0},
        {OK_LINE "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
         "HTTP/1.1 200 OK\n-Transfer-Encoding: chunked\nkeep CHUNKED\n|{}|\n"
         "ERROR BACKEND_RESET\n",
         0},
    };

    CHECK_HTTP_RESPONSES(cases);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("http_reader_response");

    tcase_add_test(tcase, status_lines_are_read);
    tcase_add_test(tcase, bad_status_lines_are_garbled);
    tcase_add_test(tcase, bodies_end_where_the_framing_says);
    tcase_add_test(tcase, some_responses_have_no_body);
    tcase_add_test(tcase, bad_framing_is_garbled);
    tcase_add_test(tcase, cut_responses_are_told_from_garbled_ones);
    return check_main("http_reader_response", tcase);
}
