/* record_ids - which records of a collection is this about?
 *
 * The ids that a write or a read names, boiled down to a set of places of fixed size: each id has
 * one place, by a keyed hash. Two that name an id in common have a place in common. Two that do not
 * may have one, too: one id each with a chance of 1 in RECORD_IDS_PLACES.
 *
 * Thread: any. Memory: none.
 */
#ifndef CHROMA_RECORD_IDS_H
#define CHROMA_RECORD_IDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/siphash.h"
#include "chroma/chroma_query.h"
#include "chroma/chroma_records.h"

/* With more ids than that there is hardly a place left that is not taken; a hash takes some 20 ns.
 */
enum { RECORD_IDS_PLACES = 512, RECORD_IDS_MAX = 256 };

struct record_ids {
    unsigned count; /* ids that were added, an id twice if it was */
    uint64_t places[RECORD_IDS_PLACES / 64];
};

/* Add those of a write. False: they are too many in all, and the set is worth nothing. */
MUST_CHECK bool record_ids_add(struct record_ids *ids, const unsigned char secret[SIPHASH_KEY_SIZE],
                               const struct chroma_records *records);

/* All records that the answer to this may depend on. False: it may depend on others, for it is no
 * get of ids without a filter, or on too many. */
MUST_CHECK bool record_ids_of_get(const struct chroma_query *query,
                                  const unsigned char        secret[SIPHASH_KEY_SIZE],
                                  struct record_ids         *ret_ids);

/* May both name one id? */
bool record_ids_meet(const struct record_ids *left, const struct record_ids *right);

/* Go through the places that are taken, from *place = 0 on. False: that was all. */
bool record_ids_next(const struct record_ids *ids, unsigned *place, unsigned *ret_taken);

#endif
