/* daemon_wrap - `chromabouncer wrap`: serve the embedded clients of an application that runs beside
 *
 * The first directory for which a hook asks, or the one that was named, is served: Chroma is
 * started on it from the application's own environment, and the hooks that wait are answered when
 * it is ready, or cannot be. All others are told so. The end comes with the end of the application:
 * of its first process, and of all that it has left behind.
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_WRAP_H
#define APP_DAEMON_WRAP_H

#include "app/daemon_state.h"

struct daemon_wrap; /* opaque */

/* Open the door and the guard at the listeners, and let the application start. On failure `error`
 * says why. */
MUST_CHECK enum status daemon_wrap_start(struct daemon *daemon, struct error *error);

/* Tell the application's starter, if it still waits, that nothing will come of it. */
void daemon_wrap_refuse(const struct daemon *daemon, int exit_status);

/* This process is to end. True, once: it goes on serving, as the application still runs, and ends
 * with it. False: it was told before, or the application has ended. */
MUST_CHECK bool daemon_wrap_outlasts_signal(struct daemon_wrap *wrap);

/* Say at the end what the user should know. The worker pool must be gone. NULL is a no-op. */
void daemon_wrap_free(struct daemon_wrap *wrap);

#endif
