/* mirror_export - the records of a complete copy, written to a file as JSON lines by a worker
 *
 * While it runs no write to this copy is applied, and reads that need one go to Chroma
 * (mirror_hold.h).
 *
 * Thread: event loop only. Memory: that of some records.
 */
#ifndef PROXY_MIRROR_EXPORT_H
#define PROXY_MIRROR_EXPORT_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

struct mirror_export; /* opaque */
struct proxy;

struct mirror_export_result {
    enum status status; /* OK: the file is whole */
    uint64_t    records;
    const char *reason; /* static storage; "" if it is OK */
};

/* Begin to write the copy of the collection that cache_report_find() understands by `name` to the
 * file `path` (copied), which must not be there. *ret_export is given.
 * STATUS_NOT_FOUND  no collection is known by it, or there is no complete copy: `error` says so.
 * STATUS_INVALID    mirror.mode is off.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_export_begin(struct proxy *proxy, struct bytes name, const char *path,
                                           struct mirror_export **ret_export, struct error *error);

/* Has it ended? Then *ret_result says how. */
bool mirror_export_has_ended(const struct mirror_export *export,
                             struct mirror_export_result *ret_result);

/* It has ended, or the workers have. NULL is a no-op. */
void mirror_export_free(struct mirror_export *export);

#endif
