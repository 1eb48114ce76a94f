/* export_command - `chromabouncer export NAME > records.jsonl`: the copy that the running proxy has
 * of a collection */
#ifndef CLI_EXPORT_COMMAND_H
#define CLI_EXPORT_COMMAND_H

#include "cli/options.h"

/* Has the running proxy write it to a file, and gives that to standard output. Returns the exit
 * status; without a complete copy nothing is written. */
int export_command(const struct options *options);

#endif
