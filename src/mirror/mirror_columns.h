/* mirror_columns - what filters ask of the records of a copy, by row, in memory
 *
 * A column for each key: of each row the number of its value. Each different value of a key is kept
 * once (mirror_terms.h), so a condition is asked of the different values, not of the records.
 * Columns of keys that few records have are lists of pairs.
 *
 * Documents are not kept. Of each there is a signature (mirror_grams.h), which says of most that
 * they do not hold a text; the others are asked of the owner, and looked through.
 *
 * Thread: one writer, or any number of readers; who owns it keeps the two apart. Memory: 4 bytes
 * for each row and key (8 for each value where less than half of the rows have the key), about 32
 * for each different value and its text, 256 for each row with a document; all of it taken from the
 * owner's `memory`, and bounded by that.
 */
#ifndef MIRROR_MIRROR_COLUMNS_H
#define MIRROR_MIRROR_COLUMNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "base/status.h"
#include "mirror/filter.h"

struct index_memory;
struct mirror_columns;

/* More different keys than this in one collection are STATUS_LIMIT_REACHED. */
enum { MIRROR_COLUMNS_KEYS_MAX = 16384 };

/* Where documents come from. `get` gives the document of a row that has one, as it was set;
 * borrowed until the next call. What it returns but STATUS_OK ends the evaluation. */
struct mirror_columns_documents {
    enum status (*get)(void *ctx, uint32_t row, struct bytes *ret_document);
    void *ctx;
};

/* `memory` is borrowed until mirror_columns_free(); `secret` is copied.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED */
MUST_CHECK enum status mirror_columns_new(struct index_memory    *memory,
                                          const unsigned char     secret[SIPHASH_KEY_SIZE],
                                          struct mirror_columns **ret_columns);

/* NULL is fine. */
void mirror_columns_free(struct mirror_columns *columns);

/* What `row` holds from now on, in place of what it held; rows may be set in any order. Rows that
 * were not set hold nothing. All is borrowed for the call.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED: nothing changed, but that signatures may be gone. */
MUST_CHECK enum status mirror_columns_set(struct mirror_columns *columns, uint32_t row,
                                          const struct filter_subject *subject);

/* The row holds nothing. */
void mirror_columns_clear(struct mirror_columns *columns, uint32_t row);

/* Give the memory of the signatures back, for good: documents are then all looked through. It also
 * happens where there is no memory for the next one. */
void mirror_columns_drop_signatures(struct mirror_columns *columns);

/* The rows of `live` that `filter` takes, as filter_matches() says: bit r % 64 of bitmap[r / 64]
 * for r < bits; both have bits / 64 words, rounded up, and bits from `bits` on are 0 in
 * `ret_bitmap`. `documents` is asked only for rows that the other conditions leave undecided.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, or what documents->get() returned. */
MUST_CHECK enum status mirror_columns_filter(const struct mirror_columns *columns,
                                             const struct filter *filter, const uint64_t *live,
                                             uint32_t                               bits,
                                             const struct mirror_columns_documents *documents,
                                             uint64_t *ret_bitmap, uint32_t *ret_count);

struct mirror_columns_usage {
    uint64_t memory;     /* all of it, in bytes; the next is part of it */
    uint64_t signatures; /* of documents */
    uint32_t keys;
};

void mirror_columns_usage(const struct mirror_columns *columns,
                          struct mirror_columns_usage *ret_usage);

/* As mirror_column_estimate(), for all of it. */
uint64_t mirror_columns_estimate(const struct mirror_columns *columns, uint64_t filled,
                                 uint64_t rows, bool counts_new);

#endif
