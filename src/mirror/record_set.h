/* record_set - the records of a collection, in the order in which Chroma has them
 *
 * By id, and in the order in which they were put: a record that is changed keeps its place, one
 * that is removed and put again stands at the end. That is the order of Chroma's `get`, with its
 * limit and offset.
 *
 * Thread: one at a time. Memory: that of the records, and some 50 bytes for each.
 */
#ifndef MIRROR_RECORD_SET_H
#define MIRROR_RECORD_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "base/status.h"
#include "mirror/filter.h"
#include "mirror/mirror_metadata.h"

struct record_set;

/* Everything but `id` and `place` belongs to who changes the records, and is freed with them. */
struct record {
    struct bytes            id;
    size_t                  place;    /* private */
    struct mirror_metadata *metadata; /* NULL: none */
    char                   *document; /* NULL: none */
    size_t                  document_size;
    char                   *uri; /* NULL: none */
    size_t                  uri_size;
    float                  *vector; /* NULL: none */
    size_t                  dimension;
};

/* `secret` is copied. NULL: no memory. */
struct record_set *record_set_new(const unsigned char secret[SIPHASH_KEY_SIZE], size_t records_max);

void record_set_free(struct record_set *set);

size_t record_set_count(const struct record_set *set);

/* NULL: there is none. The record is borrowed until it is removed. */
struct record *record_set_get(const struct record_set *set, struct bytes id);

/* Add a record that has nothing but `id`, which is copied and not in the set yet, at the end.
 * STATUS_LIMIT_REACHED, STATUS_NO_MEMORY: nothing changed. */
MUST_CHECK enum status record_set_put(struct record_set *set, struct bytes id,
                                      struct record **ret_record);

/* Frees the record. */
void record_set_remove(struct record_set *set, struct record *record);

/* Walk the records in their order: begin with *position 0, until NULL. Records may be removed on
 * the way, none may be put. */
struct record *record_set_next(const struct record_set *set, size_t *position);

/* What a filter asks of a record. */
struct filter_subject record_set_subject(const struct record *record);

#endif
