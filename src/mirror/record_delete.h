/* record_delete - what a delete that Chroma has answered with 2xx takes away
 *
 * Of ids, by filter, or of those of the ids that match a filter. Chroma reads first and then
 * deletes by id, so this is exact only if no other write was on its way; its count tells.
 *
 * Thread: finding, the writer of the records while others may read; applying, the writer alone.
 * Memory: that of the filter, and 4 bytes for each record that goes.
 */
#ifndef MIRROR_RECORD_DELETE_H
#define MIRROR_RECORD_DELETE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_records.h"

struct record_delete {
    /* That Chroma answers: without a filter each of the ids counts, there or not, with one the
     * records that match; a limit takes the first of these. */
    size_t    count;
    bool      is_filtered;
    uint32_t *rows; /* those that go, each once */
    size_t    row_count;
};

/* Read the body of a delete, of which nothing is kept, and find its records by a reader that reads
 * at present. *ret_delete is filled in: record_delete_done().
 *
 * STATUS_NOT_IMPLEMENTED  it cannot be read exactly, Chroma would refuse it, or it asks for what a
 *                         hollow record contains; *ret_reason says why, static storage.
 * STATUS_NO_MEMORY        or others of mirror_reader_filter() */
MUST_CHECK enum status record_delete_find(struct mirror_records *records,
                                          struct mirror_reader *reader, struct bytes body,
                                          struct record_delete *ret_delete,
                                          const char          **ret_reason);

/* The other way to know them: Chroma is asked which they are, with nothing else on its way.
 * Append the body of the `get` that finds what this delete will take from a copy that is whole, or
 * is not.
 * STATUS_NOT_FOUND        nothing is appended, for the copy can tell: the delete has no filter, or
 *                         one that the copy reads, and it is whole.
 * STATUS_NOT_IMPLEMENTED  it cannot be read, or takes what no `get` tells: a limit among ids.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status record_delete_print_question(struct bytes body, bool is_whole,
                                                    struct byte_buffer *out);

/* `answer` is Chroma's to that question. *ret_delete is filled in as by record_delete_find().
 * STATUS_NOT_IMPLEMENTED  it is no such answer, or has a record that is not here.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status record_delete_take(struct mirror_records *records, struct bytes answer,
                                          struct record_delete *ret_delete,
                                          const char          **ret_reason);

/* Between mirror_records_begin() and mirror_records_commit(), whose outcomes it has. No record was
 * put or removed since. */
MUST_CHECK enum status record_delete_apply(struct mirror_records      *records,
                                           const struct record_delete *found);

/* How many records Chroma says that it has deleted: {"deleted":3}. False: it does not. */
bool record_delete_read_count(struct bytes answer, uint64_t *ret_count);

/* Harmless on zeroes and a second time. */
void record_delete_done(struct record_delete *found);

#endif
