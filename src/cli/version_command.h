/* version_command - `chromabouncer version`: what the program was built with */
#ifndef CLI_VERSION_COMMAND_H
#define CLI_VERSION_COMMAND_H

#include "cli/options.h"

/* Returns the exit status. */
int version_command(const struct options *options);

/* Only name and version, for --version. */
int version_command_print_name(void);

#endif
