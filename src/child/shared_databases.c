#include "child/shared_databases.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/text.h"
#include "child/process_files.h"

static const char database_file[] = "/chroma.sqlite3";

struct shared_search {
    struct shared_database *databases;
    size_t                  count;
    pid_t                   last_process[SHARED_DATABASES_MAX];
};

static bool on_open_file(pid_t process, int fd, const char *link, void *ctx);

size_t shared_databases_find(struct shared_database *out)
{
    struct shared_search search = {.databases = out};
    size_t               shared = 0;

    process_files_walk(0, on_open_file, &search);
    for (size_t i = 0; i < search.count; i++)
        if (out[i].process_count > 1)
            out[shared++] = out[i];
    return shared;
}

/* The name first: to look at every open file of the machine may wait for a dead server. The files
 * of a process come together. */
static bool on_open_file(pid_t process, int fd, const char *link, void *ctx)
{
    struct shared_search   *search = ctx;
    size_t                  end = sizeof database_file - 1, size = strlen(link);
    char                    path[64];
    struct stat             status;
    struct shared_database *database;
    size_t                  at = 0;

    if (size < end || strcmp(link + size - end, database_file) != 0)
        return false;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    if (stat(path, &status) != 0)
        return false;
    while (at < search->count && (search->databases[at].device != status.st_dev ||
                                  search->databases[at].file != status.st_ino))
        at++;
    if (at == SHARED_DATABASES_MAX)
        return false;
    database = &search->databases[at];
    if (at == search->count) {
        search->count++;
        *database = (struct shared_database){.device = status.st_dev, .file = status.st_ino};
        text_quote((struct bytes){.data = link, .size = size - end}, database->directory,
                   sizeof database->directory);
    } else if (search->last_process[at] == process) {
        return false;
    }
    search->last_process[at] = process;
    if (database->process_count < SHARED_DATABASES_PROCESSES_MAX)
        database->processes[database->process_count] = process;
    database->process_count++;
    return false;
}
