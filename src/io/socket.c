#include "io/socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { backlog = 4096 };

static_assert(sizeof(struct sockaddr_un) <= sizeof((struct socket_address){0}.storage),
              "every address fits");

static enum status accept_error(int number);
static void        remove_stale_socket(const struct socket_address *address);
static void        set_no_delay(int fd, sa_family_t family);
static void        set_keep_alive(int fd, sa_family_t family);

static sa_family_t family_of(const struct socket_address *address)
{
    sa_family_t family;

    memcpy(&family, address->storage + offsetof(struct sockaddr, sa_family), sizeof family);
    return family;
}

static const struct sockaddr *sockaddr_of(const struct socket_address *address)
{
    return (const struct sockaddr *)(const void *)address->storage;
}

bool socket_address_from_literal(const char *host, uint16_t port, struct socket_address *ret)
{
    struct sockaddr_in  v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(ret->storage, &v4, sizeof v4);
        ret->size = sizeof v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(ret->storage, &v6, sizeof v6);
        ret->size = sizeof v6;
        return true;
    }
    return false;
}

bool socket_address_from_path(const char *path, struct socket_address *ret)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof un.sun_path)
        return false;
    memcpy(un.sun_path, path, strlen(path) + 1);
    memcpy(ret->storage, &un, sizeof un);
    ret->size = sizeof un;
    return true;
}

void socket_address_format(const struct socket_address *address, char text[SOCKET_ADDRESS_TEXT_MAX])
{
    char                host[INET6_ADDRSTRLEN] = "?";
    struct sockaddr_in  v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un  un;

    switch (family_of(address)) {
    case AF_INET:
        memcpy(&v4, address->storage, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        snprintf(text, SOCKET_ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v4.sin_port));
        break;
    case AF_INET6:
        memcpy(&v6, address->storage, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        snprintf(text, SOCKET_ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(v6.sin6_port));
        break;
    default:
        memcpy(&un, address->storage, sizeof un);
        snprintf(text, SOCKET_ADDRESS_TEXT_MAX, "unix:%.*s",
                 address->size > offsetof(struct sockaddr_un, sun_path)
                     ? (int)(address->size - offsetof(struct sockaddr_un, sun_path))
                     : 0,
                 un.sun_path);
    }
}

void socket_address_format_host(const struct socket_address *address,
                                char                         text[SOCKET_ADDRESS_TEXT_MAX])
{
    struct sockaddr_in  v4;
    struct sockaddr_in6 v6;

    switch (family_of(address)) {
    case AF_INET:
        memcpy(&v4, address->storage, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, text, SOCKET_ADDRESS_TEXT_MAX);
        break;
    case AF_INET6:
        memcpy(&v6, address->storage, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, text, SOCKET_ADDRESS_TEXT_MAX);
        break;
    default:
        snprintf(text, SOCKET_ADDRESS_TEXT_MAX, "unix:");
    }
}

struct bytes socket_address_host(const struct socket_address *address)
{
    const char *storage = (const char *)address->storage;

    if (address->size == sizeof(struct sockaddr_in) && family_of(address) == AF_INET)
        return (struct bytes){.data = storage + offsetof(struct sockaddr_in, sin_addr),
                              .size = sizeof(struct in_addr)};
    if (address->size == sizeof(struct sockaddr_in6) && family_of(address) == AF_INET6)
        return (struct bytes){.data = storage + offsetof(struct sockaddr_in6, sin6_addr),
                              .size = sizeof(struct in6_addr)};
    return (struct bytes){0};
}

enum status socket_listen(const struct socket_address *address, int *ret_fd,
                          struct socket_address *ret_bound, struct error *error)
{
    sa_family_t family = family_of(address);
    socklen_t   size = sizeof ret_bound->storage;
    char        text[SOCKET_ADDRESS_TEXT_MAX];
    int         on = 1, failure;
    int         fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (family == AF_UNIX)
        remove_stale_socket(address);
    if (fd >= 0 && family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (fd < 0 || bind(fd, sockaddr_of(address), address->size) != 0 || listen(fd, backlog) != 0 ||
        getsockname(fd, (struct sockaddr *)(void *)ret_bound->storage, &size) != 0) {
        failure = errno;
        if (fd >= 0)
            close(fd);
        socket_address_format(address, text);
        return error_set(error, failure == EACCES ? STATUS_NOT_PERMITTED : STATUS_IO_FAILED,
                         "cannot listen on %s: %s", text, strerror(failure));
    }
    ret_bound->size = size;
    *ret_fd = fd;
    return STATUS_OK;
}

/* A socket file outlives its server; bind() would refuse it. Only a file to which nobody answers
 * is removed, never one in use and never another kind of file. */
static void remove_stale_socket(const struct socket_address *address)
{
    struct sockaddr_un un;
    struct stat        found;
    int                fd;

    memcpy(&un, address->storage, sizeof un);
    if (lstat(un.sun_path, &found) != 0 || !S_ISSOCK(found.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, sockaddr_of(address), address->size) != 0 && errno == ECONNREFUSED)
        unlink(un.sun_path);
    close(fd);
}

enum status socket_accept(int listen_fd, int *ret_fd, struct socket_address *ret_peer)
{
    struct socket_address peer = {.size = 0};
    socklen_t             size = sizeof peer.storage;
    int                   fd;

    do {
        fd = accept4(listen_fd, (struct sockaddr *)(void *)peer.storage, &size,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0)
        return accept_error(errno);
    peer.size = size;
    set_no_delay(fd, family_of(&peer));
    if (ret_peer != NULL)
        *ret_peer = peer;
    *ret_fd = fd;
    return STATUS_OK;
}

static enum status accept_error(int number)
{
    switch (number) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return STATUS_LIMIT_REACHED;
    default:
        return STATUS_AGAIN;
    }
}

/* Answers are written whole: waiting for more bytes to fill a packet would only add latency. */
static void set_no_delay(int fd, sa_family_t family)
{
    int on = 1;

    if (family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A peer whose machine is gone says nothing more, and what waits for it would wait for ever: asked
 * after a minute, it is given up two minutes after its last word. The system of one that only hangs
 * answers for it. (TCP_USER_TIMEOUT would also give up who does not read.) */
static void set_keep_alive(int fd, sa_family_t family)
{
    int on = 1, idle_s = 60, interval_s = 10, probes = 6;

    if (family == AF_UNIX)
        return;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

bool socket_peer_uid(int fd, uint32_t *ret_uid)
{
    struct ucred peer;
    socklen_t    size = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid == 0)
        return false;
    *ret_uid = peer.uid;
    return true;
}

enum status socket_connect(const struct socket_address *address, int *ret_fd)
{
    sa_family_t family = family_of(address);
    int         fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return STATUS_LIMIT_REACHED;
    set_no_delay(fd, family);
    set_keep_alive(fd, family);
    if (connect(fd, sockaddr_of(address), address->size) == 0) {
        *ret_fd = fd;
        return STATUS_OK;
    }
    if (errno == EINPROGRESS || errno == EINTR) {
        *ret_fd = fd;
        return STATUS_AGAIN;
    }
    close(fd);
    return STATUS_RESET;
}

enum status socket_connect_result(int fd)
{
    int       number = 0;
    socklen_t size = sizeof number;

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        return STATUS_RESET;
    if (number == EINPROGRESS)
        return STATUS_AGAIN;
    return number == 0 ? STATUS_OK : STATUS_RESET;
}

enum status socket_recv(int fd, char *data, size_t size, size_t *ret_size)
{
    ssize_t count;

    do {
        count = recv(fd, data, size, 0);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        *ret_size = (size_t)count;
        return STATUS_OK;
    }
    if (count == 0)
        return STATUS_CLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK ? STATUS_AGAIN : STATUS_RESET;
}

enum status socket_send(int fd, const struct bytes *parts, size_t count, size_t *ret_size)
{
    struct iovec  iov[SOCKET_SEND_PARTS_MAX];
    struct msghdr message = {.msg_iov = iov};
    ssize_t       sent;

    if (count > SOCKET_SEND_PARTS_MAX)
        count = SOCKET_SEND_PARTS_MAX;
    for (size_t i = 0; i < count; i++)
        iov[i] =
            (struct iovec){.iov_base = (void *)(uintptr_t)parts[i].data, .iov_len = parts[i].size};
    message.msg_iovlen = count;
    do {
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent > 0) {
        *ret_size = (size_t)sent;
        return STATUS_OK;
    }
    return sent == 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? STATUS_AGAIN
                                                                                    : STATUS_RESET;
}

enum status socket_peek(int fd)
{
    char    byte;
    ssize_t count;

    do {
        count = recv(fd, &byte, 1, MSG_PEEK);
    } while (count < 0 && errno == EINTR);
    if (count > 0)
        return STATUS_OK;
    if (count == 0)
        return STATUS_CLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK ? STATUS_AGAIN : STATUS_RESET;
}

enum status socket_probe(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

    if (poll(&poll_fd, 1, 0) <= 0)
        return STATUS_AGAIN;
    if (poll_fd.revents & (POLLERR | POLLHUP))
        return STATUS_RESET;
    return poll_fd.revents & POLLRDHUP ? STATUS_CLOSED : STATUS_AGAIN;
}

size_t socket_unsent(int fd)
{
    int bytes = 0;

    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? (size_t)bytes : 0;
}

void socket_shutdown_send(int fd)
{
    shutdown(fd, SHUT_WR);
}

void socket_close(int fd)
{
    close(fd);
}

void socket_reset(int fd)
{
    struct linger at_once = {.l_onoff = 1};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

int socket_reserve(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}
