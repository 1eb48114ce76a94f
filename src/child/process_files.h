/* process_files - the open files of processes, as /proc tells them
 *
 * Only processes whose descriptors this one may see are walked: those of the same user, or all for
 * root. Takes milliseconds: never on the loop. Thread: any.
 */
#ifndef CHILD_PROCESS_FILES_H
#define CHILD_PROCESS_FILES_H

#include <stdbool.h>
#include <sys/types.h>

/* One open descriptor; `link` is what it is: a path, "socket:[123]". True: that is enough. */
typedef bool (*process_files_fn)(pid_t process, int fd, const char *link, void *ctx);

/* Walk all processes of `group`, or with 0 all processes but this one. True when on_file said so.
 */
bool process_files_walk(pid_t group, process_files_fn on_file, void *ctx);

/* Walk the files of this process. */
bool process_files_walk_own(process_files_fn on_file, void *ctx);

#endif
