/* cache_usage - who asks the cache, and what they have of it: by collection and by service
 *
 * Collections and services have numbers, under which the cache keeps answers for them
 * (query_cache.h). A service brings its own. A collection gets one when it is first asked for: a
 * free one, or that of the collection that was quiet for longest of those for which nothing is
 * kept, whose counts are then forgotten. Collections without a number, and what belongs to no
 * collection, are counted together.
 *
 * Thread: one at a time. Memory: 40 KiB.
 */
#ifndef READS_CACHE_USAGE_H
#define READS_CACHE_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/siphash.h"
#include "reads/query_cache.h"

struct cache_usage;

enum { CACHE_USAGE_OTHERS = 0, CACHE_USAGE_NAME_SIZE = 64 };

struct cache_usage_counts {
    uint64_t lookups, hits;
    uint64_t saved_us; /* of Chroma's time */
};

/* One collection, or one service. */
struct cache_usage_row {
    const uint8_t             *collection; /* NULL: a service, or CACHE_USAGE_OTHERS */
    const char                *service;    /* NULL: a collection */
    struct cache_usage_counts  counts;
    struct query_cache_holding holding;
};

/* `secret` is borrowed for the call. NULL: no memory. */
struct cache_usage *cache_usage_new(const unsigned char secret[SIPHASH_KEY_SIZE]);

/* NULL is fine. */
void cache_usage_free(struct cache_usage *usage);

/* The number of a collection (zeroes: none in particular). `cache` says for whom it keeps answers.
 * It holds until the next call at least, and as long as something is kept under it. */
uint8_t cache_usage_collection(struct cache_usage *usage, const struct query_cache *cache,
                               const uint8_t uuid[16]);

/* The answer to a question of these two numbers was looked for. `name` is that of the service, in
 * less than CACHE_USAGE_NAME_SIZE bytes: another one than before counts from zero. `hit` is NULL
 * where there was none. */
void cache_usage_note(struct cache_usage *usage, uint8_t collection, uint32_t service,
                      const char *name, const struct query_cache_hit *hit);

/* Those that have asked, or for which something is kept; the one that saved most of Chroma's time
 * first. `out` (whose pointers are borrowed) has room for QUERY_CACHE_OWNERS_MAX. `cache` may be
 * NULL. Returns how many there are. */
size_t cache_usage_list(const struct cache_usage *usage, const struct query_cache *cache,
                        enum query_cache_owner kind, struct cache_usage_row *out);

#endif
