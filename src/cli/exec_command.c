#include "cli/exec_command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "app/daemon.h"
#include "child/chroma_command.h"
#include "child/port_owner.h"
#include "child/private_folder.h"
#include "cli/child_values.h"
#include "cli/cli.h"

static int make_command(const struct options *options, uint16_t port, const char *folder,
                        struct chroma_command *ret);
static int run_behind(struct options *options, const struct chroma_command *command, uint16_t port);

int exec_command(const struct options *options)
{
    struct options        with_values = *options;
    struct chroma_command command = {.arguments = NULL};
    struct private_folder folder;
    uint16_t              port = port_owner_pick();
    struct error          error;
    int                   exit_status;

    if (options->word_count < 2)
        return cli_fail(EX_USAGE, "say what to run: chromabouncer exec -- chroma run --path DIR");
    if (port == 0)
        return cli_fail(EX_OSERR, "there is no free port on 127.0.0.1");
    if (private_folder_make(&folder, &error) != STATUS_OK)
        return cli_fail_error(&error);
    exit_status = make_command(options, port, folder.path, &command);
    if (exit_status == EX_OK)
        exit_status = run_behind(&with_values, &command, port);
    chroma_command_done(&command);
    private_folder_remove(&folder);
    return exit_status;
}

static int make_command(const struct options *options, uint16_t port, const char *folder,
                        struct chroma_command *ret)
{
    char         config[PRIVATE_FOLDER_PATH_SIZE + 16];
    struct error error;
    enum status  status;

    snprintf(config, sizeof config, "%s/chroma.yaml", folder);
    status =
        chroma_command_make(options->word_count - 1, options->words + 1, port, config, ret, &error);
    if (status == STATUS_OK)
        return EX_OK;
    return status == STATUS_INVALID ? cli_fail(EX_USAGE, "%s", error.text) : cli_fail_error(&error);
}

static int run_behind(struct options *options, const struct chroma_command *command, uint16_t port)
{
    static struct settings settings;
    struct child_values    values = {.listen = {.kind = ADDRESS_TCP, .port = command->port}};
    struct machine         machine;
    struct daemon_plan     plan = {
            .arguments = command->arguments, .directory = command->directory, .port = port};
    struct error error;
    int          exit_status;

    machine_read("", &machine);
    snprintf(values.listen.host, sizeof values.listen.host, "%s", command->host);
    if (child_values_set(&values, &options->sources, &machine, port, &error) != STATUS_OK)
        return cli_fail_error(&error);
    exit_status = cli_load(options, &settings, &machine);
    if (exit_status != EX_OK)
        return exit_status;
    return daemon_run_plan(&options->sources, &machine, &settings, &plan);
}
