#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

int cli_fail(int exit_status, const char *format, ...)
{
    va_list args;

    fputs("chromabouncer: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return exit_status;
}

int cli_fail_error(const struct error *error)
{
    return cli_fail(settings_exit_status(error->status), "%s", error->text);
}

int cli_finish(void)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return cli_fail(EX_OSERR, "cannot write to standard output");
    return EX_OK;
}

int cli_load(const struct options *options, struct settings *ret_settings,
             struct machine *ret_machine)
{
    struct error error;

    machine_read("", ret_machine);
    if (settings_sources_load(&options->sources, ret_settings, &error) != STATUS_OK ||
        settings_check(ret_settings, ret_machine, &error) != STATUS_OK)
        return cli_fail_error(&error);
    settings_resolve(ret_settings, ret_machine);
    if (settings_check(ret_settings, ret_machine, &error) != STATUS_OK) /* what auto came to, too */
        return cli_fail_error(&error);
    return EX_OK;
}
