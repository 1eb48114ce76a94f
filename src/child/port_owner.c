#include "child/port_owner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "child/process_files.h"

/* Rows of interest at most; more peers than these are looked at the next time. */
enum { rows_max = 256 };
/* /proc/net/tcp's numbers of states. */
enum { tcp_established = 1, tcp_listen = 10 };
/* Ports to pick from: above those of well-known services, below Linux's default range for outgoing
 * connections (32768). */
enum { pick_first = 20000, pick_count = 12000, picks_max = 200 };

/* Inodes of sockets. */
struct inodes {
    unsigned long items[rows_max];
    size_t        count;
};

struct wanted {
    uint16_t port;
    bool     is_listener; /* else a peer */
};

static bool may_listen(uint16_t port);
static void port_read_table(const char *path, struct wanted wanted, struct inodes *inodes);
static bool read_row(const char *line, struct wanted wanted, unsigned long *ret_inode);
static bool port_is_loopback(const char *address);
static bool has_inode(const struct inodes *inodes, unsigned long inode);
static bool on_group_socket(pid_t process, int fd, const char *link, void *ctx);
static bool on_our_socket(pid_t process, int fd, const char *link, void *ctx);
static bool socket_inode(const char *link, unsigned long *ret_inode);
static void drop_what_is_gone(struct inodes *inodes, const struct inodes *later);
static bool can_bind(uint16_t port);

enum port_owner port_owner_find(uint16_t port, pid_t group)
{
    const struct wanted wanted = {.port = port, .is_listener = true};
    struct inodes       inodes = {.count = 0};

    if (!may_listen(port))
        return PORT_OWNER_NOBODY;
    port_read_table("/proc/net/tcp", wanted, &inodes);
    port_read_table("/proc/net/tcp6", wanted, &inodes);
    if (inodes.count == 0)
        return PORT_OWNER_NOBODY;
    return process_files_walk(group, on_group_socket, &inodes) ? PORT_OWNER_GROUP
                                                               : PORT_OWNER_STRANGER;
}

/* Asked fifty times a second while Chroma starts. For the tables the kernel goes through all places
 * that it has for connections, 7 ms of its time on a machine with 24 GB. */
static bool may_listen(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_usec = 100000}; /* its queue may be full */
    int                  fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool                 is_refused;

    if (fd < 0)
        return true;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    is_refused = connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
                 errno == ECONNREFUSED;
    close(fd);
    return !is_refused;
}

static void port_read_table(const char *path, struct wanted wanted, struct inodes *inodes)
{
    FILE         *table = fopen(path, "re");
    char          line[512];
    unsigned long inode;

    if (table == NULL)
        return;
    while (inodes->count < rows_max && fgets(line, sizeof line, table) != NULL)
        if (read_row(line, wanted, &inode))
            inodes->items[inodes->count++] = inode;
    fclose(table);
}

/*   sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode
 *    0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345
 */
static bool read_row(const char *line, struct wanted wanted, unsigned long *ret_inode)
{
    char     local[40], remote[40];
    unsigned local_port, remote_port, state;

    if (sscanf(line, "%*u: %32[0-9A-F]:%x %32[0-9A-F]:%x %x %*s %*s %*s %*u %*u %lu", local,
               &local_port, remote, &remote_port, &state, ret_inode) != 6)
        return false;
    if (wanted.is_listener)
        return state == tcp_listen && local_port == wanted.port;
    return state == tcp_established && remote_port == wanted.port && port_is_loopback(remote) &&
           *ret_inode != 0;
}

/* 127.0.0.0/8, as it is and mapped into IPv6, and ::1; in the byte order of this machine. */
static bool port_is_loopback(const char *address)
{
    const struct in6_addr one = IN6ADDR_LOOPBACK_INIT;
    const size_t          size = strlen(address);
    union {
        struct in6_addr v6;
        uint32_t        words[4];
    } value;

    if (size != 8 && size != 32)
        return false;
    for (size_t i = 0; i < size / 8; i++) {
        char word[9];

        memcpy(word, address + 8 * i, 8);
        word[8] = '\0';
        value.words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    if (size == 8)
        return ntohl(value.words[0]) >> 24 == 127;
    return memcmp(&value.v6, &one, sizeof one) == 0 ||
           (IN6_IS_ADDR_V4MAPPED(&value.v6) && ntohl(value.words[3]) >> 24 == 127);
}

static bool has_inode(const struct inodes *inodes, unsigned long inode)
{
    for (size_t i = 0; i < inodes->count; i++)
        if (inodes->items[i] == inode)
            return true;
    return false;
}

/* One is enough. */
static bool on_group_socket(pid_t process, int fd, const char *link, void *ctx)
{
    unsigned long inode;

    (void)process;
    (void)fd;
    return socket_inode(link, &inode) && has_inode(ctx, inode);
}

static bool socket_inode(const char *link, unsigned long *ret_inode)
{
    return sscanf(link, "socket:[%lu]", ret_inode) == 1;
}

bool port_owner_has_foreign_peer(uint16_t port, pid_t group)
{
    const struct wanted wanted = {.port = port};
    struct inodes       before = {.count = 0}, after = {.count = 0};

    port_read_table("/proc/net/tcp", wanted, &before);
    port_read_table("/proc/net/tcp6", wanted, &before);
    if (before.count == 0)
        return false;
    process_files_walk_own(on_our_socket, &before);
    if (before.count > 0)
        process_files_walk(group, on_our_socket, &before);
    if (before.count == 0)
        return false;
    port_read_table("/proc/net/tcp", wanted, &after);
    port_read_table("/proc/net/tcp6", wanted, &after);
    drop_what_is_gone(&before, &after);
    return before.count > 0;
}

/* Take what is ours out; enough when nothing is left. */
static bool on_our_socket(pid_t process, int fd, const char *link, void *ctx)
{
    struct inodes *inodes = ctx;
    unsigned long  inode;

    (void)process;
    (void)fd;
    if (!socket_inode(link, &inode))
        return false;
    for (size_t i = 0; i < inodes->count; i++)
        if (inodes->items[i] == inode)
            inodes->items[i--] = inodes->items[--inodes->count];
    return inodes->count == 0;
}

/* A connection of ours that was closed while we looked is in nobody's descriptors. */
static void drop_what_is_gone(struct inodes *inodes, const struct inodes *later)
{
    for (size_t i = 0; i < inodes->count; i++)
        if (!has_inode(later, inodes->items[i]))
            inodes->items[i--] = inodes->items[--inodes->count];
}

uint16_t port_owner_pick(void)
{
    for (int i = 0; i < picks_max; i++) {
        unsigned number;
        uint16_t port;

        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
            return 0;
        port = (uint16_t)(pick_first + number % pick_count);
        if (can_bind(port))
            return port;
    }
    return 0;
}

static bool can_bind(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int  fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free;

    if (fd < 0)
        return false;
    is_free = bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return is_free;
}
