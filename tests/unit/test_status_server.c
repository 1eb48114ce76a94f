/* What must hold: each page says what its source says, and nothing can be changed through it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/status_server.h"
#include "front/front.h"
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"

static char                         directory[] = "/tmp/test_status_server.XXXXXX";
static char                         path[64];
static struct loop                 *loop;
static struct memory_account_budget budget;
static struct front                *front;
static bool                         ready, backend_up, metrics_fail;
static int                          client = -1;
static char                         received[4096];
static size_t                       received_size;

static bool is_ready(void *ctx, bool strict, struct byte_buffer *why)
{
    ck_assert_ptr_eq(ctx, &ready);
    ck_assert_int_eq(byte_buffer_append(why, BYTES_LITERAL("why\n"), SIZE_MAX), STATUS_OK);
    return ready && (backend_up || !strict);
}

static enum status print_metrics(void *ctx, struct byte_buffer *out)
{
    (void)ctx;
    ck_assert_int_eq(byte_buffer_append(out, BYTES_LITERAL("x 1\n"), SIZE_MAX), STATUS_OK);
    return metrics_fail ? STATUS_LIMIT_REACHED : STATUS_OK;
}

static enum status print_page(void *ctx, struct byte_buffer *out)
{
    (void)ctx;
    return byte_buffer_append(out, BYTES_LITERAL("page"), SIZE_MAX);
}

static struct status_server_source source = {
    .ctx = &ready, .is_ready = is_ready, .print_metrics = print_metrics, .print_page = print_page};

static void setup(void)
{
    struct front_options  options = {.connections_max = 4,
                                     .idle_timeout_us = 60000000,
                                     .head_timeout_us = 60000000,
                                     .body_timeout_us = 60000000,
                                     .send_timeout_us = 60000000,
                                     .start_line_bytes_max = 4096,
                                     .head_bytes_max = 8192};
    struct socket_address address, bound;

    ready = backend_up = true;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    plain_budget_init(&budget, 1 << 30);
    loop = loop_new();
    front = front_new(loop, &budget, &options, &status_server_handler, &source);
    ck_assert_ptr_nonnull(front);
    ck_assert(socket_address_from_path(path, &address));
    ck_assert_int_eq(front_listen(front, &address, &bound, NULL), STATUS_OK);
}

static void teardown(void)
{
    front_free(front);
    loop_free(loop);
    close(client);
    unlink(path);
    rmdir(directory);
}

/* The answer is complete: what Content-Length says is there. */
static bool has_answer(void)
{
    struct pollfd ready_fd = {.fd = client, .events = POLLIN};
    const char   *body, *length;
    ssize_t       size;

    while (poll(&ready_fd, 1, 0) > 0 && (size = recv(client, received + received_size,
                                                     sizeof received - 1 - received_size, 0)) > 0)
        received_size += (size_t)size;
    body = strstr(received, "\r\n\r\n");
    length = strcasestr(received, "content-length: ");
    return body != NULL && length != NULL &&
           (strtoul(length + 16, NULL, 10) <= strlen(body + 4) || strstr(received, "X-Head"));
}

static const char *ask(const char *method, const char *target)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char               text[200];

    if (client >= 0)
        close(client);
    client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", method,
             target);
    ck_assert_int_eq(write(client, text, strlen(text)), (ssize_t)strlen(text));
    received_size = 0;
    memset(received, 0, sizeof received);
    loop_drive_until(loop, has_answer);
    return strstr(received, "\r\n\r\n") + 4;
}

static void expect(int code, const char *body, const char *is)
{
    char line[32];

    snprintf(line, sizeof line, "HTTP/1.1 %d ", code);
    ck_assert_msg(strncmp(received, line, strlen(line)) == 0, "%s", received);
    ck_assert_str_eq(body, is);
}

START_TEST(pages_say_what_their_source_says)
{
    expect(200, ask("GET", "/livez"), "ok\n");
    ck_assert_ptr_nonnull(strstr(received, "Cache-Control: no-store\r\n"));
    expect(200, ask("GET", "/startupz"), "ok\n");
    expect(200, ask("GET", "/"), "page");
    expect(200, ask("GET", "/metrics?x=y"), "x 1\n");
    ck_assert_ptr_nonnull(strstr(received, "text/plain; version=0.0.4; charset=utf-8\r\n"));
}
END_TEST

START_TEST(readiness_is_a_status_code_and_a_reason)
{
    expect(200, ask("GET", "/readyz"), "why\n");
    backend_up = false;
    expect(200, ask("GET", "/readyz"), "why\n");
    expect(503, ask("GET", "/readyz?backend=1"), "why\n");
    backend_up = true;
    expect(200, ask("GET", "/readyz?backend=1"), "why\n");
    ready = false;
    expect(503, ask("GET", "/readyz"), "why\n");
}
END_TEST

START_TEST(nothing_can_be_changed)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"};

    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        expect(405, ask(methods[i], "/livez"), "");
        ck_assert_ptr_nonnull(strstr(received, "Allow: GET, HEAD\r\n"));
    }
}
END_TEST

START_TEST(an_unknown_page_is_404)
{
    expect(404, ask("GET", "/admin"), "");
}
END_TEST

START_TEST(half_a_page_is_never_given)
{
    metrics_fail = true;
    expect(503, ask("GET", "/metrics"), "");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("status_server");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, pages_say_what_their_source_says);
    tcase_add_test(tcase, readiness_is_a_status_code_and_a_reason);
    tcase_add_test(tcase, nothing_can_be_changed);
    tcase_add_test(tcase, an_unknown_page_is_404);
    tcase_add_test(tcase, half_a_page_is_never_given);
    return check_main("status_server", tcase);
}
