/* What must hold: a connection of our own user is known to be so over IPv4, IPv6 and unix sockets,
 * with and without sock_diag; one of another user is not. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "child/peer_user.h"
#include "support/check_main.h"

static struct peer_user       *user;
static int                     listener;
static struct sockaddr_storage address;
static socklen_t               address_size;

static void setup(void)
{
    user = peer_user_new();
    ck_assert_ptr_nonnull(user);
}

static void teardown(void)
{
    peer_user_free(user);
}

static bool listen_by(int family)
{
    memset(&address, 0, sizeof address);
    address.ss_family = (sa_family_t)family;
    address_size = sizeof address;
    if (family == AF_INET)
        ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (family == AF_INET6)
        ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
    else
        address_size = sizeof(sa_family_t); /* unix: a name of the kernel's choice */
    listener = socket(family, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, address_size) != 0)
        return false;
    address_size = sizeof address;
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &address_size), 0);
    ck_assert_int_eq(listen(listener, 10), 0);
    return true;
}

static int connect_to_it(void)
{
    int fd = socket(address.ss_family, SOCK_STREAM, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, address_size), 0);
    return fd;
}

START_TEST(a_process_of_our_user_is_known)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};

    for (size_t i = 0; i < COUNT_OF(families); i++) {
        int client, fd;

        if (!listen_by(families[i])) {
            ck_assert_int_eq(families[i], AF_INET6); /* some machines have none */
            continue;
        }
        client = connect_to_it();
        fd = accept(listener, NULL, NULL);
        ck_assert(peer_user_is_ours(user, fd));
        close(client);
        close(fd);
        close(listener);
    }
}
END_TEST

/* Whatever descriptor has been closed, the next socket of the process takes its number. */
START_TEST(it_works_without_sock_diag_too)
{
    int lowest = dup(0);
    int client, fd;

    close(lowest);
    peer_user_free(user);
    user = peer_user_new();
    close(lowest); /* its netlink socket */
    ck_assert_int_eq(dup(0), lowest);
    ck_assert(listen_by(AF_INET));
    client = connect_to_it();
    fd = accept(listener, NULL, NULL);
    ck_assert(peer_user_is_ours(user, fd));
    close(client);
}
END_TEST

START_TEST(a_process_of_another_user_is_not_ours)
{
    int   status;
    pid_t child;

    if (geteuid() != 0)
        return; /* only root can be somebody else */
    ck_assert(listen_by(AF_INET));
    child = fork();
    if (child == 0) {
        int fd;

        if (setuid(65534) != 0)
            _exit(1);
        connect_to_it();
        fd = accept(listener, NULL, NULL); /* with the eyes of 65534 it is its own ... */
        _exit(peer_user_is_ours(user, fd) ? 0 : 2);
    }
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    child = fork();
    if (child == 0) {
        if (setuid(65534) != 0)
            _exit(1);
        connect_to_it();
        _exit(pause());
    }
    status = accept(listener, NULL, NULL);
    ck_assert(!peer_user_is_ours(user, status)); /* ... with root's it is not */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}
END_TEST

START_TEST(a_peer_that_is_gone_is_nobody)
{
    int client, fd, once;

    ck_assert(listen_by(AF_INET));
    once = connect_to_it();
    fd = accept(listener, NULL, NULL);
    ck_assert(peer_user_is_ours(user, fd)); /* so the kernel answers */
    client = connect_to_it();
    close(once);
    fd = accept(listener, NULL, NULL);
    setsockopt(client, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
               sizeof(struct linger));
    close(client);
    ck_assert(!peer_user_is_ours(user, fd));
    ck_assert(!peer_user_is_ours(user, -1));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("peer_user");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_process_of_our_user_is_known);
    tcase_add_test(tcase, it_works_without_sock_diag_too);
    tcase_add_test(tcase, a_process_of_another_user_is_not_ours);
    tcase_add_test(tcase, a_peer_that_is_gone_is_nobody);
    return check_main("peer_user", tcase);
}
