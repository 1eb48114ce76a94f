/* cli - what the commands have in common: complaints, exit statuses, the settings
 *
 * Output that was asked for goes to standard output, everything else to standard error. Exit
 * statuses are those of sysexits.h: 0 ok, 64 usage, 69 backend unreachable, 70 bug, 71 system,
 * 77 permission, 78 configuration.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/options.h"

/* Complain on standard error: "chromabouncer: " and the text. Returns `exit_status`. */
int cli_fail(int exit_status, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same for an error of settings or the system, with its exit status. */
int cli_fail_error(const struct error *error);

/* Load, check and resolve the settings. Returns 0, or the exit status after a complaint. */
MUST_CHECK int cli_load(const struct options *options, struct settings *ret_settings,
                        struct machine *ret_machine);

#endif
