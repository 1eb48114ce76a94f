/* breaker_table - the breakers of one Chroma: for reads, for writes, for collections that fail
 *
 * A read is reported to the breaker of reads and to that of its collection, a write to the breaker
 * of writes. One that could not connect says nothing of its collection. A collection has a breaker
 * from its first failure on, until ten seconds have passed without one; BREAKER_TABLE_COLLECTIONS
 * have one at a time, and the one that failed least recently makes room: it counts as closed then.
 * What succeeded before the first failure counts as well. It is counted for BREAKER_TABLE_GROUPS
 * groups of collections: one that shares its group with a busy one opens later, never sooner.
 *
 * Thread: event loop only. Memory: 40 KiB, and some 300 bytes for each collection.
 */
#ifndef LIMITS_BREAKER_TABLE_H
#define LIMITS_BREAKER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "limits/breaker.h"

enum { BREAKER_TABLE_COLLECTIONS = 256, BREAKER_TABLE_GROUPS = 256 };

enum breaker_of { BREAKER_OF_READS, BREAKER_OF_WRITES, BREAKER_OF_COLLECTION };

/* One of them; borrowed, all of it, for the call that gives it. */
struct breaker_view {
    enum breaker_of       of;
    const uint8_t        *collection; /* its UUID; NULL but for BREAKER_OF_COLLECTION */
    const struct breaker *breaker;
};

typedef void (*breaker_view_fn)(void *ctx, const struct breaker_view *view);

struct breaker_table_stats {
    uint64_t opened[3]; /* times, by enum breaker_of */
    uint64_t open_collections;
};

struct breaker_table; /* opaque */

/* `on_change`, from within the calls below: one has taken another state. NULL when out of memory.
 */
struct breaker_table *breaker_table_new(const unsigned char secret[SIPHASH_KEY_SIZE],
                                        breaker_view_fn on_change, void *ctx);

/* NULL is a no-op. */
void breaker_table_free(struct breaker_table *table);

/* May a read of `collection` (16 bytes; NULL: of none) be sent now? If so its outcome is to be
 * reported; if not, *ret_by is the breaker that is against it. */
bool breaker_table_pass(struct breaker_table *table, const uint8_t *collection,
                        struct breaker_view *ret_by);

/* A call that began at `began_us` has ended. `collection` of a write is not looked at. */
void breaker_table_report(struct breaker_table *table, bool is_write, const uint8_t *collection,
                          enum breaker_outcome outcome, uint64_t began_us, uint64_t now_us);

/* A heartbeat was answered, or not. */
void breaker_table_heartbeat(struct breaker_table *table, bool is_answered, uint64_t now_us);

/* When an open one wants a heartbeat, may be past; UINT64_MAX: none does. */
uint64_t breaker_table_wake_us(const struct breaker_table *table);

/* Is it worth to repeat a read? */
bool breaker_table_is_calm(const struct breaker_table *table);

/* Do reads fail, without a sign since that they may not? */
bool breaker_table_is_open(const struct breaker_table *table);

/* It may be another Chroma: what was counted is void, those of collections are closed. Those of
 * reads and writes that are open wait for a heartbeat all the same. */
void breaker_table_new_incarnation(struct breaker_table *table, uint64_t now_us);

/* Those of reads and writes, and of the collections where it is not closed. */
void breaker_table_each(const struct breaker_table *table, breaker_view_fn fn, void *ctx);

/* Borrowed; always up to date. */
const struct breaker_table_stats *breaker_table_stats(const struct breaker_table *table);

#endif
