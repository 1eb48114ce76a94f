#include "bench/bench_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

static enum status resolve(struct bench_target *target, struct error *error);
static bool        bench_target_is_loopback(const struct sockaddr_storage *address);

enum status bench_target_init(struct bench_target *target, const char *url, struct error *error)
{
    enum status status;

    *target = (struct bench_target){0};
    status = address_parse_url(bytes_of(url), &target->address, error);
    if (status != STATUS_OK)
        return status;
    address_format_url(&target->address, target->url, sizeof(target->url));
    if (target->address.kind == ADDRESS_TCP)
        return resolve(target, error);
    struct sockaddr_un *address = (struct sockaddr_un *)&target->socket_address;

    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, target->address.path, sizeof(address->sun_path));
    target->socket_address_size = sizeof(*address);
    target->is_loopback = true;
    memcpy(target->host, "localhost", sizeof("localhost"));
    return STATUS_OK;
}

static enum status resolve(struct bench_target *target, struct error *error)
{
    struct addrinfo  hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char             port[8];
    int              code;

    snprintf(port, sizeof(port), "%u", (unsigned)target->address.port);
    code = getaddrinfo(target->address.host, port, &hints, &found);
    if (code != 0)
        return error_set(error, STATUS_NOT_FOUND, "%s: %s", target->url, gai_strerror(code));
    memcpy(&target->socket_address, found->ai_addr, found->ai_addrlen);
    target->socket_address_size = found->ai_addrlen;
    freeaddrinfo(found);
    target->is_loopback = bench_target_is_loopback(&target->socket_address);
    address_format(&target->address, target->host, sizeof(target->host));
    return STATUS_OK;
}

static bool bench_target_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

int bench_target_connect(const struct bench_target *target)
{
    int fd =
        socket(target->socket_address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, saved;

    if (fd < 0)
        return -1;
    if (target->address.kind == ADDRESS_TCP)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, (const struct sockaddr *)&target->socket_address,
                target->socket_address_size) == 0 ||
        errno == EINPROGRESS)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}
