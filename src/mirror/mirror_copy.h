/* mirror_copy - the copy of one collection: filled from Chroma, kept by its writes, asked for
 * answers
 *
 * Filling and keeping meet here. The owner tells what Chroma has answered, in the order in which it
 * did, each with two *moments* of a clock of the owner's that begins with 1 and moves with each
 * event. `sent`: before the first byte of a request left; `known`: when its answer was complete.
 *
 *   mirror_copy_list()   an answer with all ids: the records are there, hollow
 *   mirror_copy_page()   answers with records by id: they are filled
 *   mirror_copy_write()  a write that Chroma has answered with 2xx: it is applied
 *
 * A page tells nothing of a record that a write touched while the page was under way, for it may
 * have been read before or after, or half of each: such a record stays hollow, or becomes hollow
 * again when that write is told later. Nor does it tell of one that is not hollow any more: that is
 * another, put anew under the same id. Each record has a *mark* for this: the `known` of the last
 * write that touched it while it was hollow, or of the page that filled it; 0 if a write put it.
 *
 * So the copy is *whole* when no record is hollow, no page is under way, and no write is that was
 * sent before the list and the last page were known: then it holds what Chroma holds and the effect
 * of every write that was answered, in order.
 *
 * What cannot be known for certain is STATUS_NOT_IMPLEMENTED: the copy must then be made anew, as
 * it must after any other failure.
 *
 * Thread: any, one call at a time of those that change it (they wait for answers that are under
 * way); mirror_copy_answer() by several threads at once. Takes milliseconds and more: not on the
 * event loop.
 */
#ifndef MIRROR_MIRROR_COPY_H
#define MIRROR_MIRROR_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/status.h"
#include "chroma/chroma_route.h"
#include "mirror/mirror_moments.h"
#include "mirror/mirror_question.h"
#include "mirror/mirror_records.h"
#include "mirror/mirror_save.h"

struct mirror_copy;

/* *ret_copy is given. Outcomes as mirror_records_new(). */
MUST_CHECK enum status mirror_copy_new(const struct mirror_records_options *options,
                                       struct mirror_copy **ret_copy, struct error *error);

/* A whole copy of what mirror_copy_save() saved at options->path; outcomes as mirror_save_read().
 * What cannot be opened is removed. The moments of its writes are those of the caller's clock. */
MUST_CHECK enum status mirror_copy_open(const struct mirror_records_options *options,
                                        const struct mirror_save_seal       *seal,
                                        struct mirror_copy                 **ret_copy);

/* Save a whole copy at its options' path, while no other call is under way; outcomes as
 * mirror_save_write(). It goes on as before. */
MUST_CHECK enum status mirror_copy_save(struct mirror_copy *copy, uint64_t bytes_max,
                                        struct mirror_save_seal *ret_seal);

/* Waits for nobody: no other call may be under way. NULL is fine. */
void mirror_copy_free(struct mirror_copy *copy);

/* ---- Filling -------------------------------------------------------------------------------- */

/* The body of the `get` whose answer mirror_copy_list() reads. Static storage. */
struct bytes mirror_copy_list_request(void);

/* The copy is new. No delete of this collection may have been under way between the two moments;
 * adds, upserts and updates may. Those that were known between them are told after the list, in
 * their order; what was known before it was sent is in it, and passed over if it is told.
 * STATUS_NOT_IMPLEMENTED  not such an answer; *ret_reason (static storage) says why, here and
 *                         below. Others as mirror_records_begin(). */
MUST_CHECK enum status mirror_copy_list(struct mirror_copy *copy, struct bytes answer,
                                        const struct mirror_moments *moments,
                                        const char                 **ret_reason);

/* Append the body of a `get` for the next hollow records whose answer should have some
 * `bytes_wanted` bytes, and take down which they are. One page at a time.
 * STATUS_NOT_FOUND  no record is hollow.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_copy_page_request(struct mirror_copy *copy, size_t bytes_wanted,
                                                struct byte_buffer *ret_body);

/* The answer to it. Records that it should have and has not were removed meanwhile; they stay
 * hollow until that delete is told. STATUS_NOT_IMPLEMENTED also if some hundred pages have filled
 * nothing and no write was told.
 * The change that leaves no record hollow, this or a delete, sees that every record is found by
 * searches (mirror_records_link()), for as long as that takes. */
MUST_CHECK enum status mirror_copy_page(struct mirror_copy *copy, struct bytes answer,
                                        const struct mirror_moments *moments,
                                        const char                 **ret_reason);

/* There will be no answer. The next page has half as many records: it may have been too large. */
void mirror_copy_page_failed(struct mirror_copy *copy);

/* ---- Keeping -------------------------------------------------------------------------------- */

/* An add, upsert, update or delete of this collection; `answer` is Chroma's, for the count that a
 * delete has: of one by a filter it must be what the copy finds, or 0 where it cannot tell. */
MUST_CHECK enum status mirror_copy_write(struct mirror_copy *copy, enum chroma_operation operation,
                                         struct bytes body, struct bytes answer,
                                         const struct mirror_moments *moments,
                                         const char                 **ret_reason);

/* A delete by a filter, where Chroma said just before which records it was going to take, with
 * nothing else on its way: `found` is its answer to record_delete_print_question(). Whatever is
 * hollow meanwhile. Outcomes as mirror_copy_write(); STATUS_NOT_IMPLEMENTED also if it took others.
 */
MUST_CHECK enum status mirror_copy_delete_found(struct mirror_copy *copy, struct bytes found,
                                                struct bytes                 answer,
                                                const struct mirror_moments *moments,
                                                const char                 **ret_reason);

/* Idle work. Returns whether there is more. */
bool mirror_copy_maintain(struct mirror_copy *copy);

/* ---- Answering ------------------------------------------------------------------------------ */

/* Answer a query, get or count whose body is `body`: append the body of the answer, status
 * *ret_status, as Chroma 1.5.9 would say it now; 4xx among them. Only of a whole copy.
 * STATUS_NOT_IMPLEMENTED  Chroma must be asked: *ret_reason, one of a few, for a metric.
 * STATUS_TIMED_OUT        deadline_us (of CLOCK_MONOTONIC, 0: none) has passed.
 * STATUS_TOO_LARGE        it has more than `size_max` bytes.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, STATUS_IO_FAILED, STATUS_CORRUPT */
MUST_CHECK enum status mirror_copy_answer(struct mirror_copy           *copy,
                                          const struct mirror_question *question,
                                          unsigned *ret_status, struct byte_buffer *ret_body,
                                          const char **ret_reason);

/* Call `fn` with the records and a reader of them, as they are at one moment: changes wait
 * meanwhile. Gives what it returns.
 * STATUS_NOT_IMPLEMENTED  the copy is not whole.
 * Others as mirror_reader_begin(). */
typedef enum status    mirror_copy_fn(const struct mirror_records *records,
                                      struct mirror_reader *reader, void *ctx);
MUST_CHECK enum status mirror_copy_read(struct mirror_copy *copy, mirror_copy_fn *fn, void *ctx);

/* ---- What it is ----------------------------------------------------------------------------- */

struct mirror_copy_state {
    uint32_t                    records, hollow;
    uint32_t                    dimension; /* of its vectors; 0: none yet */
    bool                        is_listed;
    struct mirror_records_usage usage;
};

/* Any thread; may wait for a change that is under way. */
void mirror_copy_state(struct mirror_copy *copy, struct mirror_copy_state *ret_state);

/* Tests: what it holds, while no other call is under way. */
struct mirror_records *mirror_copy_records(struct mirror_copy *copy);

#endif
