#include "cli/export_command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/control_client.h"
#include "cli/import_command.h"

/* Between two looks whether the file is whole. */
static const struct timespec look_between = {.tv_nsec = 20000000};

static int wait_for_file(const char *path, json_t *answer);
static int pass_file_on(const char *file);

int export_command(const struct options *options)
{
    const char  *name = options->word_count > 1 ? options->words[1] : "";
    char         path[SETTINGS_SOURCES_PATH_SIZE], line[1024];
    struct bytes parts[3];
    struct error error;
    json_t      *answer;
    int          exit_status;

    if (!import_command_split(bytes_of(name), parts) || strpbrk(name, " \t\r\n") != NULL ||
        snprintf(line, sizeof line, "mirror export %s", name) >= (int)sizeof line)
        return cli_fail(EX_USAGE, "write export NAME, or export TENANT/DATABASE/NAME");
    exit_status = control_client_path(options, path);
    if (exit_status != EX_OK)
        return exit_status;
    exit_status = control_client_ask(path, line, &answer, &error);
    if (exit_status != EX_OK)
        return cli_fail(exit_status, "%s", error.text);
    return wait_for_file(path, answer);
}

/* `answer` is given. */
static int wait_for_file(const char *path, json_t *answer)
{
    struct error error;
    const char  *state;
    int          exit_status = EX_OK;

    for (;;) {
        state = json_string_value(json_object_get(answer, "state"));
        if (exit_status != EX_OK || state == NULL || strcmp(state, "writing") != 0)
            break;
        nanosleep(&look_between, NULL);
        json_decref(answer);
        exit_status = control_client_ask(path, "mirror exported", &answer, &error);
        if (exit_status != EX_OK)
            return cli_fail(exit_status, "%s", error.text);
    }
    if (state != NULL && strcmp(state, "done") == 0)
        exit_status = pass_file_on(json_string_value(json_object_get(answer, "file")));
    else
        exit_status = cli_fail(EX_UNAVAILABLE, "the copy was not written: %s",
                               json_string_value(json_object_get(answer, "reason")));
    json_decref(answer);
    return exit_status;
}

static int pass_file_on(const char *file)
{
    char    part[1 << 16];
    ssize_t size;
    int     fd = file == NULL ? -1 : open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return cli_fail(EX_OSERR, "%s cannot be read: %s", file == NULL ? "the file" : file,
                        strerror(errno));
    unlink(file);
    while ((size = read(fd, part, sizeof part)) > 0)
        if (fwrite(part, 1, (size_t)size, stdout) != (size_t)size)
            break;
    close(fd);
    if (size < 0)
        return cli_fail(EX_OSERR, "%s cannot be read: %s", file, strerror(errno));
    return cli_finish();
}
