#include "child/peer_user.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"

struct peer_user {
    int  netlink;     /* -1: none */
    bool has_answers; /* it has named a user before: ENOENT is about the socket, not the module */
};

/* Both ends of a TCP connection, IPv4 as it is. */
struct ends {
    sa_family_t     family;
    struct in6_addr peer, own; /* of IPv4 the first four bytes */
    in_port_t       peer_port, own_port;
};

static bool read_ends(int fd, struct ends *ret);
static bool read_end(const struct sockaddr_storage *storage, struct in6_addr *address,
                     in_port_t *port);
static bool ask_kernel(struct peer_user *user, const struct ends *ends, uid_t *ret_user,
                       bool *ret_knows);
static bool peer_read_table(const struct ends *ends, uid_t *ret_user);
static void format_end(const struct ends *ends, const struct in6_addr *address, in_port_t port,
                       char *out, size_t size);

struct peer_user *peer_user_new(void)
{
    struct peer_user *user = calloc(1, sizeof *user);

    if (user != NULL)
        user->netlink = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    return user;
}

void peer_user_free(struct peer_user *user)
{
    if (user == NULL)
        return;
    if (user->netlink >= 0)
        close(user->netlink);
    free(user);
}

bool peer_user_is_ours(struct peer_user *user, int fd)
{
    struct ucred credentials;
    socklen_t    size = sizeof credentials;
    struct ends  ends;
    uid_t        found;
    bool         knows = false;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 && credentials.pid > 0)
        return credentials.uid == geteuid();
    if (!read_ends(fd, &ends))
        return false;
    if (!ask_kernel(user, &ends, &found, &knows) && (knows || !peer_read_table(&ends, &found)))
        return false;
    return found == geteuid();
}

static bool read_ends(int fd, struct ends *ret)
{
    struct sockaddr_storage peer, own;
    socklen_t               peer_size = sizeof peer, own_size = sizeof own;

    memset(ret, 0, sizeof *ret);
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &own_size) != 0 || peer.ss_family != own.ss_family)
        return false;
    ret->family = peer.ss_family;
    return read_end(&peer, &ret->peer, &ret->peer_port) &&
           read_end(&own, &ret->own, &ret->own_port);
}

static bool read_end(const struct sockaddr_storage *storage, struct in6_addr *address,
                     in_port_t *port)
{
    const struct sockaddr_in  *v4 = (const struct sockaddr_in *)storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)storage;

    if (storage->ss_family == AF_INET) {
        memcpy(address, &v4->sin_addr, sizeof v4->sin_addr);
        *port = v4->sin_port;
        return true;
    }
    if (storage->ss_family == AF_INET6) {
        *address = v6->sin6_addr;
        *port = v6->sin6_port;
        return true;
    }
    return false;
}

/* The peer's socket is the one whose own address is the peer's. *ret_knows: the kernel can be
 * asked, there is no such socket. The answer is there when the question was sent. */
static bool ask_kernel(struct peer_user *user, const struct ends *ends, uid_t *ret_user,
                       bool *ret_knows)
{
    struct {
        struct nlmsghdr         header;
        struct inet_diag_req_v2 request;
    } question = {.header = {.nlmsg_len = sizeof question,
                             .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                             .nlmsg_flags = NLM_F_REQUEST},
                  .request = {.sdiag_family = (uint8_t)ends->family,
                              .sdiag_protocol = IPPROTO_TCP,
                              .idiag_states = ~0u,
                              .id = {.idiag_sport = ends->peer_port,
                                     .idiag_dport = ends->own_port,
                                     .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};
    union {
        struct nlmsghdr header;
        char            bytes[4096];
    } answer;
    ssize_t size;

    memcpy(question.request.id.idiag_src, &ends->peer, sizeof ends->peer);
    memcpy(question.request.id.idiag_dst, &ends->own, sizeof ends->own);
    if (user->netlink < 0 ||
        send(user->netlink, &question, sizeof question, MSG_DONTWAIT) != sizeof question)
        return false;
    size = recv(user->netlink, &answer, sizeof answer, MSG_DONTWAIT);
    if (size < (ssize_t)sizeof answer.header)
        return false;
    if (answer.header.nlmsg_type == SOCK_DIAG_BY_FAMILY &&
        size >= (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg))) {
        *ret_user = ((const struct inet_diag_msg *)NLMSG_DATA(&answer.header))->idiag_uid;
        user->has_answers = true;
        return true;
    }
    if (answer.header.nlmsg_type == NLMSG_ERROR)
        *ret_knows = user->has_answers &&
                     ((const struct nlmsgerr *)NLMSG_DATA(&answer.header))->error == -ENOENT;
    return false;
}

/* Rows as in port_owner.c; addresses there are words in the byte order of this machine. */
static bool peer_read_table(const struct ends *ends, uid_t *ret_user)
{
    FILE *table = fopen(ends->family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6", "re");
    char  line[512], peer[48], own[48], local[48], remote[48];
    bool  found = false;

    if (table == NULL)
        return false;
    format_end(ends, &ends->peer, ends->peer_port, peer, sizeof peer);
    format_end(ends, &ends->own, ends->own_port, own, sizeof own);
    while (!found && fgets(line, sizeof line, table) != NULL)
        found = sscanf(line, "%*u: %47s %47s %*x %*s %*s %*s %u", local, remote, ret_user) == 3 &&
                strcmp(local, peer) == 0 && strcmp(remote, own) == 0;
    fclose(table);
    return found;
}

static void format_end(const struct ends *ends, const struct in6_addr *address, in_port_t port,
                       char *out, size_t size)
{
    uint32_t words[4];
    size_t   count = ends->family == AF_INET ? 1 : 4, used = 0;

    memcpy(words, address, sizeof words);
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(out + used, size - used, "%08X", words[i]);
    snprintf(out + used, size - used, ":%04X", ntohs(port));
}
