/* daemon_auth - the keys of the running program: from their file, and for who looks
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_AUTH_H
#define APP_DAEMON_AUTH_H

#include <jansson.h>

#include "app/daemon_state.h"
#include "base/byte_buffer.h"

/* Read the files of keys and credential anew, and go by them and by the settings from now on. On
 * failure all of it stays as it was. The loop waits meanwhile: some 0.1 s for 100 000 keys.
 * Outcomes as keys_file_each(). */
MUST_CHECK enum status daemon_auth_apply(struct daemon *daemon, struct error *error);

/* Could the backend's credential be read? Outcomes as daemon_auth_apply(). */
MUST_CHECK enum status daemon_auth_check_credential(const char *path, struct error *error);

/* Set `keys`, the most used first, and `refused` of the answer. STATUS_NO_MEMORY  not all is set.
 */
MUST_CHECK enum status daemon_auth_list(const struct daemon *daemon, json_t *answer);

/* Append a line for the status page, if keys are known.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status daemon_auth_print(const struct daemon *daemon, struct byte_buffer *out);

#endif
