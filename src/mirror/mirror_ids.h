/* mirror_ids - the rows of a copied collection: which id has which, and in which order they stand
 *
 * A row is a number from 0 that stays as long as its record does; those of what was removed are
 * taken again. The order is that in which records were put: a removed one that is put again stands
 * at the end.
 *
 * Thread: one that changes it, or any number that read.
 * Memory: for each record 32 bytes, 4 for its place (some of which are gaps, at most half), up to
 * 11 for the table, and its id with 4 bytes in front, rounded up to 8. All is taken from an
 * index_memory, so it is counted and limited; arrays never move.
 */
#ifndef MIRROR_MIRROR_IDS_H
#define MIRROR_MIRROR_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "base/status.h"
#include "index/index_memory.h"
#include "mirror/mirror_values.h"

struct mirror_ids;

/* What its owner keeps for each record; zeroed when it is put. */
struct mirror_row {
    uint64_t           mark;
    struct mirror_seal seal;
    uint32_t           vector_checksum;

    uint32_t text;  /* private: where its id is; 0: the row is free */
    uint32_t hash;  /* private */
    uint32_t place; /* private: of a free row the next free one */
};

/* `memory` is borrowed; ids take at most `text_max` bytes of address space.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED */
MUST_CHECK enum status mirror_ids_new(struct index_memory *memory, uint32_t records_max,
                                      uint64_t            text_max,
                                      const unsigned char secret[SIPHASH_KEY_SIZE],
                                      struct mirror_ids **ret_ids);

/* NULL is fine. */
void mirror_ids_free(struct mirror_ids *ids);

uint32_t mirror_ids_count(const struct mirror_ids *ids);

/* All rows are below it. */
uint32_t mirror_ids_row_end(const struct mirror_ids *ids);

/* Is it that of a record? */
bool mirror_ids_has(const struct mirror_ids *ids, uint32_t row);

/* STATUS_NOT_FOUND */
MUST_CHECK enum status mirror_ids_find(const struct mirror_ids *ids, struct bytes id,
                                       uint32_t *ret_row);

/* Of a record. Borrowed until it is removed. */
struct bytes       mirror_ids_id(const struct mirror_ids *ids, uint32_t row);
struct mirror_row *mirror_ids_row(const struct mirror_ids *ids, uint32_t row);

/* Where it stands in the order: lower than those behind it. It may move when others are removed. */
uint32_t mirror_ids_place(const struct mirror_ids *ids, uint32_t row);

/* Walk the rows in their order: begin with *position 0, until false. */
bool mirror_ids_next(const struct mirror_ids *ids, size_t *position, uint32_t *ret_row);

/* Put a record with `id`, which is copied and not there yet, at the end.
 * STATUS_LIMIT_REACHED, STATUS_NO_MEMORY: nothing changed. */
MUST_CHECK enum status mirror_ids_put(struct mirror_ids *ids, struct bytes id, uint32_t *ret_row);

/* What was saved comes back: put a record with `id` at the end, in this row. Others between the
 * last row and it stay unused until mirror_ids_restored(), which ends this.
 * STATUS_CORRUPT  the row or the id is there already. Others as mirror_ids_put(). */
MUST_CHECK enum status mirror_ids_restore(struct mirror_ids *ids, struct bytes id, uint32_t row);
void                   mirror_ids_restored(struct mirror_ids *ids);

void mirror_ids_remove(struct mirror_ids *ids, uint32_t row);

#endif
