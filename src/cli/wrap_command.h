/* wrap_command - `chromabouncer wrap -- COMMAND`: embedded clients of a command get a server
 *
 * This process becomes COMMAND: its terminal, its signals, its exit status and its process id are
 * COMMAND's own. The proxy is a process beside it, in a session of its own, which ends with it.
 */
#ifndef CLI_WRAP_COMMAND_H
#define CLI_WRAP_COMMAND_H

/* Returns only when COMMAND could not be run: 127 when it does not exist, 126 when it cannot be
 * executed, else as daemon_run_plan(). `argv[0]` is the word `wrap`. */
int wrap_command(int argc, char **argv);

#endif
