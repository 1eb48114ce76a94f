/* peer_user - does the other end of a connection belong to our own user?
 *
 * A unix socket says so itself. Of a TCP connection on this machine the kernel is asked by
 * sock_diag for the socket at the other end, which takes microseconds; where it does not know that
 * (no inet_diag), /proc/net/tcp is read, which takes longer. Whoever cannot be found is not ours,
 * nor is anybody on another machine.
 *
 * Thread: one.
 */
#ifndef CHILD_PEER_USER_H
#define CHILD_PEER_USER_H

#include <stdbool.h>

struct peer_user; /* opaque */

/* NULL when out of memory or descriptors. */
struct peer_user *peer_user_new(void);

/* NULL is a no-op. */
void peer_user_free(struct peer_user *user);

/* Is the peer of the connected socket `fd` a process of the user that this one acts for? */
bool peer_user_is_ours(struct peer_user *user, int fd);

#endif
