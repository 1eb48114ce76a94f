/* private_folder - a folder that only our user can read, for the files of one run
 *
 * In $XDG_RUNTIME_DIR, else in $TMPDIR, else in /tmp. Blocks: before the loop runs, or at the end.
 */
#ifndef CHILD_PRIVATE_FOLDER_H
#define CHILD_PRIVATE_FOLDER_H

#include "base/compiler.h"
#include "base/error.h"

/* Short enough for the path of a unix socket in it. */
enum { PRIVATE_FOLDER_SIZE = 80 };

/* Make one. `path` has PRIVATE_FOLDER_SIZE bytes.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED  `error` says why. */
MUST_CHECK enum status private_folder_make(char *path, struct error *error);

/* Remove it and the files in it. "" is a no-op. */
void private_folder_remove(const char *path);

#endif
