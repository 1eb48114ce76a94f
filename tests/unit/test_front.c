/* What must hold: requests reach the handler complete, one at a time and in order; bad, slow and
 * surplus clients never do; who leaves is told once. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "front/front.h"
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"

/* One request as the handler saw it. */
struct seen {
    struct front_connection *connection;
    char                     path[64], body[256];
    bool                     ended, aborted, finished;
    enum status              why;
};

static char                         directory[] = "/tmp/test_front.XXXXXX";
static char                         path[64];
static struct loop                 *loop;
static struct memory_account_budget budget;
static struct front                *front;
static struct socket_address        bound;
static struct front_options         options = {.connections_max = 3,
                                               .idle_timeout_us = 60000000,
                                               .head_timeout_us = 60000000,
                                               .body_timeout_us = 60000000,
                                               .send_timeout_us = 60000000,
                                               .start_line_bytes_max = 4096,
                                               .head_bytes_max = 8192};
static struct seen                  requests[16];
static size_t                       request_count, refused_count;
static bool                         answers_at_end = true, has_memory = true;
static int                          client = -1;
static char                         received[8192];
static size_t                       received_size;
static bool                         received_end;

static void answer(struct seen *seen)
{
    char         text[200];
    struct bytes part;

    snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n%s",
             front_connection_will_close(seen->connection) ? "Connection: close\r\n" : "",
             strlen(seen->path), seen->path);
    part = bytes_of(text);
    front_connection_send(seen->connection, &part, 1);
    seen->finished = true;
    front_connection_finish(seen->connection);
}

static void *on_request(struct front_connection *connection, const struct http_head *head,
                        void *ctx)
{
    struct seen *seen = &requests[request_count];

    ck_assert_ptr_eq(ctx, &requests);
    if (!has_memory)
        return NULL;
    request_count++;
    seen->connection = connection;
    snprintf(seen->path, sizeof seen->path, "%.*s", (int)head->path.size, head->path.data);
    return seen;
}

static void on_body(void *request, struct bytes data)
{
    struct seen *seen = request;

    ck_assert(!seen->ended && !seen->aborted && !seen->finished);
    if (strlen(seen->body) + data.size < sizeof seen->body)
        strncat(seen->body, data.data, data.size);
}

static void on_body_end(void *request)
{
    struct seen *seen = request;

    ck_assert(!seen->ended && !seen->aborted);
    seen->ended = true;
    if (answers_at_end)
        answer(seen);
}

static void on_abort(void *request, enum status why)
{
    struct seen *seen = request;

    ck_assert(!seen->aborted && !seen->finished);
    seen->aborted = true;
    seen->why = why;
}

static void on_drained(void *request)
{
    (void)request;
}

static void on_refused(const struct front_connection *connection, const struct error *error,
                       void *ctx)
{
    (void)connection;
    (void)error;
    (void)ctx;
    refused_count++;
}

static const struct front_handler handler = {.on_request = on_request,
                                             .on_body = on_body,
                                             .on_body_end = on_body_end,
                                             .on_abort = on_abort,
                                             .on_drained = on_drained,
                                             .on_refused = on_refused};

static void setup(void)
{
    struct socket_address address;

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    plain_budget_init(&budget, 1 << 30);
    loop = loop_new();
    front = front_new(loop, &budget, &options, &handler, &requests);
    ck_assert_ptr_nonnull(front);
    ck_assert(socket_address_from_path(path, &address));
    ck_assert_int_eq(front_listen(front, &address, &bound, NULL), STATUS_OK);
}

static void teardown(void)
{
    front_free(front);
    loop_free(loop);
    ck_assert_uint_eq(budget.used, 0);
    if (client >= 0)
        close(client);
    unlink(path);
    rmdir(directory);
}

static int connect_client(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(const char *text)
{
    if (client < 0)
        client = connect_client();
    ck_assert_int_eq(send(client, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Take what has come to the client. */
static void hear(void)
{
    struct pollfd ready = {.fd = client, .events = POLLIN};

    while (!received_end && poll(&ready, 1, 0) > 0) {
        ssize_t size =
            recv(client, received + received_size, sizeof received - 1 - received_size, 0);

        if (size <= 0)
            received_end = true;
        else
            received_size += (size_t)size;
    }
}

static bool has_answer(void)
{
    hear();
    return strstr(received, "\r\n\r\n") != NULL;
}

static bool is_cut(void)
{
    hear();
    return received_end;
}

static bool has_request(void)
{
    return request_count > 0;
}

static bool is_aborted(void)
{
    return requests[0].aborted;
}

static bool has_three_requests(void)
{
    return request_count == 3 && requests[2].ended;
}

static bool nobody_is_left(void)
{
    return front_stats(front)->connections == 0;
}

/* An error in Chroma's shape, then the end of the connection. */
static void expect_error(int code)
{
    char line[32];

    loop_drive_until(loop, has_answer);
    snprintf(line, sizeof line, "HTTP/1.1 %d ", code);
    ck_assert_msg(strncmp(received, line, strlen(line)) == 0, "%s", received);
    ck_assert_ptr_nonnull(strstr(received, "{\"error\":\""));
    loop_drive_until(loop, is_cut);
}

START_TEST(a_request_reaches_the_handler_and_its_answer_the_client)
{
    say("POST /a?b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    loop_drive_until(loop, has_answer);
    ck_assert_str_eq(requests[0].path, "/a");
    ck_assert_str_eq(requests[0].body, "hello");
    ck_assert_ptr_nonnull(strstr(received, "\r\n\r\n/a"));
    ck_assert(!is_cut());
    ck_assert_uint_eq(front_active_requests(front), 0);
}
END_TEST

START_TEST(pipelined_requests_are_given_one_at_a_time_in_order)
{
    answers_at_end = false;
    say("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"
        "POST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_request);
    loop_drive_for(loop, 3000);
    ck_assert_uint_eq(request_count, 1);
    ck_assert_uint_eq(front_active_requests(front), 1);
    answers_at_end = true;
    answer(&requests[0]);
    loop_drive_until(loop, has_three_requests);
    ck_assert_str_eq(requests[1].path, "/2");
    ck_assert_str_eq(requests[1].body, "abc");
    ck_assert_str_eq(requests[2].path, "/3");
}
END_TEST

START_TEST(bad_http_never_reaches_the_handler)
{
    say("GET / HTTP/1.1\r\nBad Header\r\n\r\n");
    expect_error(400);
    ck_assert_uint_eq(request_count, 0);
    ck_assert_uint_eq(refused_count, 1);
    ck_assert_uint_eq(front_stats(front)->bad_requests, 1);
}
END_TEST

START_TEST(a_bad_body_aborts_its_request)
{
    say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n");
    expect_error(400);
    ck_assert(requests[0].aborted);
    ck_assert_int_eq(requests[0].why, STATUS_INVALID);
}
END_TEST

START_TEST(a_client_that_leaves_is_told_once)
{
    answers_at_end = false;
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_request);
    close(client);
    client = -1;
    loop_drive_until(loop, is_aborted);
    ck_assert(requests[0].why == STATUS_CLOSED || requests[0].why == STATUS_RESET);
    ck_assert_uint_eq(front_stats(front)->connections, 0);
    ck_assert_uint_eq(front_active_requests(front), 0);
}
END_TEST

static bool all_three_are_in(void)
{
    return front_stats(front)->connections == 3;
}

START_TEST(one_connection_too_many_is_answered_503_and_closed)
{
    int others[] = {connect_client(), connect_client(), connect_client()};

    loop_drive_until(loop, all_three_are_in);
    client = connect_client();
    expect_error(503);
    ck_assert_uint_eq(front_stats(front)->refused_limit, 1);
    ck_assert_uint_eq(front_stats(front)->connections, 3);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        close(others[i]);
    loop_drive_until(loop, nobody_is_left);
    close(client);
    client = -1;
    received_size = 0;
    received_end = false;
    memset(received, 0, sizeof received);
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_answer);
    ck_assert_int_eq(strncmp(received, "HTTP/1.1 200", 12), 0);
}
END_TEST

static bool is_welcome(int fd, const struct socket_address *peer, void *ctx)
{
    ck_assert_int_ge(fd, 0);
    ck_assert_ptr_nonnull(peer);
    return *(bool *)ctx;
}

START_TEST(whom_the_guard_does_not_let_in_is_cut_off_and_not_served)
{
    bool answer_of_guard = false;

    front_set_guard(front, is_welcome, &answer_of_guard);
    say("GET /a HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, is_cut);
    ck_assert_uint_eq(received_size, 0);
    ck_assert_uint_eq(request_count, 0);
    ck_assert_uint_eq(front_stats(front)->refused_guard, 1);
    close(client);
    client = -1;
    received_end = false;
    answer_of_guard = true;
    say("GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_answer);
}
END_TEST

static void use_timeout_of_10_ms(uint64_t *timeout_us)
{
    *timeout_us = 10000;
    front_set_options(front, &options);
}

START_TEST(an_idle_connection_is_closed_without_a_word)
{
    use_timeout_of_10_ms(&options.idle_timeout_us);
    say("\r\n"); /* an empty line does not make a request */
    loop_drive_until(loop, is_cut);
    ck_assert_uint_eq(received_size, 0);
    ck_assert_uint_eq(front_stats(front)->timeouts, 0);
}
END_TEST

START_TEST(a_head_that_takes_too_long_is_answered_408)
{
    use_timeout_of_10_ms(&options.head_timeout_us);
    say("GET / HTT");
    expect_error(408);
    ck_assert_uint_eq(front_stats(front)->timeouts, 1);
    ck_assert_uint_eq(request_count, 0);
}
END_TEST

START_TEST(a_body_that_comes_too_slowly_is_answered_408)
{
    use_timeout_of_10_ms(&options.body_timeout_us);
    say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nx");
    expect_error(408);
    ck_assert_int_eq(requests[0].why, STATUS_REQUEST_TIMEOUT);
}
END_TEST

START_TEST(a_paused_body_has_no_timeout)
{
    use_timeout_of_10_ms(&options.body_timeout_us);
    say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
    loop_drive_until(loop, has_request);
    front_connection_pause_body(requests[0].connection);
    say("67890");
    loop_drive_for(loop, 25000);
    ck_assert_str_eq(requests[0].body, "12345");
    ck_assert(!requests[0].aborted);
    front_connection_resume_body(requests[0].connection);
    loop_drive_until(loop, has_answer);
    ck_assert_str_eq(requests[0].body, "1234567890");
}
END_TEST

START_TEST(an_answer_that_is_not_taken_is_cut)
{
    static char  large[8 << 20];
    struct bytes part = {.data = large, .size = sizeof large};

    use_timeout_of_10_ms(&options.send_timeout_us);
    answers_at_end = false;
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_request);
    front_connection_send(requests[0].connection, &part, 1);
    ck_assert(front_connection_is_full(requests[0].connection));
    loop_drive_until(loop, is_aborted);
    ck_assert_int_eq(requests[0].why, STATUS_CLIENT_TOO_SLOW);
    ck_assert_uint_eq(front_stats(front)->timeouts, 1);
}
END_TEST

/* A socket says that it takes more only when much of its buffer is free: that may be long after the
 * client has taken what is owed. */
START_TEST(an_answer_that_is_taken_steadily_is_not_cut)
{
    static char  large[2 << 20];
    struct bytes part = {.data = large, .size = sizeof large};
    size_t       taken = 0;

    options.send_timeout_us = 4000;
    front_set_options(front, &options);
    answers_at_end = false;
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_request);
    front_connection_send(requests[0].connection, &part, 1);
    while (taken < sizeof large) {
        static char piece[16384];
        ssize_t     size = recv(client, piece, sizeof piece, MSG_DONTWAIT);

        taken += size > 0 ? (size_t)size : 0;
        loop_drive_for(loop, 2000);
        ck_assert(!requests[0].aborted);
    }
    ck_assert_uint_eq(front_stats(front)->timeouts, 0);
}
END_TEST

START_TEST(an_options_that_goes_no_further_is_answered_here)
{
    say("OPTIONS /a HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nContent-Length: 2\r\n\r\nhi");
    loop_drive_until(loop, has_answer);
    ck_assert_int_eq(strncmp(received, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 36), 0);
    ck_assert_uint_eq(request_count, 0);
    ck_assert_uint_eq(front_active_requests(front), 0);
    memset(received, 0, sizeof received);
    received_size = 0;
    say("OPTIONS /b HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n");
    loop_drive_until(loop, has_answer);
    ck_assert_uint_eq(request_count, 1);
}
END_TEST

static struct http_head chroma_answer = {
    .field_count = 1,
    .fields = {
        {.name = BYTES_INIT("access-control-allow-origin"), .value = BYTES_INIT("http://page")}}};

START_TEST(errors_of_our_own_can_be_read_by_the_origins_that_chroma_allows)
{
    answers_at_end = false;
    say("POST /a HTTP/1.1\r\nHost: h\r\nOrigin: http://page\r\nContent-Length: 9\r\n\r\n");
    loop_drive_until(loop, has_request);
    ck_assert_uint_eq(front_connection_cors(requests[0].connection).size, 0);
    front_connection_learn_cors(requests[0].connection, &chroma_answer);
    ck_assert(bytes_equal(front_connection_cors(requests[0].connection),
                          BYTES_LITERAL("access-control-allow-origin: http://page\r\n")));
    options.body_timeout_us = 10000;
    front_set_options(front, &options);
    front_connection_pause_body(requests[0].connection);
    front_connection_resume_body(requests[0].connection);
    expect_error(408);
    ck_assert_ptr_nonnull(strstr(received, "\r\naccess-control-allow-origin: http://page\r\n"));
}
END_TEST

static bool is_active(void)
{
    return front_active_requests(front) == 1;
}

static bool is_inactive(void)
{
    return front_active_requests(front) == 0;
}

START_TEST(a_connection_is_active_from_a_heads_first_byte_until_its_answer_is_taken)
{
    static char  large[1 << 20];
    struct bytes part = {.data = large, .size = sizeof large};

    answers_at_end = false;
    say("\r\n");
    loop_drive_for(loop, 1000);
    ck_assert(is_inactive());
    say("GET /");
    loop_drive_until(loop, is_active);
    say(" HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_request);
    ck_assert(is_active());
    front_connection_send(requests[0].connection, &part, 1);
    front_connection_finish(requests[0].connection);
    ck_assert(is_active());
    while (!is_inactive()) {
        static char piece[65536];

        (void)!recv(client, piece, sizeof piece, MSG_DONTWAIT);
        loop_drive_for(loop, 500);
    }
}
END_TEST

static bool one_was_reclaimed(void)
{
    return front_stats(front)->reclaimed == 1;
}

START_TEST(at_the_limit_the_connection_idle_for_longest_makes_room)
{
    int others[3];

    options.reclaim_after_us = 200000;
    front_set_options(front, &options);
    answers_at_end = false;
    others[0] = connect_client();
    client = others[0];
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n"); /* it has a request, and waits */
    others[1] = connect_client();
    loop_drive_until(loop, has_request);
    loop_drive_for(loop, 5000);
    others[2] = connect_client();
    loop_drive_until(loop, all_three_are_in);
    client = connect_client(); /* too early */
    expect_error(503);
    ck_assert_uint_eq(front_stats(front)->reclaimed, 0);
    close(client);
    loop_drive_for(loop, 300000);
    client = connect_client();
    loop_drive_until(loop, one_was_reclaimed);
    ck_assert_uint_eq(front_stats(front)->connections, 3);
    ck_assert_uint_eq(front_stats(front)->refused_limit, 1);
    close(client);
    client = others[1];
    received_end = false;
    received_size = 0;
    loop_drive_until(loop, is_cut); /* longer than the other, and without a word */
    ck_assert_uint_eq(received_size, 0);
    client = others[2];
    received_end = false;
    ck_assert(!is_cut());
    ck_assert(!requests[0].aborted);
    close(others[0]);
    close(others[1]);
}
END_TEST

/* It is there, if not read yet: on another connection, events of one turn come in any order. */
START_TEST(a_connection_with_a_request_in_its_socket_is_not_reclaimed)
{
    int others[3] = {connect_client(), connect_client(), connect_client()};

    options.reclaim_after_us = 1;
    front_set_options(front, &options);
    loop_drive_until(loop, all_three_are_in);
    loop_drive_for(loop, 1000);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        client = others[i];
        say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    client = connect_client();
    loop_drive_for(loop, 5000);
    ck_assert_uint_eq(front_stats(front)->refused_limit + front_stats(front)->reclaimed, 1);
    ck_assert_uint_eq(request_count, 3);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        close(others[i]);
}
END_TEST

START_TEST(an_early_answer_closes_and_what_still_comes_is_thrown_away)
{
    say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\nabc");
    loop_drive_until(loop, has_request);
    answer(&requests[0]);
    say("more of the body");
    loop_drive_until(loop, has_answer);
    ck_assert_ptr_nonnull(strstr(received, "Connection: close\r\n"));
    loop_drive_until(loop, is_cut); /* FIN, no reset */
    ck_assert_str_eq(requests[0].body, "abc");
    ck_assert_uint_eq(request_count, 1);
}
END_TEST

START_TEST(a_client_that_waits_is_told_to_continue)
{
    say("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    loop_drive_until(loop, has_request);
    ck_assert(!has_answer());
    front_connection_continue(requests[0].connection);
    loop_drive_until(loop, has_answer);
    ck_assert_str_eq(received, "HTTP/1.1 100 Continue\r\n\r\n");
    ck_assert(!front_connection_has_answered(requests[0].connection));
}
END_TEST

START_TEST(while_draining_each_answer_ends_its_connection_and_new_ones_are_served)
{
    front_drain(front);
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, is_cut);
    ck_assert_ptr_nonnull(strstr(received, "Connection: close\r\n"));
}
END_TEST

START_TEST(no_memory_for_a_request_is_answered_503)
{
    has_memory = false;
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_error(503);
}
END_TEST

START_TEST(a_cut_connection_ends_and_the_handler_hears_no_more)
{
    answers_at_end = false;
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_request);
    front_connection_cut(requests[0].connection);
    loop_drive_until(loop, is_cut);
    ck_assert(!requests[0].aborted);
    ck_assert_uint_eq(front_active_requests(front), 0);
}
END_TEST

START_TEST(freeing_the_front_aborts_what_is_under_way)
{
    answers_at_end = false;
    say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    loop_drive_until(loop, has_request);
    front_free(front);
    front = NULL;
    ck_assert(requests[0].aborted);
    ck_assert(is_cut());
}
END_TEST

START_TEST(errors_can_be_without_fields_of_our_own)
{
    options.is_plain = true;
    front_set_options(front, &options);
    say("nonsense\r\n\r\n");
    expect_error(400);
    ck_assert_ptr_null(strcasestr(received, "x-chromabouncer"));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("front");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_request_reaches_the_handler_and_its_answer_the_client);
    tcase_add_test(tcase, pipelined_requests_are_given_one_at_a_time_in_order);
    tcase_add_test(tcase, bad_http_never_reaches_the_handler);
    tcase_add_test(tcase, a_bad_body_aborts_its_request);
    tcase_add_test(tcase, a_client_that_leaves_is_told_once);
    tcase_add_test(tcase, one_connection_too_many_is_answered_503_and_closed);
    tcase_add_test(tcase, whom_the_guard_does_not_let_in_is_cut_off_and_not_served);
    tcase_add_test(tcase, an_idle_connection_is_closed_without_a_word);
    tcase_add_test(tcase, a_head_that_takes_too_long_is_answered_408);
    tcase_add_test(tcase, a_body_that_comes_too_slowly_is_answered_408);
    tcase_add_test(tcase, a_paused_body_has_no_timeout);
    tcase_add_test(tcase, an_answer_that_is_not_taken_is_cut);
    tcase_add_test(tcase, an_answer_that_is_taken_steadily_is_not_cut);
    tcase_add_test(tcase, an_options_that_goes_no_further_is_answered_here);
    tcase_add_test(tcase, errors_of_our_own_can_be_read_by_the_origins_that_chroma_allows);
    tcase_add_test(tcase, a_connection_is_active_from_a_heads_first_byte_until_its_answer_is_taken);
    tcase_add_test(tcase, at_the_limit_the_connection_idle_for_longest_makes_room);
    tcase_add_test(tcase, a_connection_with_a_request_in_its_socket_is_not_reclaimed);
    tcase_add_test(tcase, an_early_answer_closes_and_what_still_comes_is_thrown_away);
    tcase_add_test(tcase, a_client_that_waits_is_told_to_continue);
    tcase_add_test(tcase, while_draining_each_answer_ends_its_connection_and_new_ones_are_served);
    tcase_add_test(tcase, no_memory_for_a_request_is_answered_503);
    tcase_add_test(tcase, a_cut_connection_ends_and_the_handler_hears_no_more);
    tcase_add_test(tcase, freeing_the_front_aborts_what_is_under_way);
    tcase_add_test(tcase, errors_can_be_without_fields_of_our_own);
    return check_main("front", tcase);
}
