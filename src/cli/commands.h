/* commands - what people type: a table of commands */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

/* Run the command line; returns the exit status. */
int commands_main(int argc, char **argv);

#endif
