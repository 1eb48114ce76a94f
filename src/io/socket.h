/* socket - non-blocking sockets: the system calls behind one small seam
 *
 * Everything above speaks to the network through these functions only, so that flow tests can put
 * a simulated network in their place. A descriptor that is given is closed with socket_close().
 */
#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

/* A resolved address: a sockaddr and its length. */
struct socket_address {
    uint32_t size;
    _Alignas(8) unsigned char storage[112]; /* a sockaddr_in, _in6 or _un */
};

enum { SOCKET_ADDRESS_TEXT_MAX = 128 };

/* IPv4 or IPv6 literal. False when `host` is a name. */
bool socket_address_from_literal(const char *host, uint16_t port, struct socket_address *ret);

/* False when the path is too long for a sockaddr_un. */
bool socket_address_from_path(const char *path, struct socket_address *ret);

/* "127.0.0.1:80", "[::1]:80", "unix:/path"; always NUL-terminated. */
void socket_address_format(const struct socket_address *address,
                           char                         text[SOCKET_ADDRESS_TEXT_MAX]);

/* The address without the port: "127.0.0.1", "::1", "unix:". */
void socket_address_format_host(const struct socket_address *address,
                                char                         text[SOCKET_ADDRESS_TEXT_MAX]);

/* The bytes of an IP address, without the port; else empty. Points into `address`. */
struct bytes socket_address_host(const struct socket_address *address);

/* Bind and listen. A stale unix socket file that nobody serves is replaced.
 * STATUS_OK  *ret_fd is given; *ret_bound says the address with the port that was chosen.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED  `error` says why. */
MUST_CHECK enum status socket_listen(const struct socket_address *address, int *ret_fd,
                                     struct socket_address *ret_bound, struct error *error);

/* Take one waiting connection.
 * STATUS_OK             *ret_fd is given; *ret_peer says who (may be NULL).
 * STATUS_AGAIN          none waits.
 * STATUS_LIMIT_REACHED  the process or the system is out of descriptors or memory. */
MUST_CHECK enum status socket_accept(int listen_fd, int *ret_fd, struct socket_address *ret_peer);

/* The user whose process connected to the unix socket behind `fd`. False: it is another kind of
 * socket. */
bool socket_peer_uid(int fd, uint32_t *ret_uid);

/* Begin to connect. A peer that vanishes without a word is noticed after two minutes.
 * STATUS_OK     connected; *ret_fd is given.
 * STATUS_AGAIN  in progress; *ret_fd is given: when it is writable, ask socket_connect_result().
 * STATUS_LIMIT_REACHED  out of descriptors.
 * STATUS_RESET  refused or unreachable. */
MUST_CHECK enum status socket_connect(const struct socket_address *address, int *ret_fd);

/* STATUS_OK connected; STATUS_AGAIN not yet; STATUS_RESET refused or unreachable. */
MUST_CHECK enum status socket_connect_result(int fd);

/* Receive up to `size` bytes.
 * STATUS_OK      *ret_size > 0.
 * STATUS_AGAIN   nothing there.
 * STATUS_CLOSED  the peer will send nothing more.
 * STATUS_RESET   the connection is broken. */
MUST_CHECK enum status socket_recv(int fd, char *data, size_t size, size_t *ret_size);

/* At most this many parts are sent by one call; more may be given. */
enum { SOCKET_SEND_PARTS_MAX = 128 };

/* Send what the socket takes of `parts`, in order.
 * STATUS_OK     *ret_size > 0 bytes were taken, perhaps not all.
 * STATUS_AGAIN  the socket is full.
 * STATUS_RESET  the connection is broken; an answer may still be there to be received. */
MUST_CHECK enum status socket_send(int fd, const struct bytes *parts, size_t count,
                                   size_t *ret_size);

/* Is an idle connection fit for use? STATUS_AGAIN: yes, nothing was received. STATUS_OK: bytes
 * wait that nobody asked for. STATUS_CLOSED, STATUS_RESET: it is gone. */
MUST_CHECK enum status socket_peek(int fd);

/* Is the peer still there, whatever of it is still to be received? STATUS_AGAIN: as far as is
 * known. STATUS_CLOSED: it will send nothing more, but may still receive. STATUS_RESET: it is gone.
 */
MUST_CHECK enum status socket_probe(int fd);

/* How many bytes of what was sent the peer's system has not taken yet, as far as is known. (On a
 * unix socket: the memory of what the peer has not received, which is more than its bytes.) */
size_t socket_unsent(int fd);

/* Send no more (FIN); what was sent still arrives. */
void socket_shutdown_send(int fd);

void socket_close(int fd);

/* Close so that the peer gets an error (RST), not an end; what it has not received may be lost. */
void socket_reset(int fd);

/* A descriptor to hold in reserve for the day on which there is no other; -1 if there is none. */
int socket_reserve(void);

#endif
