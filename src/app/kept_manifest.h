/* kept_manifest - which copies were saved at the end of a run, and of what
 *
 * FOLDER/manifest, a line and then JSON:
 *
 *   chromabouncer copies 1 CHECKSUM     CRC-32C of what follows, in hex
 *   {"program": VERSION, "chroma": ..., "database": ..., "copies": [...]}
 *
 * It is the word of the run that wrote it, and holds for one start: kept_manifest_take() removes
 * it, and what it gives was removed for certain.
 *
 * Blocks: never on the loop. Thread: any.
 */
#ifndef APP_KEPT_MANIFEST_H
#define APP_KEPT_MANIFEST_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/error.h"
#include "copies/mirror_kept.h"

struct kept_manifest; /* opaque */

/* An empty one, of this version of the program. `database` is what the closed database says of
 * itself, `chroma` which Chroma it is of. NULL when out of memory, or if one is not UTF-8. */
struct kept_manifest *kept_manifest_new(const char *database, const char *chroma);

/* NULL is a no-op. */
void kept_manifest_free(struct kept_manifest *manifest);

/* STATUS_INVALID  a name of it is not UTF-8. STATUS_NO_MEMORY */
MUST_CHECK enum status kept_manifest_add(struct kept_manifest     *manifest,
                                         const struct mirror_kept *kept);

size_t kept_manifest_count(const struct kept_manifest *manifest);

/* Its texts are borrowed from the manifest.
 * STATUS_CORRUPT  it is none. */
MUST_CHECK enum status kept_manifest_at(const struct kept_manifest *manifest, size_t number,
                                        struct mirror_kept *ret_kept);

const char *kept_manifest_database(const struct kept_manifest *manifest);
const char *kept_manifest_chroma(const struct kept_manifest *manifest);

/* Put it into `folder` for good: into another file first, which takes its place when it is on
 * stable storage.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY  there is none, `error` says why. */
MUST_CHECK enum status kept_manifest_write(const struct kept_manifest *manifest, const char *folder,
                                           struct error *error);

/* Read it and remove it, for good. *ret_manifest is given.
 * STATUS_NOT_FOUND  there is none.
 * STATUS_CORRUPT    it is damaged, or of another version of this program.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY  it cannot be read, or not be removed
 *                   for certain. `error` says why. */
MUST_CHECK enum status kept_manifest_take(const char *folder, struct kept_manifest **ret_manifest,
                                          struct error *error);

#endif
