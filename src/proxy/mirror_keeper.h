/* mirror_keeper - the copies of collections of one backend: which there are, filled, kept, given up
 *
 * A copy begins when its collection is read and its name is wanted (proxy_mirror_options), or by
 * mirror_keeper_fill(). Chroma is asked for its records behind all that waits for Chroma; a write
 * to the collection is handed to the copy with the moment of its answer, in the order of answers.
 * What changes a copy runs on a worker, for each copy one thing at a time and in order.
 *
 * A copy is given up and begun anew, not before some time has passed, when something happened that
 * it cannot follow: an outcome that is not known, a change of the collection, a body that cannot be
 * read exactly, another incarnation of Chroma, a failure of its store. Until it is complete again
 * it answers nothing; while Chroma is down it stays, as the options allow.
 *
 * Private to proxy/. Thread: event loop only. Memory: the copies, charged to MEMORY_ACCOUNT_MIRROR;
 * bodies of writes until they are applied, likewise.
 */
#ifndef PROXY_MIRROR_KEEPER_H
#define PROXY_MIRROR_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "mirror/mirror_copy.h"

struct mirror_entry;
struct mirror_keeper;
struct proxy;

enum mirror_entry_state {
    MIRROR_ENTRY_WAITING,  /* to be begun, or begun again */
    MIRROR_ENTRY_LISTING,  /* Chroma is asked for all ids */
    MIRROR_ENTRY_FILLING,  /* and for records */
    MIRROR_ENTRY_COMPLETE, /* it holds what Chroma holds */
    MIRROR_ENTRY_STOPPED   /* it does not fit, or its store failed; see its reason */
};

/* Who wants to read a copy: embedded in its owner, zeroed. */
struct mirror_hold {
    struct list_node     node;
    struct mirror_entry *entry; /* NULL: it holds nothing */
    uint64_t             until; /* the writes that must be applied before it reads */
    void (*on_ready)(struct mirror_hold *hold, bool may_read); /* once, if it had to wait */
};

/* A read of this collection has arrived; it counts, and may begin a copy. */
void mirror_keeper_note_read(struct mirror_keeper *keeper, const uint8_t uuid[16]);

/* Chroma has answered a read of this collection with 2xx, of which the client may have seen some:
 * if a write was under way the copy must not answer before that is known. */
void mirror_keeper_note_answer(struct mirror_keeper *keeper, const uint8_t uuid[16]);

/* May a reader that has just arrived be answered from the copy? It must hold every write that was
 * answered before now, so it may have to wait for some milliseconds.
 * STATUS_OK       `hold` is taken and may read at once: mirror_hold_copy(); until
 *                 mirror_hold_release() the copy stays.
 * STATUS_AGAIN    `hold` is taken; on_ready says when, or that it may not after all.
 * STATUS_NOT_FOUND  no: *ret_reason, static storage, says why, for a metric. */
MUST_CHECK enum status mirror_keeper_hold(struct mirror_keeper *keeper, const uint8_t uuid[16],
                                          struct mirror_hold *hold, const char **ret_reason);

struct mirror_copy *mirror_hold_copy(const struct mirror_hold *hold);

/* Stop waiting, or reading. */
void mirror_hold_release(struct mirror_hold *hold);

/* For a reading copy: seconds since it was complete, and what the collection's dimension is. */
uint64_t mirror_hold_age_us(const struct mirror_hold *hold);
uint32_t mirror_hold_dimension(const struct mirror_hold *hold);

#endif
