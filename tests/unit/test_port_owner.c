/* What must hold: a listening port is told to be the group's only when it is, and connections of
 * others to it are seen, ours not. */
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/port_owner.h"
#include "support/check_main.h"

static int      to_child[2], from_child[2];
static pid_t    child; /* listens, in a group of its own */
static uint16_t port;
static int      family;

static struct sockaddr_storage address_of(uint16_t number)
{
    struct sockaddr_storage storage = {.ss_family = (sa_family_t)family};

    if (family == AF_INET) {
        ((struct sockaddr_in *)&storage)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ((struct sockaddr_in *)&storage)->sin_port = htons(number);
    } else {
        ((struct sockaddr_in6 *)&storage)->sin6_addr = in6addr_loopback;
        ((struct sockaddr_in6 *)&storage)->sin6_port = htons(number);
    }
    return storage;
}

static int listen_somewhere(uint16_t *ret_port)
{
    struct sockaddr_storage address = address_of(0);
    socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int       fd = socket(family, SOCK_STREAM, 0);

    if (family == AF_INET6) /* IPv4 comes there too */
        ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_any;
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(fd, 10), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                        : ((struct sockaddr_in6 *)&address)->sin6_port);
    return fd;
}

static int connect_to(uint16_t number)
{
    struct sockaddr_storage address = address_of(number);
    int                     fd = socket(family, SOCK_STREAM, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void setup(void)
{
    char byte;

    ck_assert_int_eq(pipe(to_child) | pipe(from_child), 0);
    child = fork();
    if (child == 0) {
        close(to_child[1]);
        setpgid(0, 0);
        listen_somewhere(&port);
        (void)!write(from_child[1], &port, sizeof port);
        (void)!read(to_child[0], &byte, 1); /* as long as the parent lives */
        _exit(0);
    }
    close(to_child[0]);
    ck_assert_int_eq(read(from_child[0], &port, sizeof port), sizeof port);
}

static void teardown(void)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void setup_v4(void)
{
    family = AF_INET;
    setup();
}

static void setup_v6(void)
{
    family = AF_INET6;
    setup();
}

START_TEST(a_listener_is_the_groups_or_a_strangers)
{
    uint16_t ours;
    int      fd = listen_somewhere(&ours);

    ck_assert_int_eq(port_owner_find(port, child), PORT_OWNER_GROUP);
    ck_assert_int_eq(port_owner_find(port, getpid()), PORT_OWNER_STRANGER);
    ck_assert_int_eq(port_owner_find(ours, child), PORT_OWNER_STRANGER);
    close(fd);
    ck_assert_int_eq(port_owner_find(ours, child), PORT_OWNER_NOBODY);
}
END_TEST

START_TEST(our_own_connections_are_not_foreign)
{
    int fd = connect_to(port);

    ck_assert(!port_owner_has_foreign_peer(port, child));
    close(fd);
}
END_TEST

START_TEST(a_connection_of_another_process_is_foreign_until_it_is_closed)
{
    int   ready[2];
    char  byte;
    pid_t other;
    int   ours = connect_to(port);

    ck_assert_int_eq(pipe(ready), 0);
    other = fork();
    if (other == 0) {
        close(to_child[1]);
        close(ours);
        connect_to(port);
        (void)!write(ready[1], "x", 1);
        pause();
        _exit(0);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert(port_owner_has_foreign_peer(port, child));
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    ck_assert(!port_owner_has_foreign_peer(port, child));
    close(ours);
}
END_TEST

START_TEST(a_picked_port_is_free_and_below_those_of_outgoing_connections)
{
    uint16_t picked = port_owner_pick();

    ck_assert_uint_ge(picked, 1024);
    ck_assert_uint_lt(picked, 32768);
    ck_assert_int_eq(port_owner_find(picked, child), PORT_OWNER_NOBODY);
}
END_TEST

int main(void)
{
    TCase   *v4 = tcase_create("v4"), *v6 = tcase_create("v6");
    Suite   *suite = suite_create("port_owner");
    SRunner *runner;
    int      failed;

    tcase_add_checked_fixture(v4, setup_v4, teardown);
    tcase_add_test(v4, a_listener_is_the_groups_or_a_strangers);
    tcase_add_test(v4, our_own_connections_are_not_foreign);
    tcase_add_test(v4, a_connection_of_another_process_is_foreign_until_it_is_closed);
    tcase_add_test(v4, a_picked_port_is_free_and_below_those_of_outgoing_connections);
    suite_add_tcase(suite, v4);
    if (access("/proc/net/if_inet6", F_OK) == 0) {
        tcase_add_checked_fixture(v6, setup_v6, teardown);
        tcase_add_test(v6, a_listener_is_the_groups_or_a_strangers);
        tcase_add_test(v6, our_own_connections_are_not_foreign);
        tcase_add_test(v6, a_connection_of_another_process_is_foreign_until_it_is_closed);
        suite_add_tcase(suite, v6);
    }
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
