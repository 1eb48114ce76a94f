/* query_cache - answers of Chroma, kept for as long as they would be given again
 *
 * Exact or silent: an entry answers the identical question only, of the identical asker, and only
 * while its validity is that of the collection now. Validity is three numbers that the caller gets
 * from the table of collections: stamp, epoch and incarnation. They move with whatever may change
 * an answer and never come back, so a write costs nothing here: entries of another validity are
 * dead and go when they are met.
 *
 *     asked = ...validity when the answer is looked for, before the read is sent...
 *     ...the answer is complete, its status 200...
 *     if (query_validity_holds(&asked, &validity_now))
 *         query_cache_put(cache, &key, &asked, ...);
 *
 * What is evicted is chosen by SIEVE (Zhang and others, NSDI 2024): an entry that was asked for
 * since the hand passed it last stays, the next one goes. One scan of questions that are asked once
 * does not push out what is asked again and again. Each service has a queue of its own, and the one
 * that holds most gives: what a service holds up to an equal part no other one can push out, and
 * what others leave free it may have as well.
 *
 * Thread: the event loop. Memory: `bytes_max` with all that belongs to it, charged to the account;
 * where there is none, nothing is kept and nothing fails.
 */
#ifndef READS_QUERY_CACHE_H
#define READS_QUERY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/memory_account.h"
#include "base/metric.h"
#include "base/status.h"

struct query_cache;

struct query_cache_options {
    size_t bytes_max;
    size_t object_bytes_max; /* of one answer */
    size_t services;         /* 0 stands for 1 */
    size_t bytes_beside;     /* of bytes_max, that the caller holds and has charged */
};

/* All three are compared in full. The digest must be keyed: it spreads the entries, too. */
struct query_cache_key {
    uint8_t       collection[16];
    unsigned char identity[16]; /* who asks */
    unsigned char digest[16];   /* what is asked */
};

struct query_validity {
    uint64_t stamp; /* 0: nothing may be kept or answered */
    uint64_t epoch, incarnation;
};

static inline bool query_validity_holds(const struct query_validity *then,
                                        const struct query_validity *now)
{
    return then->stamp != 0 && then->stamp == now->stamp && then->epoch == now->epoch &&
           then->incarnation == now->incarnation;
}

enum query_cache_result {
    QUERY_CACHE_HIT,
    QUERY_CACHE_MISS,   /* it was never kept, or is no more */
    QUERY_CACHE_STALE,  /* something may have changed since */
    QUERY_CACHE_EXPIRED /* older than the caller wants it */
};

/* Whom an answer is kept for, in each of these two ways; the caller numbers them (cache_usage.h).
 */
enum query_cache_owner { QUERY_CACHE_COLLECTION, QUERY_CACHE_SERVICE, QUERY_CACHE_OWNER_KINDS };
enum { QUERY_CACHE_OWNERS_MAX = 256 };

/* What is kept for one of them. */
struct query_cache_holding {
    uint64_t entries, bytes; /* whole chunks */
};

/* An answer to be kept. */
struct query_cache_answer {
    struct bytes body;
    uint64_t     cost_us;    /* what it took Chroma */
    uint32_t     service;    /* whose part it takes; below services */
    uint8_t      head;       /* which of the heads that the caller knows it had */
    uint8_t      collection; /* its number */
};

/* One that is kept; borrowed until the next call that changes the cache. */
struct query_cache_hit {
    size_t              size;
    uint64_t            age_us;
    uint64_t            cost_us;
    uint8_t             head;
    struct bytes        part; /* private: what query_cache_read() gives next */
    const struct chunk *next;
    size_t              left;
};

struct query_cache_stats {
    uint64_t hits, misses, stale, expired, joined;
    uint64_t stored, evicted, too_large, no_room;
    uint64_t entries;
    uint64_t bytes;    /* charged */
    uint64_t saved_us; /* of Chroma's time */
};

extern const struct metric_desc query_cache_metrics[];
extern const size_t             query_cache_metric_count;

/* `options` are borrowed for the call, `account` until query_cache_free(). NULL: no memory. */
struct query_cache *query_cache_new(const struct query_cache_options *options,
                                    struct memory_account            *account);

/* NULL is fine. */
void query_cache_free(struct query_cache *cache);

/* Is there an answer that is no older than `max_age_us`? *ret_hit is written on HIT only. */
enum query_cache_result query_cache_find(struct query_cache           *cache,
                                         const struct query_cache_key *key,
                                         const struct query_validity *now, uint64_t max_age_us,
                                         uint64_t now_us, struct query_cache_hit *ret_hit);

/* Is there an answer, and was it kept at this validity? */
bool query_cache_holds(struct query_cache *cache, const struct query_cache_key *key,
                       const struct query_validity *then);

/* There is one that may not be given now, and stays: a look-up that counts as EXPIRED. */
enum query_cache_result query_cache_pass_over(struct query_cache *cache);

/* Who found `result`, not HIT, joined another who asks the same: it counts as that instead. */
void query_cache_note_join(struct query_cache *cache, enum query_cache_result result);

/* The next piece of an answer; false: that was all. */
bool query_cache_read(struct query_cache_hit *hit, struct bytes *ret_part);

/* Keep an answer (copied) in the place of an older one. `validity`, of when the question was sent,
 * holds. Afterwards no older answer to `key` is left, whatever the outcome.
 *
 * STATUS_OK         it is kept.
 * STATUS_TOO_LARGE  above `object_bytes_max`.
 * STATUS_NO_MEMORY  there is no room, even after some eviction. */
enum status query_cache_put(struct query_cache *cache, const struct query_cache_key *key,
                            const struct query_validity     *validity,
                            const struct query_cache_answer *answer, uint64_t now_us);

const struct query_cache_stats *query_cache_get_stats(const struct query_cache *cache);

/* What is kept for one owner, dead entries that were not met yet among it. */
struct query_cache_holding query_cache_get_holding(const struct query_cache *cache,
                                                   enum query_cache_owner kind, uint8_t owner);

/* Drop what is kept of a collection, or all. Costs a step for each answer that is kept: for an
 * operator's wish, or when something is wrong. */
void query_cache_drop_collection(struct query_cache *cache, const uint8_t collection[16]);
void query_cache_clear(struct query_cache *cache);

#endif
