/* exec_command - `chromabouncer exec -- chroma run ...`: a Chroma of our own behind the proxy */
#ifndef CLI_EXEC_COMMAND_H
#define CLI_EXEC_COMMAND_H

#include "cli/options.h"

/* Returns the exit status: as daemon_run_plan(), or of what is wrong on the command line. */
int exec_command(const struct options *options);

#endif
