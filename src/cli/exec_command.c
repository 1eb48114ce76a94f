#include "cli/exec_command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "app/daemon.h"
#include "child/chroma_command.h"
#include "child/port_owner.h"
#include "child/private_folder.h"
#include "cli/cli.h"

/* What is set for the operator, as if it stood on the command line; borrowed by the sources. */
struct exec_values {
    char backend[48], listen[ADDRESS_TEXT_SIZE], memory[32];
};

static int         make_command(const struct options *options, uint16_t port, const char *folder,
                                struct chroma_command *ret);
static enum status set_values(struct settings_sources *sources, const struct machine *machine,
                              const struct chroma_command *command, uint16_t port,
                              struct exec_values *values, struct error *error);
static int run_behind(struct options *options, const struct chroma_command *command, uint16_t port);

int exec_command(const struct options *options)
{
    struct options        with_values = *options;
    struct chroma_command command = {.arguments = NULL};
    char                  folder[PRIVATE_FOLDER_SIZE];
    uint16_t              port = port_owner_pick();
    struct error          error;
    int                   exit_status;

    if (options->word_count < 2)
        return cli_fail(EX_USAGE, "say what to run: chromabouncer exec -- chroma run --path DIR");
    if (port == 0)
        return cli_fail(EX_OSERR, "there is no free port on 127.0.0.1");
    if (private_folder_make(folder, &error) != STATUS_OK)
        return cli_fail_error(&error);
    exit_status = make_command(options, port, folder, &command);
    if (exit_status == EX_OK)
        exit_status = run_behind(&with_values, &command, port);
    chroma_command_done(&command);
    private_folder_remove(folder);
    return exit_status;
}

static int make_command(const struct options *options, uint16_t port, const char *folder,
                        struct chroma_command *ret)
{
    char         config[PRIVATE_FOLDER_SIZE + 16];
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
    struct exec_values     values;
    struct machine         machine;
    struct daemon_plan     plan = {
            .arguments = command->arguments, .directory = command->directory, .port = port};
    struct error error;
    int          exit_status;

    machine_read("", &machine);
    if (set_values(&options->sources, &machine, command, port, &values, &error) != STATUS_OK)
        return cli_fail_error(&error);
    exit_status = cli_load(options, &settings, &machine);
    if (exit_status != EX_OK)
        return exit_status;
    return daemon_run_plan(&options->sources, &machine, &settings, &plan);
}

/* What nobody has set follows from the command: where clients look for Chroma, that there is no
 * other way to it, and that most of the memory is Chroma's. A reload sees the same values. */
static enum status set_values(struct settings_sources *sources, const struct machine *machine,
                              const struct chroma_command *command, uint16_t port,
                              struct exec_values *values, struct error *error)
{
    static struct settings settings;
    struct address         listen = {.kind = ADDRESS_TCP, .port = command->port};
    enum status            status = settings_sources_load(sources, &settings, error);

    if (status != STATUS_OK)
        return status;
    if (settings.origins[SETTINGS_ID_backend_url].source != SETTINGS_DEFAULT)
        return error_set(error, STATUS_INVALID,
                         "backend.url is set, but exec runs the backend itself; leave it out");
    snprintf(values->backend, sizeof values->backend, "http://%s:%u", CHROMA_COMMAND_HOST, port);
    status = settings_sources_assign(sources, BYTES_LITERAL("backend.url"), values->backend, error);
    if (status == STATUS_OK && settings.origins[SETTINGS_ID_role].source == SETTINGS_DEFAULT)
        status = settings_sources_assign(sources, BYTES_LITERAL("role"), "gateway", error);
    if (status == STATUS_OK &&
        settings.origins[SETTINGS_ID_listen_address].source == SETTINGS_DEFAULT) {
        snprintf(listen.host, sizeof listen.host, "%s", command->host);
        address_format(&listen, values->listen, sizeof values->listen);
        status = settings_sources_assign(sources, BYTES_LITERAL("listen.address"), values->listen,
                                         error);
    }
    if (status == STATUS_OK &&
        settings.origins[SETTINGS_ID_memory_max].source == SETTINGS_DEFAULT) {
        uint64_t bytes = machine->memory_bytes / 8, most = 256 << 20;
        uint64_t least = settings.body_max_bytes == 0 ? 40 << 20 : settings.body_max_bytes;

        bytes = bytes > most ? most : bytes;
        bytes = bytes < least ? least : bytes; /* it must hold one body */
        snprintf(values->memory, sizeof values->memory, "%lluB", (unsigned long long)bytes);
        status =
            settings_sources_assign(sources, BYTES_LITERAL("memory_max"), values->memory, error);
    }
    return status;
}
