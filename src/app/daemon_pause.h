/* daemon_pause - let new requests wait while Chroma is restarted or upgraded, for a time at most
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_PAUSE_H
#define APP_DAEMON_PAUSE_H

#include "app/daemon_state.h"

/* Pause for pause.max at most; anew if there is a pause already. Logged.
 * STATUS_SHUTTING_DOWN  it drains.
 * STATUS_NO_MEMORY      nothing has happened. */
MUST_CHECK enum status daemon_pause(struct daemon *daemon, struct error *error);

/* End the pause, if there is one. What was known of the backend is void if somebody may have put
 * another one into its place meanwhile. */
void daemon_pause_end(struct daemon *daemon, const char *reason, bool may_be_another);

#endif
