/* vector_search - a reader of a vector_index: the k nearest of a vector, optionally filtered
 *
 * Results are ordered by distance, computed from the full vectors; equal distances by slot. There
 * are never fewer than min(k, live vectors that match), unless the deadline passed. A search sees
 * the index as it was when it began; a record that is replaced meanwhile is there once, as its old
 * vector or, where a bitmap is scanned, perhaps as its new one.
 *
 * Where all is scanned (small index, VECTOR_QUANT_EXACT, `exact`, few matches) the result is
 * exact. Else a graph is searched `ef` wide and the best candidates are ranked by full precision.
 * With a filter, what costs less is done: scanning the matches, or a wider search of the graph.
 *
 * Thread: one reader per thread; no locks are taken. Memory: scratch that fits the largest search
 * so far, counted with the index.
 */
#ifndef INDEX_VECTOR_SEARCH_H
#define INDEX_VECTOR_SEARCH_H

#include "index/vector_index.h"

struct vector_search; /* opaque: fields live in vector_search.c */

enum { vector_search_k_max = 16384, vector_search_ef_max = 16384 };

struct vector_search_hit {
    uint32_t record;
    float    distance;
};

struct vector_search_query {
    const float *vector; /* dim floats */
    uint32_t     k;      /* 0 .. 16384 */
    uint32_t     ef;     /* up to 16384; at least k is used; 0: 64 */
    bool         exact;  /* scan, whatever it costs */

    /* Leave the graph, before `ef` is reached, where all that is left is farther than the k-th (or
     * tenth) of what was found, by this share of its distance: how much must be looked at differs
     * from query to query. 0: `ef` alone says so, as always with a filter and with VECTOR_IP, which
     * is no distance. `reach_ef`, if it is more than `ef`, is the bound of a search that has a
     * reach. */
    float    reach;
    uint32_t reach_ef;

    /* Only records whose bit is set: bit r % 64 of bitmap[r / 64], for r < bitmap_bits. NULL: all.
     * `bitmap_count` is the number of bits set. */
    const uint64_t *bitmap;
    uint32_t        bitmap_bits, bitmap_count;

    /* Only records that it accepts; NULL: all. Called from the searching thread. */
    bool (*accept)(void *ctx, uint32_t record);
    void *accept_ctx;

    /* Give up when now_us() reaches deadline_us; NULL: never. */
    uint64_t (*now_us)(void *ctx);
    void    *now_ctx;
    uint64_t deadline_us;
};

struct vector_search_stats {
    bool     scanned; /* else the graph was searched */
    uint32_t scored;  /* codes compared */
    uint32_t ranked;  /* full vectors compared */
};

/* Open a reader. *ret_search is given: vector_search_free(), before the index is freed.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  no room. */
MUST_CHECK enum status vector_search_new(struct vector_index   *index,
                                         struct vector_search **ret_search);
void                   vector_search_free(struct vector_search *search);

/* Search. `hits` has room for query->k; *ret_count of them are filled in. `ret_stats` may be NULL.
 * STATUS_OK
 * STATUS_TIMED_OUT  the deadline passed; what was found so far is there, sorted.
 * STATUS_CORRUPT    the file of vectors is damaged: there are no hits.
 * STATUS_INVALID    the vector is not finite or too long, or k or ef is above its bound.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  no scratch. */
MUST_CHECK enum status vector_search_run(struct vector_search             *search,
                                         const struct vector_search_query *query,
                                         struct vector_search_hit *hits, uint32_t *ret_count,
                                         struct vector_search_stats *ret_stats);

/* `count` searches as `query`, with the vectors one behind the other in `vectors`; hits of search
 * i begin at hits[i * k], ret_counts[i] of them. Ends at the first outcome that is not OK, with
 * the counts of the rest 0. */
MUST_CHECK enum status vector_search_batch(struct vector_search             *search,
                                           const struct vector_search_query *query,
                                           const float *vectors, uint32_t count,
                                           struct vector_search_hit *hits, uint32_t *ret_counts);

/* The stored bits of `record` into `ret_vector` (dim floats).
 * STATUS_NOT_FOUND  the record holds nothing.
 * STATUS_CORRUPT    the file of vectors is damaged. */
MUST_CHECK enum status vector_search_get(struct vector_search *search, uint32_t record,
                                         float *ret_vector);

#endif
