/* ctl_command - `chromabouncer ctl VERB`: look into the running proxy, and change it */
#ifndef CLI_CTL_COMMAND_H
#define CLI_CTL_COMMAND_H

#include "cli/options.h"

/* Returns the exit status. */
int ctl_command(const struct options *options);

/* Print the verbs, for --help. */
void ctl_command_print_verbs(void);

#endif
