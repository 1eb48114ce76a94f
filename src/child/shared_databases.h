/* shared_databases - Chroma directories that more than one process has open
 *
 * Chroma takes no lock: processes that are embedded on one directory, or are so beside a server,
 * miss what the others write, and two that write damage its index. Whoever uses a directory has its
 * chroma.sqlite3 open. Processes of other users are seen by root only.
 *
 * Takes milliseconds: never on the loop. Thread: any.
 */
#ifndef CHILD_SHARED_DATABASES_H
#define CHILD_SHARED_DATABASES_H

#include <stddef.h>
#include <sys/types.h>

/* Of all that are open, shared or not, so many are looked at. */
enum { SHARED_DATABASES_MAX = 64, SHARED_DATABASES_PROCESSES_MAX = 8 };

struct shared_database {
    char   directory[256]; /* in quotes, a long one cut */
    dev_t  device;
    ino_t  file;
    pid_t  processes[SHARED_DATABASES_PROCESSES_MAX];
    size_t process_count; /* all of them: above the bound their numbers are not kept */
};

/* Find those open in two processes or more, this one not among them. `out` has room for
 * SHARED_DATABASES_MAX. Returns how many there are. */
size_t shared_databases_find(struct shared_database *out);

#endif
