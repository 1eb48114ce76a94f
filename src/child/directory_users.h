/* directory_users - who has the files of a Chroma directory open?
 *
 * Chroma takes no lock: a second server, or an embedded client in another process, opens the same
 * directory without a word and damages its index. Whoever uses a directory has its chroma.sqlite3
 * open, idle or not. Processes of other users are seen by root only.
 *
 * Takes milliseconds: never on the loop. Thread: any.
 */
#ifndef CHILD_DIRECTORY_USERS_H
#define CHILD_DIRECTORY_USERS_H

#include <stdbool.h>
#include <sys/types.h>

struct directory_user {
    pid_t process;
    bool  is_leftover; /* started by a chromabouncer that is gone, or ended by us: it is about to
                          end */
    char command[64];  /* the beginning of its command line, for people */
};

/* Find one that is neither this process nor of `group` (0: none is excepted). False: there is
 * none. One that is no leftover is preferred. */
bool directory_users_find(const char *directory, pid_t group, struct directory_user *ret);

#endif
