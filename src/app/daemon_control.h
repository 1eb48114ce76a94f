/* daemon_control - what the running program answers on the control socket
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_CONTROL_H
#define APP_DAEMON_CONTROL_H

#include "app/daemon_state.h"

/* Listen where control.path says. Where `auto` finds a place that cannot be used, that is logged
 * and there is no control socket.
 * Outcomes of control_server_new(). */
MUST_CHECK enum status daemon_control_start(struct daemon *daemon, struct error *error);

#endif
