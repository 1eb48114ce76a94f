/* port_owner - whose is a listening port on this machine, and who else is connected to it?
 *
 * A server that finds its port taken may say so and end with status 0, and whoever has the port
 * would then be taken for it: so the listening socket is looked for among the descriptors of the
 * server's processes. And a server that only we are to talk to has other peers when somebody
 * connects to it past us.
 *
 * Reads /proc/net/tcp and /proc/PID/fd, which takes milliseconds: never on the loop. Thread: any.
 */
#ifndef CHILD_PORT_OWNER_H
#define CHILD_PORT_OWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum port_owner {
    PORT_OWNER_NOBODY,  /* nobody listens */
    PORT_OWNER_GROUP,   /* a process of the group does */
    PORT_OWNER_STRANGER /* somebody else, or it cannot be told */
};

/* Who listens on `port` of 127.0.0.1, by a socket of IPv4 or IPv6? It is connected to; only where
 * that is not refused are the system's tables read. `group` is a process group. */
enum port_owner port_owner_find(uint16_t port, pid_t group);

/* Is a process of this machine that is neither this one nor of `group` connected to `port` on a
 * loopback address? Only what stays connected for the whole look counts. */
bool port_owner_has_foreign_peer(uint16_t port, pid_t group);

/* A loopback port that nobody listens on, below those that the system gives to outgoing
 * connections, so that none of them takes it while the server is started again. 0: none found. */
uint16_t port_owner_pick(void);

#endif
