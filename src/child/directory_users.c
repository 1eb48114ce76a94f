#include "child/directory_users.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "child/child_process.h"
#include "child/process_files.h"

struct search {
    dev_t                  device; /* the database's */
    ino_t                  file;
    const char            *name; /* its last segment, with the slash: it may be a link */
    pid_t                  group;
    struct directory_user *user;
    bool                   found;
};

static bool   on_file(pid_t process, int fd, const char *link, void *ctx);
static bool   is_leftover(pid_t process);
static long   read_parent(pid_t process);
static void   read_command(pid_t process, char *out, size_t size);
static size_t read_file(pid_t process, const char *name, char *out, size_t size);

bool directory_users_find(const char *directory, pid_t group, struct directory_user *ret)
{
    char          path[4096], *real;
    struct stat   status;
    struct search search = {.group = group, .user = ret};

    if ((size_t)snprintf(path, sizeof path, "%s/chroma.sqlite3", directory) >= sizeof path ||
        stat(path, &status) != 0 || (real = realpath(path, NULL)) == NULL)
        return false;
    search.device = status.st_dev;
    search.file = status.st_ino;
    search.name = strrchr(real, '/');
    process_files_walk(0, on_file, &search);
    free(real);
    return search.found;
}

static bool on_file(pid_t process, int fd, const char *link, void *ctx)
{
    struct search *search = ctx;
    struct stat    status;

    if (!process_files_stat(process, fd, link, search->name, &status) ||
        (search->group != 0 && getpgid(process) == search->group) ||
        status.st_dev != search->device || status.st_ino != search->file)
        return false;
    search->found = true;
    search->user->process = process;
    search->user->is_leftover = is_leftover(process);
    read_command(process, search->user->command, sizeof search->user->command);
    return !search->user->is_leftover;
}

/* Whoever started it is in its environment; when that is not its parent any more, it is gone. */
static bool is_leftover(pid_t process)
{
    static const char   name[] = CHILD_PROCESS_VARIABLE "=";
    static const size_t environment_max = 1 << 20;
    char               *text = malloc(environment_max);
    size_t      size = text == NULL ? 0 : read_file(process, "environ", text, environment_max);
    const char *found = NULL;
    bool        leftover = false;

    for (size_t at = 0; at < size && found == NULL; at += strlen(text + at) + 1)
        if (strncmp(text + at, name, strlen(name)) == 0)
            found = text + at + strlen(name);
    if (found != NULL)
        leftover = atol(found) == getpid() || atol(found) != read_parent(process);
    free(text);
    return leftover;
}

/* "PID (NAME) STATE PARENT ...", where NAME may hold anything. */
static long read_parent(pid_t process)
{
    char        text[512];
    const char *end;

    read_file(process, "stat", text, sizeof text);
    end = strrchr(text, ')');
    return end == NULL || strlen(end) < 4 ? 0 : atol(end + 4);
}

static void read_command(pid_t process, char *out, size_t size)
{
    char   text[256];
    size_t length = read_file(process, "cmdline", text, sizeof text);

    while (length > 0 && text[length - 1] == '\0')
        length--;
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0')
            text[i] = ' ';
    text_quote((struct bytes){.data = text, .size = length}, out, size);
}

/* Returns how much; a NUL is put behind it. */
static size_t read_file(pid_t process, const char *name, char *out, size_t size)
{
    char   path[64];
    FILE  *file;
    size_t length = 0;

    snprintf(path, sizeof path, "/proc/%d/%s", (int)process, name);
    file = fopen(path, "re");
    if (file != NULL) {
        length = fread(out, 1, size - 1, file);
        fclose(file);
    }
    out[length] = '\0';
    return length;
}
