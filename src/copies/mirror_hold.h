/* mirror_hold - the right to read a copy of a collection: as long as it is held, the copy stays
 *
 * Taken by mirror_keeper_hold(). Thread: event loop only; the copy may be read
 * on any.
 */
#ifndef COPIES_MIRROR_HOLD_H
#define COPIES_MIRROR_HOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "io/loop.h"
#include "mirror/mirror_copy.h"

struct mirror_queue;

/* Who wants to read a copy: embedded in its owner, zeroed but for the first. */
struct mirror_hold {
    bool is_long; /* it takes seconds: until it is released no change is applied. Else one
                     would wait for it, and the next readers for that one */
    struct loop *loop;
    void (*on_release)(struct mirror_queue *queue);
    struct list_node     node;
    struct mirror_queue *queue;      /* the copy's; NULL: it holds nothing */
    size_t              *long_holds; /* of the copy: those that read */
    struct mirror_copy  *copy;
    bool                 is_complete, is_waiting;
    uint32_t             dimension;
    uint64_t             since_us; /* the copy was last certain to be what Chroma holds; 0: it is */
    uint64_t             until;    /* the change that must be applied before it reads */
    uint64_t             seen;     /* writes sent before this must be known before it reads */
    void (*on_ready)(struct mirror_hold *hold, bool may_read); /* once, if it had to wait */
};

/* Stop waiting, or reading. No-op when it holds nothing. */
void mirror_hold_release(struct mirror_hold *hold);

/* Of one that may read. Complete: it holds what Chroma holds. Age: since that was certain, 0 if it
 * is; in role sidecar since Chroma was asked. */
static inline struct mirror_copy *mirror_hold_copy(const struct mirror_hold *hold)
{
    return hold->copy;
}
static inline bool mirror_hold_is_complete(const struct mirror_hold *hold)
{
    return hold->is_complete;
}
uint64_t mirror_hold_age_us(const struct mirror_hold *hold);

/* Of the collection, as struct mirror_question has it. */
static inline uint32_t mirror_hold_dimension(const struct mirror_hold *hold)
{
    return hold->dimension;
}

#endif
