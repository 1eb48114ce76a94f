/* import_command - `chromabouncer import NAME < records.jsonl`: records into a collection */
#ifndef CLI_IMPORT_COMMAND_H
#define CLI_IMPORT_COMMAND_H

#include "cli/options.h"

/* Upserts what standard input says, through the proxy, in order. Returns the exit status; a line
 * that is no record, or an upsert that is refused, ends it, and says what was written. */
int import_command(const struct options *options);

/* Split TENANT/DATABASE/NAME, or NAME in Chroma's default database, into *ret_parts, tenant first.
 * False: it is neither. */
bool import_command_split(struct bytes name, struct bytes ret_parts[3]);

#endif
