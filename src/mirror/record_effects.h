/* record_effects - what a write that Chroma has answered with 2xx makes of the records
 *
 * As the Rust server does it (doc/mirror-filters.md), for one write at a time in the order in which
 * Chroma applied them: an add of an id that is there is ignored, so the first of several in one add
 * counts; an upsert and an update go on from what is there, one after another, and an update of
 * what is not there is ignored; a document, uri or vector that is absent or null stays as it was,
 * metadata is merged (metadata_merge.h).
 *
 * A record that is hollow stays so, and one whose contents may have been read while the write was
 * under way becomes hollow (mirror_copy.h): its mark is later than `sent`. Both get the mark
 * `known`.
 *
 * Thread: reading, any; applying, the writer of the records. Memory: while a write is read, that of
 * its records twice.
 */
#ifndef MIRROR_RECORD_EFFECTS_H
#define MIRROR_RECORD_EFFECTS_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "chroma/chroma_route.h"
#include "mirror/mirror_moments.h"
#include "mirror/mirror_records.h"

struct record_effects;

/* Read the body of an add, upsert or update, which is borrowed as long as the effects are.
 * *ret_effects is given: record_effects_free().
 *
 * STATUS_NOT_IMPLEMENTED  it cannot be read exactly; *ret_reason says why, static storage. Also
 *                         where Chroma would refuse it.
 * STATUS_NO_MEMORY        */
MUST_CHECK enum status record_effects_read(enum chroma_operation operation, struct bytes body,
                                           struct record_effects **ret_effects,
                                           const char            **ret_reason);

void record_effects_free(struct record_effects *effects);

/* Between mirror_records_begin() and mirror_records_commit(), whose outcomes it has.
 * STATUS_NOT_IMPLEMENTED  what cannot be: *ret_reason says why. The records are good for nothing,
 *                         likewise. */
MUST_CHECK enum status record_effects_apply(struct record_effects       *effects,
                                            struct mirror_records       *records,
                                            const struct mirror_moments *moments,
                                            const char                 **ret_reason);

#endif
