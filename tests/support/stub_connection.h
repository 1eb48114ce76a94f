/* stub_connection - one client of the stub: read a request, let time pass, answer or misbehave */
#ifndef SUPPORT_STUB_CONNECTION_H
#define SUPPORT_STUB_CONNECTION_H

#include "support/stub_server.h"

struct stub_connection; /* opaque */

/* Serve the accepted socket `fd`, which is taken (closed on failure). */
void stub_connection_new(struct stub_server *server, int fd, bool is_control);

/* Close and free whatever the connection is doing. */
void stub_connection_free(struct stub_connection *connection);

/* Close the connections that have waited for a request for `idle_us`. */
void stub_connection_close_idle(struct stub_server *server, uint64_t idle_us);

/* Close those that the client has closed, whether or not the loop has told us yet. */
void stub_connection_sweep_closed(struct stub_server *server);

#endif
