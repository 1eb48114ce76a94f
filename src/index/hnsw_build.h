/* hnsw_build - slots enter the graph
 *
 * A new slot searches its own neighbourhood, takes the neighbours that the heuristic of the paper
 * leaves (a candidate that is closer to a taken one than to the slot is not needed), and offers
 * itself to each; a full list is pruned by the same heuristic.
 *
 * Thread: the writer; hnsw_build_many() brings helpers of its own.
 */
#ifndef INDEX_HNSW_BUILD_H
#define INDEX_HNSW_BUILD_H

#include "index/hnsw.h"

enum { hnsw_build_threads_max = 64 };

/* Give WAITING `slot` its empty lists; call once, before hnsw_build_link().
 * STATUS_LIMIT_REACHED, STATUS_NO_MEMORY  no room for its upper levels. */
MUST_CHECK enum status hnsw_build_prepare(const struct hnsw_view *view, uint32_t slot);

/* The links of `slot` no longer count as in-degrees; they stay for readers who stand there. */
void hnsw_build_uncount(const struct hnsw_view *view, uint32_t slot);

/* Undo hnsw_build_prepare() for a slot that nothing links to and whose links do not count. */
void hnsw_build_discard(const struct hnsw_view *view, uint32_t slot);

/* Link prepared `slot` into the graph. `scratch` must fit ef_construction and all slots. */
void hnsw_build_link(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot);

/* Link all prepared slots `slots[0 .. count-1]` on `threads` threads, the caller's among them.
 * With one thread the result is a function of the slots and their order alone. Where a thread or
 * its memory cannot be had, fewer do the work: it never fails. `scratch` is the caller's. */
void hnsw_build_many(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                     const uint32_t *slots, uint32_t count, unsigned threads);

/* Make `slot` reachable at level 0: link it from the closest slots that can be reached from the
 * entry and have room, and to them. Nobody else is lost by it, unless no list in reach has room and
 * `slot` must give up a link of its own. */
void hnsw_build_attach(const struct hnsw_view *view, struct hnsw_scratch *scratch, uint32_t slot);

/* Whether the list of `slot` at level 0 holds `to`. */
bool hnsw_build_has(const struct hnsw_view *view, uint32_t slot, uint32_t to);

/* Whether the link from `slot` to `to` is, at level 0, the only one to it. */
static inline bool hnsw_build_is_only(const struct hnsw_view *view, uint32_t slot, uint32_t to)
{
    const _Atomic uint16_t *degrees = (_Atomic uint16_t *)(void *)view->graph->in_degrees.base;

    return atomic_load_explicit(&degrees[to], memory_order_relaxed) <= 1 &&
           hnsw_build_has(view, slot, to);
}

struct hnsw_build_choice {
    uint32_t count;                 /* of `taken` */
    uint32_t taken[2 * hnsw_m_max]; /* in the order of distance */
    uint32_t left_count;            /* of `left` */
    uint32_t left[2 * hnsw_m_max];  /* the closest that were not taken */
};

/* Fill in keys[0 .. count-1]: `slots` by their score, sorted. */
void hnsw_build_rank(const struct hnsw_view *view, const struct quantizer_query *query,
                     const uint32_t *slots, uint32_t count, uint64_t *keys);

/* The heuristic: from `keys`, sorted, all scored from one slot, take up to `most`. Those with
 * `keep[i]` (may be NULL) are taken in any case. Uses scratch->neighbor. */
void hnsw_build_choose(const struct hnsw_view *view, struct hnsw_scratch *scratch,
                       const uint64_t *keys, const bool *keep, uint32_t count, uint32_t most,
                       struct hnsw_build_choice *choice);

/* Replace the list of `slot` at `level`; keeps the in-degrees. The caller holds its lock. */
void hnsw_build_store(const struct hnsw_view *view, uint32_t slot, uint32_t level,
                      const uint32_t *links, uint32_t count);

/* Add `to` to the list of `slot` if there is room and it is not there yet. Takes the lock.
 * Returns whether `to` is in the list now. */
bool hnsw_build_append(const struct hnsw_view *view, uint32_t slot, uint32_t level, uint32_t to);

#endif
