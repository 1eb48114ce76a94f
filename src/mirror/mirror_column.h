/* mirror_column - of one key, which value each row has
 *
 * The number of the value of each row, up to the last one that has any: or, where less than half of
 * the rows have the key, pairs of row and number, sorted by the rows.
 *
 * Zero-initialised means empty.
 *
 * Thread: one writer, or any number of readers. Memory: see mirror_columns.h.
 */
#ifndef MIRROR_MIRROR_COLUMN_H
#define MIRROR_MIRROR_COLUMN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_terms.h"

struct mirror_column_pair {
    uint32_t row, number;
};

struct mirror_column {
    struct mirror_terms        values;
    uint32_t                  *numbers;  /* by row, 0: none; or NULL */
    struct mirror_column_pair *pairs;    /* if `numbers` is NULL */
    uint32_t                   count;    /* rows that have a value */
    uint32_t                   capacity; /* of numbers or pairs */
    uint32_t                   key;      /* the owner's */
};

void mirror_column_done(struct mirror_column *column, const struct mirror_terms_owner *owner);

/* Make room for one more row, which is `row`; there are `rows` or more. Outcomes as
 * index_memory_alloc(): nothing changed then. */
MUST_CHECK enum status mirror_column_fit(struct mirror_column            *column,
                                         const struct mirror_terms_owner *owner, uint32_t row,
                                         uint32_t rows);

/* There is room for it, and it has no value. */
void mirror_column_put(struct mirror_column *column, uint32_t row, uint32_t number);

/* The number of the value that it had and has no more, or 0. */
uint32_t mirror_column_take(struct mirror_column *column, uint32_t row);

uint64_t mirror_column_memory(const struct mirror_column *column);

/* What that will be when `rows` rows are what the `filled` (1 or more) are that were put. Where
 * `counts_new`, values go on being new as often as they are now, which is not less than they will
 * be; else all have been seen. */
uint64_t mirror_column_estimate(const struct mirror_column *column, uint64_t filled, uint64_t rows,
                                bool counts_new);

#endif
