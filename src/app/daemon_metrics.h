/* daemon_metrics - what the status server says: readiness, metrics, the page at /
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_METRICS_H
#define APP_DAEMON_METRICS_H

#include "app/daemon_state.h"

/* The functions behind the status server, for `daemon` (borrowed). */
struct status_server_source daemon_metrics_source(struct daemon *daemon);

#endif
