/* check_command - `chromabouncer check`: is everything ready to run?
 *
 * One line for each thing looked at, beginning with ok, warn or fail. Nothing is changed and
 * nothing is kept open.
 */
#ifndef CLI_CHECK_COMMAND_H
#define CLI_CHECK_COMMAND_H

#include "cli/options.h"

/* Returns the exit status: 69 when the backend does not answer, else that of the first fail. */
int check_command(const struct options *options);

#endif
