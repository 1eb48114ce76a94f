/* process_files - the open files of processes, as /proc tells them
 *
 * Only processes whose descriptors this one may see are walked: those of the same user, or all for
 * root. Takes milliseconds: never on the loop. Thread: any.
 */
#ifndef CHILD_PROCESS_FILES_H
#define CHILD_PROCESS_FILES_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/compiler.h"

/* One open descriptor; `link` is what it is: a path, "socket:[123]". True: that is enough. */
typedef bool (*process_files_fn)(pid_t process, int fd, const char *link, void *ctx);

/* Walk all processes of `group`, or with 0 all processes but this one. True when on_file said so.
 */
bool process_files_walk(pid_t group, process_files_fn on_file, void *ctx);

/* Is it a file whose path ends with `end`? Then *ret_status is of it. The name is looked at first:
 * to look at every open file of the machine may wait for a dead server of files. */
MUST_CHECK bool process_files_stat(pid_t process, int fd, const char *link, const char *end,
                                   struct stat *ret_status);

/* Walk the files of this process. */
bool process_files_walk_own(process_files_fn on_file, void *ctx);

#endif
