/* front_addresses - how many connections each client address has
 *
 * An address is an IP address without the port; clients of unix sockets have none and are not
 * counted. Memory: an entry for each address that has a connection.
 */
#ifndef FRONT_FRONT_ADDRESSES_H
#define FRONT_FRONT_ADDRESSES_H

#include <stddef.h>

#include "io/socket.h"

struct front_addresses; /* opaque */

/* NULL when out of memory. */
struct front_addresses *front_addresses_new(void);

/* NULL is a no-op. */
void front_addresses_free(struct front_addresses *addresses);

/* How many connections the address of `peer` has. */
size_t front_addresses_count(const struct front_addresses *addresses,
                             const struct socket_address  *peer);

/* It has one more. Without memory it is not counted. */
void front_addresses_add(struct front_addresses *addresses, const struct socket_address *peer);

/* It has one less; no-op where none is counted. */
void front_addresses_remove(struct front_addresses *addresses, const struct socket_address *peer);

#endif
