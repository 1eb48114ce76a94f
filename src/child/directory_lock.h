/* directory_lock - of those who would start Chroma on a directory, one does
 *
 * Chroma takes no lock, and has its files open only a moment after its start: two that are started
 * at the same time would both find the directory unused. Whoever starts one here holds the lock
 * until it has ended. It is flock(2) on the directory itself: nothing is written, and it ends with
 * its holder. Programs that know nothing of it are found by directory_users.h.
 *
 * Some system calls, of a file system that may be slow: never on the loop. Thread: any.
 */
#ifndef CHILD_DIRECTORY_LOCK_H
#define CHILD_DIRECTORY_LOCK_H

#include "base/compiler.h"
#include "base/status.h"

/* Make the directory, as Chroma would, if its parent is there, and lock it. *ret_lock is the
 * descriptor that holds the lock until it is closed, or -1.
 *
 * STATUS_OK         locked.
 * STATUS_AGAIN      somebody else has the lock.
 * STATUS_IO_FAILED  there is no such directory, or its file system knows no locks. */
MUST_CHECK enum status directory_lock_take(const char *directory, int *ret_lock);

#endif
