/* daemon_export - `chromabouncer export` seen from the running program
 *
 * One at a time: a file in the folder of the copies' files, which the command reads and removes.
 * What nobody has taken goes with the next one, or with the folder.
 *
 * Private to app/. Thread: event loop only.
 */
#ifndef APP_DAEMON_EXPORT_H
#define APP_DAEMON_EXPORT_H

#include <jansson.h>

#include "app/daemon_state.h"
#include "base/error.h"

/* Begin to write a copy to a file. Adds to `answer` what daemon_export_tell() does.
 * STATUS_AGAIN  one is being written.
 * Others as mirror_export_begin(); `error` says what to do. */
MUST_CHECK enum status daemon_export_begin(struct daemon *daemon, const char *name, json_t *answer,
                                           struct error *error);

/* `file`, `state` (writing, done, failed), `records`, `reason`.
 * STATUS_NOT_FOUND  none was begun. */
MUST_CHECK enum status daemon_export_tell(const struct daemon *daemon, json_t *answer,
                                          struct error *error);

/* After the workers, before the proxy. */
void daemon_export_end(struct daemon *daemon);

#endif
