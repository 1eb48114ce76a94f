/* daemon_breakers - the breakers of the running program, for who looks
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_BREAKERS_H
#define APP_DAEMON_BREAKERS_H

#include <jansson.h>

#include "app/daemon_state.h"
#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"

/* A new array of them; NULL when out of memory. */
json_t *daemon_breakers_list(const struct daemon *daemon);

/* Append their line of the page.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status daemon_breakers_print(const struct daemon *daemon, struct byte_buffer *out);

#endif
