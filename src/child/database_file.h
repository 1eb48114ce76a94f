/* database_file - which file a Chroma directory's database is, to tell whether it was replaced
 *
 * An application may remove its directory, or move another one into its place, between two runs of
 * itself. A Chroma that runs meanwhile keeps the old file open, although it has no name any more.
 *
 * One system call, of a file system that may be slow: never on the loop. Thread: any.
 */
#ifndef CHILD_DATABASE_FILE_H
#define CHILD_DATABASE_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct database_file {
    uint64_t device, inode; /* zeroes: there is none */
};

struct database_file database_file_find(const char *directory);

static inline bool database_file_is(struct database_file a, struct database_file b)
{
    return a.device == b.device && a.inode == b.inode;
}

#endif
