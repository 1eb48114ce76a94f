/* collection_table - what is known about the collections of one backend, and whether it still holds
 *
 * One place for names, UUIDs, dimensions, spaces and existence, learned from answers that pass; and
 * for whether a write may have changed something since. Whoever keeps an answer keeps a *stamp*
 * with it: a number that moves whenever a write to that collection is sent and when its outcome is
 * known, and that is 0 while one is in flight or of unknown outcome.
 *
 *     stamp = collection_table_stamp(table, uuid, now);       before the read is sent
 *     ...
 *     if (stamp != 0 && stamp == collection_table_stamp(...))
 *         ... its answer may be kept; the same again when it is looked up ...
 *
 * Of records that are asked for by their ids more is known: writes that name other ids only, and of
 * which Chroma says that it has applied them, leave the stamp of these as it is (id_stamps.h).
 *
 * All stamps come from one clock that never goes back, so forgetting is safe: a collection that was
 * forgotten and comes again has a stamp that it never had. Anything that may change more than one
 * collection moves the stamps of all that it may change.
 *
 * A write of which nobody will ever know the outcome makes its collection unfit to be kept for
 * `lost_us`, which must be longer than Chroma can take to apply it.
 *
 * Thread: the event loop. Memory: `collections_max` entries and `bytes_max`; the least recently
 * used goes, but not one with a write in flight. If all have, or memory is out, a write counts as
 * one that may change everything.
 */
#ifndef CHROMA_COLLECTION_TABLE_H
#define CHROMA_COLLECTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "chroma/chroma_records.h"
#include "chroma/chroma_route.h"
#include "chroma/collection_facts.h"
#include "chroma/record_ids.h"
#include "chroma/write_observer.h"

struct collection_table;

/* `secret` and `options` are borrowed for the call. NULL: no memory. */
struct collection_table *collection_table_new(const struct collection_table_options *options,
                                              const unsigned char secret[SIPHASH_KEY_SIZE]);

/* NULL is fine. No notice that it was told of may be under way. */
void collection_table_free(struct collection_table *table);

/* To be added to the backend's observers, before any other. */
struct write_observer *collection_table_observer(struct collection_table *table);

/* Another Chroma, or the same in another state, may stand behind the address from now on: nothing
 * that is known holds. `is_old_gone`: the former one has provably ended, so that its lost writes
 * cannot be applied any more. */
void collection_table_new_incarnation(struct collection_table *table, bool is_old_gone);

/* Moves with each incarnation, never repeats. */
uint64_t collection_table_incarnation(const struct collection_table *table);

/* Moves with each change that may reach everything. */
uint64_t collection_table_epoch(const struct collection_table *table);

/* Of the records of a collection, known or not (it is known from then on): of those that are asked
 * for by `ids`, or of all. 0: a write is in flight or its outcome is unknown, or one of a former
 * process of ours may be (options.settled_us), or memory is out; no answer may be kept or used.
 * Only stamps of the same ids are to be compared. */
uint64_t collection_table_stamp_of(struct collection_table *table, const uint8_t uuid[16],
                                   const struct record_ids *ids, uint64_t now_us);

static inline uint64_t collection_table_stamp(struct collection_table *table,
                                              const uint8_t uuid[16], uint64_t now_us)
{
    return collection_table_stamp_of(table, uuid, NULL, now_us);
}

/* Has every write that may change the records of a collection been answered, or was it lost
 * `grace_us` ago or longer? After that a write that is answered shows all that was lost and came to
 * be applied, so that whoever sends one need not wait for lost_us, as the stamp does. */
MUST_CHECK bool collection_table_is_quiet(struct collection_table *table, const uint8_t uuid[16],
                                          uint64_t grace_us, uint64_t now_us);

/* What these were before the last Chroma was lost, unless something was sent since that may change
 * them: then these numbers are others, or the stamp is 0. */
struct collection_former collection_table_former(struct collection_table *table,
                                                 const uint8_t            uuid[16],
                                                 const struct record_ids *ids, uint64_t now_us);

/* Of the description of a collection, likewise. Writes that leave it as it is do not move it. 0
 * also while Chroma may not have put into it all that it has taken. */
uint64_t collection_table_description_stamp(struct collection_table *table, const uint8_t uuid[16],
                                            uint64_t now_us);

/* An answer that describes the collection is about to be kept, its description stamp being that of
 * when it was asked for. False: it may not be kept, for it is none, of another collection or of a
 * Chroma that changes it by itself, or memory is out. */
MUST_CHECK bool collection_table_describe(struct collection_table *table, const uint8_t uuid[16],
                                          struct bytes body);

/* Is the collection's description certainly left as it is by this write, which is about to be
 * sent? Of `records` it must be certain that they would pass alone; NULL: they were not scanned. Of
 * a write of several clients each is asked about. */
MUST_CHECK bool collection_table_is_left(struct collection_table     *table,
                                         const struct chroma_route   *route,
                                         const struct chroma_records *records);

/* Somebody says that the collection may have changed although no write to it was seen: its stamps
 * move. */
void collection_table_distrust(struct collection_table *table, const uint8_t uuid[16]);

/* Records of the collection were read: what a former Chroma process had left is applied. */
void collection_table_note_read(struct collection_table *table, const uint8_t uuid[16]);

/* Of the tenants and databases themselves; 0 as above. */
uint64_t collection_table_tenants_stamp(const struct collection_table *table, uint64_t now_us);

/* Of the names in a database; 0 as above. Creations do not move it while they are in flight: they
 * change no name that is there. */
uint64_t collection_table_names_stamp(struct collection_table *table, struct scope scope,
                                      uint64_t now_us);

/* The UUID behind a name. False: it is not known, or a creation, renaming, fork or deletion in that
 * database is unanswered or of unknown outcome. */
MUST_CHECK bool collection_table_uuid(struct collection_table *table, struct scope scope,
                                      struct bytes name, uint64_t now_us, uint8_t ret_uuid[16]);

/* The same while creations are under way: what creates may meet a name that is known, and does not
 * change it. */
MUST_CHECK bool collection_table_standing_uuid(struct collection_table *table, struct scope scope,
                                               struct bytes name, uint64_t now_us,
                                               uint8_t ret_uuid[16]);

/* The names of a collection that is there, as Chroma said at `oldest_us` or later; borrowed until
 * the table changes. False: they are not known, or may be changing. */
MUST_CHECK bool collection_table_names(struct collection_table *table, const uint8_t uuid[16],
                                       uint64_t oldest_us, uint64_t now_us, struct scope *ret_scope,
                                       struct bytes *ret_name);

/* Is a renaming or a deletion that may be of this collection unanswered or of unknown outcome? */
bool collection_table_may_be_changing(struct collection_table *table, const uint8_t uuid[16],
                                      uint64_t now_us);

/* 0: not known. */
uint32_t collection_table_dimension(struct collection_table *table, const uint8_t uuid[16]);

/* False: nothing is known of it. */
MUST_CHECK bool collection_table_facts(struct collection_table *table, const uint8_t uuid[16],
                                       struct collection_facts *ret_facts);

/* What to hand to collection_table_learn() with the answer; taken before the request is sent. */
struct collection_question {
    uint64_t incarnation;
    uint64_t names_stamp;
};

/* Ask before a read of descriptions (collection get, get by id, list) is sent. */
struct collection_question collection_table_ask(struct collection_table   *table,
                                                const struct chroma_route *route, uint64_t now_us);

/* Learn from the body of a 2xx to it; harmless for every other request. What might have changed in
 * between is not learned. A list is read up to `collections_max` collections. */
void collection_table_learn(struct collection_table *table, const struct chroma_route *route,
                            struct collection_question question, struct bytes body,
                            uint64_t now_us);

#endif
