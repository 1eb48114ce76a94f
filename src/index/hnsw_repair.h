/* hnsw_repair - dead slots leave the graph, and nobody alive is lost by it
 *
 * After Singh et al., "FreshDiskANN" (2021): lists that lead to dead slots are chosen anew among
 * what is left and what the dead led to. What keeps recall from decaying over many rounds is that
 * places are filled up with what the heuristic left, and that new links are made both ways.
 *
 *   IDLE -> LISTS   all DEAD slots become SEALED; the entry moves to a live slot
 *        -> CHECK   one step: slots that no path from the entry reaches are linked anew
 *        -> GRACE   until no reader can still stand on a sealed slot
 *        -> FREE    sealed slots may be taken again
 *        -> IDLE
 *
 * Thread: the writer. Adds and deletes may come between steps.
 */
#ifndef INDEX_HNSW_REPAIR_H
#define INDEX_HNSW_REPAIR_H

#include "index/hnsw.h"
#include "index/index_readers.h"

enum hnsw_repair_phase { REPAIR_IDLE, REPAIR_LISTS, REPAIR_CHECK, REPAIR_GRACE, REPAIR_FREE };

struct hnsw_repair {
    enum hnsw_repair_phase phase;
    uint32_t               cursor, end;  /* slots of the running phase */
    uint64_t               epoch;        /* GRACE: what readers must have passed */
    bool                   is_unchecked; /* there was no memory for the check: do it later */
};

/* Called for every slot that is free again. */
typedef void hnsw_repair_free_fn(void *ctx, uint32_t slot);

/* Seal what is dead and begin. */
void hnsw_repair_begin(struct hnsw_repair *repair, const struct hnsw_view *view);

/* Do up to `steps` steps. `on_free` is called within. Returns the steps that were not needed: more
 * than zero when it became idle or must wait for readers. */
uint32_t hnsw_repair_run(struct hnsw_repair *repair, const struct hnsw_view *view,
                         struct hnsw_scratch *scratch, struct index_readers *readers,
                         uint32_t steps, hnsw_repair_free_fn *on_free, void *ctx);

/* Link anew what no path from the entry reaches.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  nothing was checked. */
MUST_CHECK enum status hnsw_repair_reach(const struct hnsw_view *view,
                                         struct hnsw_scratch    *scratch);

/* List the live slots of the graph that level 0 does not lead to from the entry; `slots` has room
 * for all slots. Returns how many. */
uint32_t hnsw_repair_lost(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                          uint32_t *slots);

#endif
