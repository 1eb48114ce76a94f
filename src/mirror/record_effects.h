/* record_effects - what a write that Chroma has answered with 2xx makes of the records
 *
 * As the Rust server does it (doc/mirror-filters.md), for one write at a time in the order in which
 * Chroma applied them: an add of an id that is there is ignored, so the first of several in one add
 * counts; an upsert and an update go on from what is there, one after another, and an update of
 * what is not there is ignored; a document, uri or vector that is absent or null stays as it was,
 * metadata is merged (metadata_merge.h).
 *
 * What cannot be read exactly changes nothing and says so: the copy must then be read again. After
 * STATUS_NO_MEMORY some of the write may have been applied, and the copy is good for nothing.
 *
 * Thread: one at a time. Memory: during a write, that of its records twice.
 */
#ifndef MIRROR_RECORD_EFFECTS_H
#define MIRROR_RECORD_EFFECTS_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "chroma/chroma_route.h"
#include "mirror/record_set.h"

/* The body of an add, upsert or update, of which nothing is kept.
 *
 * STATUS_NOT_IMPLEMENTED  it cannot be read exactly; *ret_reason says why, static storage. Also
 *                         where Chroma would refuse it.
 * STATUS_LIMIT_REACHED    the set is full; likewise, some of it may have been applied.
 * STATUS_NO_MEMORY        */
MUST_CHECK enum status record_effects_write(struct record_set *set, enum chroma_operation operation,
                                            struct bytes body, const char **ret_reason);

#endif
