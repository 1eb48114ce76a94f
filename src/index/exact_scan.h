/* exact_scan - the k nearest of a stream of slots, exactly, from their codes
 *
 * Every offered slot is scored by its code. A score and the bound of its error make an interval
 * that holds the true distance. What begins above the k-th smallest end of an interval cannot be
 * among the k nearest; the rest is ranked by full precision, closest beginning first, until the
 * next beginning is above the k-th distance found. No assumption about the data is made.
 *
 * Memory: 2 k + 1024 keys, whatever the number of slots. Thread: one owner.
 */
#ifndef INDEX_EXACT_SCAN_H
#define INDEX_EXACT_SCAN_H

#include "index/hnsw.h"
#include "index/vector_file.h"

enum { exact_scan_waiting_max = 1024 };

struct exact_scan {
    uint64_t *found;   /* heap, largest distance first: keys of the k nearest so far */
    uint64_t *ends;    /* heap, largest first: the k smallest ends of intervals */
    uint64_t *waiting; /* keys of beginnings, not yet ranked by full precision */
    uint32_t  found_count, ends_count, waiting_count;
    uint32_t  k, k_max;             /* k_max: what there is room for */
    uint32_t  ranked;               /* vectors looked at in full precision */
    float     bound_max;            /* no score is farther from its distance */
    float     norm2_max, error_max; /* what bound_max was made of */
    float     score_max;            /* of what can still be among the k nearest */

    const struct slot_table      *slots;
    const struct code_table      *codes;
    const struct vector_file     *file;
    const struct quantizer_query *query;
    const float                  *vector;
    float                         vector_norm2;
};

/* Make room for `k` results; the first call needs a zeroed struct.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  it stays as it was. */
MUST_CHECK enum status exact_scan_fit(struct exact_scan *scan, struct index_memory *memory,
                                      uint32_t k);
void                   exact_scan_done(struct exact_scan *scan, struct index_memory *memory);

/* Begin a search. The pointers of `scan` from `slots` to `vector_norm2` must be set. */
void exact_scan_begin(struct exact_scan *scan, uint32_t k);

/* Offer up to code_table_batch live slots. */
void exact_scan_offer(struct exact_scan *scan, const uint32_t *slots, uint32_t count);

/* Rank what waits. scan->found holds the result then, sorted, scan->found_count keys. */
void exact_scan_end(struct exact_scan *scan);

/* Rank `count` keys of a graph search, sorted by score, by full precision alone: the first `k`
 * of them are in scan->found then, as after exact_scan_end(). */
void exact_scan_rank(struct exact_scan *scan, const uint64_t *keys, uint32_t count);

#endif
