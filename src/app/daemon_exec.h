/* daemon_exec - `chromabouncer exec`: the program's life is that of the Chroma it runs
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_EXEC_H
#define APP_DAEMON_EXEC_H

#include "app/daemon_state.h"

/* Begin to run daemon->plan; the listeners are open. STATUS_NO_MEMORY: `error` says so. */
MUST_CHECK enum status daemon_exec_start(struct daemon *daemon, struct error *error);

/* How long clients may take to end of drain.timeout: the rest is for Chroma. */
uint64_t daemon_exec_drain_us(const struct daemon *daemon);

#endif
