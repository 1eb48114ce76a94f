/* chroma_batch - several writes spliced into one body, without copying them
 *
 * The body is a list of spans: of the members' own bodies, and of constant text between them.
 * A column that no member has is left out; where only some have it, the others' values are null,
 * which servers since 1.0 take for the same. Older ones erase what null is written to: there all
 * members must have the same columns (chroma_family.h, `same_columns`). So Chroma reads the records
 * of all members, in their order, each as it was written.
 *
 * Thread: any. Memory: one allocation; at most two spans for each column of each member, and one
 * for each 256 nulls.
 */
#ifndef CHROMA_CHROMA_BATCH_H
#define CHROMA_CHROMA_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "chroma/chroma_records.h"

/* Records `first` to `first + count - 1` of a write; all of them unless it is split. */
struct chroma_batch_member {
    const struct chroma_records *records;
    size_t                       first, count;
};

struct chroma_batch {
    size_t       size;        /* of all parts together: the Content-Length */
    bool         fills_nulls; /* a column is not in all members; never where null erases */
    size_t       part_count;
    struct bytes parts[]; /* borrowed from the members' bodies, or static */
};

/* Splice. The members must be of one operation, encoding and dimension, at least one of them and
 * none of them empty. `members` is borrowed for the call; the bodies behind their records must
 * outlive the batch, the records need not. Given: chroma_batch_free(). NULL: no memory. */
struct chroma_batch *chroma_batch_new(const struct chroma_batch_member *members, size_t count);

/* NULL is fine. */
void chroma_batch_free(struct chroma_batch *batch);

#endif
