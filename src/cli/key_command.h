/* key_command - `chromabouncer key add | list | revoke`: the file of API keys */
#ifndef CLI_KEY_COMMAND_H
#define CLI_KEY_COMMAND_H

#include "cli/options.h"

/* Returns an exit status. */
int key_command(const struct options *options);

/* For --help: how scopes are written. */
void key_command_print_scopes(void);

#endif
