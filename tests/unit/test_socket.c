/* What must hold: addresses come out as they went in, and every outcome of a call is told apart. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/socket.h"
#include "support/check_main.h"

static char                  directory[] = "/tmp/test_socket.XXXXXX";
static char                  path[64];
static struct socket_address address, bound;
static int                   listener = -1;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
}

static void teardown(void)
{
    if (listener >= 0)
        socket_close(listener);
    unlink(path);
    rmdir(directory);
}

static void listen_on_path(void)
{
    ck_assert(socket_address_from_path(path, &address));
    ck_assert_int_eq(socket_listen(&address, &listener, &bound, NULL), STATUS_OK);
}

/* A connected pair: what accept() gave, and the client's. */
static void connect_pair(int *ret_server, int *ret_client)
{
    listen_on_path();
    ck_assert_int_eq(socket_connect(&bound, ret_client), STATUS_OK);
    ck_assert_int_eq(socket_accept(listener, ret_server, NULL), STATUS_OK);
}

static const struct {
    const char *host, *text;
    bool        is_literal;
} hosts[] = {
    {"127.0.0.1", "127.0.0.1:8000", true},
    {"0.0.0.0", "0.0.0.0:8000", true},
    {"::1", "[::1]:8000", true},
    {"2001:db8::42", "[2001:db8::42]:8000", true},
    {"localhost", NULL, false},
    {"127.1", NULL, false},
    {"1.2.3.4.5", NULL, false},
    {"", NULL, false},
};

START_TEST(a_literal_is_an_address_and_a_name_is_not)
{
    char text[SOCKET_ADDRESS_TEXT_MAX];

    ck_assert(socket_address_from_literal(hosts[_i].host, 8000, &address) == hosts[_i].is_literal);
    if (!hosts[_i].is_literal)
        return;
    socket_address_format(&address, text);
    ck_assert_str_eq(text, hosts[_i].text);
}
END_TEST

START_TEST(a_path_is_an_address_if_it_fits)
{
    char text[SOCKET_ADDRESS_TEXT_MAX], longest[200];

    ck_assert(socket_address_from_path("/run/x.sock", &address));
    socket_address_format(&address, text);
    ck_assert_str_eq(text, "unix:/run/x.sock");
    memset(longest, 'x', sizeof longest);
    longest[107] = '\0';
    ck_assert(socket_address_from_path(longest, &address));
    socket_address_format(&address, text);
    ck_assert_uint_eq(strlen(text), 5 + 107);
    longest[107] = 'x';
    longest[108] = '\0';
    ck_assert(!socket_address_from_path(longest, &address));
}
END_TEST

START_TEST(port_0_becomes_the_port_that_was_chosen)
{
    char text[SOCKET_ADDRESS_TEXT_MAX];

    ck_assert(socket_address_from_literal("127.0.0.1", 0, &address));
    ck_assert_int_eq(socket_listen(&address, &listener, &bound, NULL), STATUS_OK);
    socket_address_format(&bound, text);
    ck_assert_int_eq(strncmp(text, "127.0.0.1:", 10), 0);
    ck_assert_int_gt(atoi(text + 10), 0);
}
END_TEST

START_TEST(an_address_in_use_is_refused_with_its_name)
{
    struct socket_address other;
    struct error          error;
    char                  text[SOCKET_ADDRESS_TEXT_MAX];
    int                   fd;

    ck_assert(socket_address_from_literal("127.0.0.1", 0, &address));
    ck_assert_int_eq(socket_listen(&address, &listener, &bound, NULL), STATUS_OK);
    ck_assert_int_eq(socket_listen(&bound, &fd, &other, &error), STATUS_IO_FAILED);
    socket_address_format(&bound, text);
    ck_assert_ptr_nonnull(strstr(error.text, text));
    ck_assert_ptr_nonnull(strstr(error.text, "in use"));
}
END_TEST

START_TEST(a_stale_socket_file_is_replaced_a_served_one_is_not)
{
    struct error error;
    int          fd;

    listen_on_path();
    ck_assert_int_eq(socket_listen(&address, &fd, &bound, &error), STATUS_IO_FAILED);
    socket_close(listener);
    listener = -1;
    listen_on_path();
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_never_removed)
{
    struct error error;
    struct stat  found;
    FILE        *file = fopen(path, "w");
    int          fd;

    fputs("precious", file);
    fclose(file);
    ck_assert(socket_address_from_path(path, &address));
    ck_assert_int_eq(socket_listen(&address, &fd, &bound, &error), STATUS_IO_FAILED);
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_int_eq(found.st_size, 8);
}
END_TEST

START_TEST(accept_tells_that_nobody_waits)
{
    int fd;

    listen_on_path();
    ck_assert_int_eq(socket_accept(listener, &fd, NULL), STATUS_AGAIN);
}
END_TEST

START_TEST(accept_says_who_came)
{
    struct socket_address peer, client_address;
    char                  text[SOCKET_ADDRESS_TEXT_MAX], expected[SOCKET_ADDRESS_TEXT_MAX];
    socklen_t             size = sizeof client_address.storage;
    int                   client, server;
    uint32_t              uid;
    enum status           status;

    ck_assert(socket_address_from_literal("127.0.0.1", 0, &address));
    ck_assert_int_eq(socket_listen(&address, &listener, &bound, NULL), STATUS_OK);
    status = socket_connect(&bound, &client);
    ck_assert(status == STATUS_OK || status == STATUS_AGAIN);
    ck_assert_int_eq(socket_accept(listener, &server, &peer), STATUS_OK);
    ck_assert_int_eq(socket_connect_result(client), STATUS_OK);
    getsockname(client, (struct sockaddr *)(void *)client_address.storage, &size);
    client_address.size = size;
    socket_address_format(&peer, text);
    socket_address_format(&client_address, expected);
    ck_assert_str_eq(text, expected);
    ck_assert(!socket_peer_uid(server, &uid));
    socket_close(client);
    socket_close(server);
}
END_TEST

START_TEST(a_unix_socket_tells_whose_process_came)
{
    int      pair[2];
    uint32_t uid = ~getuid();

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert(socket_peer_uid(pair[0], &uid));
    ck_assert_uint_eq(uid, getuid());
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(accept_and_connect_tell_that_descriptors_are_out)
{
    struct rlimit limit;
    int           fd, client;

    listen_on_path();
    ck_assert_int_eq(socket_connect(&bound, &client), STATUS_OK);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = (rlim_t)client + 1;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (dup(client) >= 0) /* fill gaps below the limit */
        continue;
    ck_assert_int_eq(socket_accept(listener, &fd, NULL), STATUS_LIMIT_REACHED);
    ck_assert_int_eq(socket_connect(&bound, &fd), STATUS_LIMIT_REACHED);
    ck_assert_int_eq(socket_reserve(), -1);
}
END_TEST

START_TEST(connecting_to_nobody_is_reset)
{
    int fd;

    ck_assert(socket_address_from_path(path, &address));
    ck_assert_int_eq(socket_connect(&address, &fd), STATUS_RESET);
}
END_TEST

START_TEST(a_peer_that_vanishes_is_asked_for)
{
    int       client, on = 0, idle_s = 0;
    socklen_t size = sizeof on;

    ck_assert(socket_address_from_literal("127.0.0.1", 0, &address));
    ck_assert_int_eq(socket_listen(&address, &listener, &bound, NULL), STATUS_OK);
    ck_assert_int_ne(socket_connect(&bound, &client), STATUS_RESET);
    ck_assert_int_eq(getsockopt(client, SOL_SOCKET, SO_KEEPALIVE, &on, &size), 0);
    ck_assert_int_eq(getsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, &size), 0);
    ck_assert(on == 1 && idle_s == 60);
    socket_close(client);
}
END_TEST

START_TEST(receiving_tells_bytes_nothing_the_end_and_a_break)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    char          data[16];
    size_t        size = 0;
    int           server, client;

    connect_pair(&server, &client);
    ck_assert_int_eq(socket_recv(server, data, sizeof data, &size), STATUS_AGAIN);
    ck_assert_int_eq(socket_peek(server), STATUS_AGAIN);
    ck_assert_int_eq(write(client, "hello", 5), 5);
    ck_assert_int_eq(socket_peek(server), STATUS_OK);
    ck_assert_int_eq(socket_recv(server, data, sizeof data, &size), STATUS_OK);
    ck_assert_uint_eq(size, 5);
    socket_shutdown_send(client);
    ck_assert_int_eq(socket_peek(server), STATUS_CLOSED);
    ck_assert_int_eq(socket_recv(server, data, sizeof data, &size), STATUS_CLOSED);
    ck_assert_int_eq(write(server, "late", 4), 4);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    socket_close(client); /* with unread bytes: a reset */
    ck_assert_int_eq(socket_recv(server, data, sizeof data, &size), STATUS_RESET);
    socket_close(server);
}
END_TEST

/* A connected pair over TCP: on a unix socket a close is never an error for the peer. */
static void connect_tcp_pair(int *ret_server, int *ret_client)
{
    struct pollfd arriving;

    ck_assert(socket_address_from_literal("127.0.0.1", 0, &address));
    ck_assert_int_eq(socket_listen(&address, &listener, &bound, NULL), STATUS_OK);
    ck_assert_int_ne(socket_connect(&bound, ret_client), STATUS_RESET);
    arriving = (struct pollfd){.fd = listener, .events = POLLIN};
    ck_assert_int_eq(poll(&arriving, 1, 5000), 1);
    ck_assert_int_eq(socket_accept(listener, ret_server, NULL), STATUS_OK);
}

static void wait_for(int fd, short events)
{
    struct pollfd ready = {.fd = fd, .events = events};

    ck_assert_int_eq(poll(&ready, 1, 5000), 1);
}

START_TEST(a_probe_tells_the_end_behind_unread_bytes)
{
    int server, client;

    connect_tcp_pair(&server, &client);
    ck_assert_int_eq(socket_probe(server), STATUS_AGAIN);
    ck_assert_int_eq(write(client, "unread", 6), 6);
    wait_for(server, POLLIN);
    ck_assert_int_eq(socket_probe(server), STATUS_AGAIN);
    socket_shutdown_send(client);
    wait_for(server, POLLRDHUP);
    ck_assert_int_eq(socket_probe(server), STATUS_CLOSED);
    socket_reset(client);
    wait_for(server, 0); /* POLLERR and POLLHUP are always told */
    ck_assert_int_eq(socket_probe(server), STATUS_RESET);
    socket_close(server);
}
END_TEST

START_TEST(a_reset_is_an_error_for_the_peer)
{
    char   data[16];
    size_t size = 0;
    int    server, client;

    connect_tcp_pair(&server, &client);
    socket_reset(server);
    wait_for(client, POLLIN);
    ck_assert_int_eq(socket_recv(client, data, sizeof data, &size), STATUS_RESET);
    socket_close(client);
}
END_TEST

START_TEST(sending_takes_parts_in_order_until_the_socket_is_full)
{
    static char  filler[65536];
    struct bytes words[] = {BYTES_INIT("one "), BYTES_INIT(""), BYTES_INIT("two")};
    struct bytes many = {.data = filler, .size = sizeof filler};
    char         data[16];
    size_t       size = 0, total = 0;
    int          server, client;
    enum status  status;

    connect_pair(&server, &client);
    ck_assert_int_eq(socket_send(server, words, 3, &size), STATUS_OK);
    ck_assert_uint_eq(size, 7);
    ck_assert_int_eq(read(client, data, sizeof data), 7);
    ck_assert_int_eq(memcmp(data, "one two", 7), 0);
    while ((status = socket_send(server, &many, 1, &size)) == STATUS_OK)
        total += size;
    ck_assert_int_eq(status, STATUS_AGAIN);
    ck_assert_uint_gt(total, 0);
    socket_close(client);
    ck_assert_int_eq(socket_send(server, &many, 1, &size), STATUS_RESET); /* and no SIGPIPE */
    socket_close(server);
}
END_TEST

START_TEST(more_parts_than_one_call_takes_are_sent_by_several)
{
    struct bytes parts[SOCKET_SEND_PARTS_MAX + 10];
    size_t       size = 0;
    int          server, client;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        parts[i] = BYTES_LITERAL("x");
    connect_pair(&server, &client);
    ck_assert_int_eq(socket_send(server, parts, sizeof parts / sizeof *parts, &size), STATUS_OK);
    ck_assert_uint_eq(size, SOCKET_SEND_PARTS_MAX);
    socket_close(client);
    socket_close(server);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("socket");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_literal_is_an_address_and_a_name_is_not, 0,
                        sizeof hosts / sizeof *hosts);
    tcase_add_test(tcase, a_path_is_an_address_if_it_fits);
    tcase_add_test(tcase, port_0_becomes_the_port_that_was_chosen);
    tcase_add_test(tcase, an_address_in_use_is_refused_with_its_name);
    tcase_add_test(tcase, a_stale_socket_file_is_replaced_a_served_one_is_not);
    tcase_add_test(tcase, a_file_that_is_no_socket_is_never_removed);
    tcase_add_test(tcase, accept_tells_that_nobody_waits);
    tcase_add_test(tcase, accept_says_who_came);
    tcase_add_test(tcase, a_unix_socket_tells_whose_process_came);
    tcase_add_test(tcase, accept_and_connect_tell_that_descriptors_are_out);
    tcase_add_test(tcase, connecting_to_nobody_is_reset);
    tcase_add_test(tcase, a_peer_that_vanishes_is_asked_for);
    tcase_add_test(tcase, receiving_tells_bytes_nothing_the_end_and_a_break);
    tcase_add_test(tcase, a_probe_tells_the_end_behind_unread_bytes);
    tcase_add_test(tcase, a_reset_is_an_error_for_the_peer);
    tcase_add_test(tcase, sending_takes_parts_in_order_until_the_socket_is_full);
    tcase_add_test(tcase, more_parts_than_one_call_takes_are_sent_by_several);
    return check_main("socket", tcase);
}
