/* mirror_keeper - the copies of collections of one backend: which there are, filled, kept, given up
 *
 * A copy begins when its collection is read and its name is wanted (struct proxy_mirror_options),
 * or by mirror_keeper_fill(). Chroma is asked for its records behind all that waits for Chroma,
 * without credentials, a page at a time over all copies, and not while it is down or fails. A write
 * to the collection is handed to the copy with the moment of its answer, in the order of answers.
 * What changes a copy runs on a worker, for each copy one thing at a time and in order.
 *
 * Chroma is asked again for records that were written while it was asked. The last ones are asked
 * for while a write to the collection stays for a moment, so writes that never end do not keep a
 * copy from becoming complete.
 *
 * A copy is given up and begun anew, not before some time has passed, when something happened that
 * it cannot follow (enum mirror_reason). Until there is a complete one again, what was given up
 * answers nothing, but where the caller of mirror_keeper_hold() allows what may lack something.
 * While Chroma is down a complete copy stays complete until another Chroma is reached, for nothing
 * can have changed; a write of unknown outcome at its end makes it doubtful as ever.
 *
 * In role sidecar others may write too: a copy is never complete, and is made anew from time to
 * time beside the one before it.
 *
 * Only a single node of the Rust server that describes a collection by its UUID, as the one does
 * for which copies were proved, is copied. A write that a proxy before this one had under way may
 * be applied until proxy->settled_us, so nothing is begun before.
 *
 * Thread: event loop only. Memory: the copies, charged to MEMORY_ACCOUNT_MIRROR;
 * bodies of writes and answers until they are applied, likewise.
 */
#ifndef COPIES_MIRROR_KEEPER_H
#define COPIES_MIRROR_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "calls/proxy_options.h"
#include "chroma/chroma_route.h"
#include "chroma/collection_facts.h"
#include "copies/mirror_entry_state.h"
#include "copies/mirror_hold.h"
#include "copies/mirror_info.h"
#include "copies/mirror_reason.h"

struct mirror_keeper;
struct proxy;

/* ---- Life ----------------------------------------------------------------------------------- */

/* Mode OFF until mirror_keeper_set(). NULL when out of memory. */
struct mirror_keeper *mirror_keeper_new(struct proxy *proxy);

/* After the pool of workers. Nothing may be held. NULL is a no-op, as in all that follows. */
void mirror_keeper_free(struct mirror_keeper *keeper);

/* `options` are copied. What is not wanted any more goes.
 * STATUS_NO_MEMORY  nothing changed. */
MUST_CHECK enum status mirror_keeper_set(struct mirror_keeper              *keeper,
                                         const struct proxy_mirror_options *options);

/* As they were set; borrowed until they are set again. NULL for NULL: it is off. */
const struct proxy_mirror_options *mirror_keeper_options(const struct mirror_keeper *keeper);

/* Another Chroma is reached, or the role is another one: no copy is complete any more. */
void mirror_keeper_new_incarnation(struct mirror_keeper *keeper);
void mirror_keeper_set_gateway(struct mirror_keeper *keeper, bool is_gateway);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status mirror_keeper_print_metrics(struct mirror_keeper *keeper,
                                                   struct byte_buffer   *out);

/* ---- Readers -------------------------------------------------------------------------------- */

/* A read of the collection of this route has arrived; it counts, and may begin a copy. */
void mirror_keeper_note_read(struct mirror_keeper *keeper, const struct chroma_route *route);

/* Chroma has answered a read of this collection with 2xx, or with 500, which says that records are
 * gone, and the client may have seen some of it: if a write was under way the copy must not answer
 * before that is known. */
void mirror_keeper_note_answer(struct mirror_keeper *keeper, const uint8_t uuid[16]);

/* May a reader that has just arrived be answered from the copy? It must hold every write that was
 * answered before now, so it may have to wait for some milliseconds; for longer, if a reader has
 * seen what Chroma may have of a write that is under way. `is_fallback`: Chroma does not answer, so
 * a copy that may lack something will do where the options allow it (allows_incomplete), and in
 * role sidecar one that is not older than max_age_us: hold->is_complete says what it is.
 * STATUS_OK         `hold` is taken and may read at once: mirror_hold_copy(); until
 *                   mirror_hold_release() the copy stays.
 * STATUS_AGAIN      `hold` is taken; on_ready says when, from the loop, or that it may not after
 *                   all: then it was released before.
 * STATUS_NOT_FOUND  no: *ret_reason, static storage, says why, for a metric. */
MUST_CHECK enum status mirror_keeper_hold(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                          bool is_fallback, struct mirror_hold *hold,
                                          const char **ret_reason);

/* ---- For people ----------------------------------------------------------------------------- */

typedef void mirror_entry_fn(const struct mirror_entry_info *info, void *ctx);

/* Call `fn` for each collection that is copied or wanted. */
void mirror_keeper_each(const struct mirror_keeper *keeper, mirror_entry_fn *fn, void *ctx);

/* What all copies take now, how many collections are copied or wanted, and of how many the copy is
 * complete. */
struct mirror_keeper_usage {
    uint64_t memory, disk;
    size_t   entries, complete;
};
struct mirror_keeper_usage mirror_keeper_usage(const struct mirror_keeper *keeper);

/* Begin the copy of this collection now (cache_report_find() finds one by its name), whether it is
 * wanted or not, or anew if there is one; it stays until it is dropped.
 * STATUS_NOT_FOUND        it is not known in which database it is: nobody has asked for it yet.
 * STATUS_NOT_IMPLEMENTED  nothing of this Chroma is copied: mirror_keeper_obstacle() says why.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  there are too many. */
MUST_CHECK enum status mirror_keeper_fill(struct mirror_keeper *keeper, const uint8_t uuid[16]);

/* Forget the copy of this collection; reads may begin another one. STATUS_NOT_FOUND. */
MUST_CHECK enum status mirror_keeper_drop(struct mirror_keeper *keeper, const uint8_t uuid[16]);

/* Why nothing of this Chroma is copied; NULL: there is no such reason. Static storage. */
const char *mirror_keeper_obstacle(const struct mirror_keeper *keeper);

#endif
