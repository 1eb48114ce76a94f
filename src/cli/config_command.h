/* config_command - `chromabouncer config init | check FILE | show` */
#ifndef CLI_CONFIG_COMMAND_H
#define CLI_CONFIG_COMMAND_H

#include "cli/options.h"

/* Returns the exit status. */
int config_command(const struct options *options);

#endif
