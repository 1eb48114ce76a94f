#include "writes/coalescer_order.h"

#include <assert.h>

static bool order_is_kept(struct coalescer *coalescer, const struct coalescer_batch *batch);

void coalescer_order_check(struct coalescer *coalescer, const struct coalescer_batch *batch)
{
    assert(batch->lane->in_flight == NULL);
    assert(order_is_kept(coalescer, batch));
}

static bool order_is_kept(struct coalescer *coalescer, const struct coalescer_batch *batch)
{
    const struct coalescer_lane *lane = batch->lane;
    bool                         is_redo = !list_is_empty(&lane->redo);
    struct id_set               *passed = &coalescer->seen;
    size_t                       sent = 0;

    id_set_clear(passed);
    LIST_FOR_EACH(node, is_redo ? &lane->redo : &lane->waiting)
    {
        const struct coalescer_member *member = LIST_ITEM(node, struct coalescer_member, queue);
        bool                           is_sent = member == batch->members[sent];

        if (member->key == NULL && (!is_sent || batch->count > 1))
            return false;
        if (!is_sent && is_redo)
            return false;
        if (is_sent && !id_set_is_disjoint(passed, member->id_hashes, member->record_count))
            return false;
        if (is_sent && ++sent == batch->count)
            return true;
        if (!is_sent && id_set_add(passed, member->id_hashes, member->record_count) != STATUS_OK)
            return true; /* without memory it cannot be told */
    }
    return false;
}
