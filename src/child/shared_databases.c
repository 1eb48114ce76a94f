#include "child/shared_databases.h"

#include <stdbool.h>
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

/* The files of a process come together. */
static bool on_open_file(pid_t process, int fd, const char *link, void *ctx)
{
    struct shared_search   *search = ctx;
    struct stat             status;
    struct shared_database *database;
    size_t                  at = 0;

    if (!process_files_stat(process, fd, link, database_file, &status))
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
        text_quote((struct bytes){.data = link, .size = strlen(link) - strlen(database_file)},
                   database->directory, sizeof database->directory);
    } else if (search->last_process[at] == process) {
        return false;
    }
    search->last_process[at] = process;
    if (database->process_count < SHARED_DATABASES_PROCESSES_MAX)
        database->processes[database->process_count] = process;
    database->process_count++;
    return false;
}
