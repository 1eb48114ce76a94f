/* program_path - which file a command's first word means, as a shell would look for it */
#ifndef CHILD_PROGRAM_PATH_H
#define CHILD_PROGRAM_PATH_H

#include "base/compiler.h"
#include "base/error.h"

enum { PROGRAM_PATH_SIZE = 4096 };

/* Find `name` in `search` (as PATH; NULL: none), or take it as it is when it has a slash. `path`
 * has PROGRAM_PATH_SIZE bytes. STATUS_NOT_FOUND, STATUS_NOT_PERMITTED  `error` says so; `path` is
 * undefined. */
MUST_CHECK enum status program_path_find(const char *name, const char *search, char *path,
                                         struct error *error);

#endif
