/* daemon_services - the services of the running program: from the settings, and for who looks
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_SERVICES_H
#define APP_DAEMON_SERVICES_H

#include <jansson.h>

#include "app/daemon_state.h"
#include "base/byte_buffer.h"

/* Tell services apart as the settings say.
 * STATUS_NO_MEMORY  it is done as before. */
MUST_CHECK enum status daemon_services_apply(struct daemon *daemon);

/* Set `services` of the answer.
 * STATUS_NO_MEMORY  it is not set. */
MUST_CHECK enum status daemon_services_list(const struct daemon *daemon, json_t *answer);

/* Append a line for the status page, if there are any.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status daemon_services_print(const struct daemon *daemon, struct byte_buffer *out);

#endif
