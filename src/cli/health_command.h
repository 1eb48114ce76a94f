/* health_command - `chromabouncer health`: is the proxy, or Chroma itself, ready?
 *
 * For exec probes and HEALTHCHECK lines: one request, one line, exit status 0 or 69.
 */
#ifndef CLI_HEALTH_COMMAND_H
#define CLI_HEALTH_COMMAND_H

#include "cli/options.h"

/* Returns the exit status. */
int health_command(const struct options *options);

#endif
