/* top_command - `chromabouncer top`: the running proxy on one screen, once a second */
#ifndef CLI_TOP_COMMAND_H
#define CLI_TOP_COMMAND_H

#include "cli/options.h"

/* Returns the exit status. */
int top_command(const struct options *options);

#endif
