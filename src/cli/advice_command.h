/* advice_command - `chromabouncer advice`: what applications could do better, in sentences */
#ifndef CLI_ADVICE_COMMAND_H
#define CLI_ADVICE_COMMAND_H

#include "cli/options.h"

/* Returns the exit status. */
int advice_command(const struct options *options);

#endif
