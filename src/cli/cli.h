/* cli - what the commands have in common: complaints, exit statuses, the settings
 *
 * Output that was asked for goes to standard output, everything else to standard error. Exit
 * statuses are those of sysexits.h; chromabouncer(1) says which means what.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "cli/options.h"

/* Complain on standard error: "chromabouncer: " and the text. Returns `exit_status`. */
int cli_fail(int exit_status, const char *format, ...) PRINTF_LIKE(2, 3);

/* The same for an error of settings or the system, with its exit status. */
int cli_fail_error(const struct error *error);

/* What was asked for is on standard output now: 0, or the exit status after a complaint, since a
 * full disk must not look like success. */
MUST_CHECK int cli_finish(void);

/* Load, check and resolve the settings. Returns 0, or the exit status after a complaint. */
MUST_CHECK int cli_load(const struct options *options, struct settings *ret_settings,
                        struct machine *ret_machine);

#endif
