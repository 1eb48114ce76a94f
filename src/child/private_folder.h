/* private_folder - a folder that only our user can read, for the files of one run
 *
 * In $XDG_RUNTIME_DIR, else in $TMPDIR, else in /tmp, or where the caller says. As long as a
 * process that has made it lives, a file in it is locked; what a killed one has left is removed
 * when the next one is made beside it. It stays as long as a process names it in
 * CHROMABOUNCER_WRAP: another user who took its name could else answer that process. Blocks: before
 * the loop runs, or at the end.
 */
#ifndef CHILD_PRIVATE_FOLDER_H
#define CHILD_PRIVATE_FOLDER_H

#include "base/compiler.h"
#include "base/error.h"

enum {
    PRIVATE_FOLDER_SIZE = 80,        /* short enough for the path of a unix socket in it */
    PRIVATE_FOLDER_PATH_SIZE = 1024, /* of one that the caller places */
};

struct private_folder {
    char path[PRIVATE_FOLDER_PATH_SIZE]; /* "": none */
    int  lock;                           /* held by this process, and by its forks that go on */
};

/* Make one, of fewer than PRIVATE_FOLDER_SIZE bytes, and remove those that nobody uses any more.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED  `error` says why; there is none. */
MUST_CHECK enum status private_folder_make(struct private_folder *folder, struct error *error);

/* The same in the folder `place`, which exists. `error` does not name it. */
MUST_CHECK enum status private_folder_make_in(struct private_folder *folder, const char *place,
                                              struct error *error);

/* Remove it and the files in it. No-op when there is none. */
void private_folder_remove(struct private_folder *folder);

#endif
