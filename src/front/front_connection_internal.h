/* front_connection_internal - how connections are made and ended; private to front/ */
#ifndef FRONT_FRONT_CONNECTION_INTERNAL_H
#define FRONT_FRONT_CONNECTION_INTERNAL_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"
#include "front/front_shared.h"
#include "io/socket.h"

/* Make the timeouts that all connections share. False: out of memory. */
MUST_CHECK bool front_connection_share(struct front_shared *shared);

/* Serve `fd` (taken also on failure). A `refusal` is why it is not to be served: it is told so. */
void front_connection_open(struct front_shared *shared, int fd, const struct socket_address *peer,
                           const char *refusal);

/* Close the connection that has been idle for longest, if any has been for long enough. A system
 * call or two, however many there are. */
bool front_connection_reclaim(struct front_shared *shared);

/* Close all at once; handlers are told of their requests with `why`. */
void front_connection_close_all(struct front_shared *shared, enum status why);

#endif
