/* daemon_limits - every limit in force and how much of it is in use, for who looks
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_LIMITS_H
#define APP_DAEMON_LIMITS_H

#include <jansson.h>

#include "app/daemon_state.h"

/* Append what was refused, by limit; outcomes as metric_print(). */
MUST_CHECK enum status daemon_limits_print_metrics(const struct daemon *daemon,
                                                   struct byte_buffer  *out);

/* Set `overload`, `reads_adaptive` and `limits` of the answer.
 * STATUS_NO_MEMORY  some are not set. */
MUST_CHECK enum status daemon_limits_list(const struct daemon *daemon, json_t *answer);

#endif
