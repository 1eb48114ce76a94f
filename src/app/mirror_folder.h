/* mirror_folder - where the files of copies are put, and whether they can be
 *
 * Each process makes a folder of its own there, so that several can share the place; what a killed
 * one has left goes then (private_folder.h).
 */
#ifndef APP_MIRROR_FOLDER_H
#define APP_MIRROR_FOLDER_H

#include <sys/statfs.h>

#include "base/compiler.h"
#include "base/error.h"
#include "child/private_folder.h"

/* Where `directory`, as the setting has it, is: for auto the first of its places that can be
 * written to; NULL if none can. `out` has PRIVATE_FOLDER_PATH_SIZE bytes and is returned. */
const char *mirror_folder_place(const char *directory, char *out);

/* Make `folder` there, and the place itself if it is missing.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED  `error` says why. */
MUST_CHECK enum status mirror_folder_make(struct private_folder *folder, const char *directory,
                                          struct error *error);

/* Could it be made in `place`, with the place itself if that is missing? Leaves nothing behind.
 * Returns 0 and the file system, or an errno. */
int mirror_folder_try(const char *place, struct statfs *ret_files);

#endif
