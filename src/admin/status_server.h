/* status_server - /livez, /readyz, /startupz, /metrics and / for operators and machines
 *
 * Read-only: GET and HEAD. It is the handler of a front of its own; what it says comes from the
 * functions that the application gives.
 *
 * Thread: event loop only.
 */
#ifndef ADMIN_STATUS_SERVER_H
#define ADMIN_STATUS_SERVER_H

#include <stdbool.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"
#include "front/front_connection.h"

/* Where the answers come from; `ctx` is given to each. */
struct status_server_source {
    void *ctx;

    /* Is it accepting work; with `strict`, does the backend work too? Appends to `why` a line for
     * each part that was looked at. */
    bool (*is_ready)(void *ctx, bool strict, struct byte_buffer *why);

    /* Append the metrics in the Prometheus text format. */
    enum status (*print_metrics)(void *ctx, struct byte_buffer *out);

    /* Append the page at /, plain text. */
    enum status (*print_page)(void *ctx, struct byte_buffer *out);
};

/* For front_new(); its context is a struct status_server_source, borrowed. */
extern const struct front_handler status_server_handler;

#endif
