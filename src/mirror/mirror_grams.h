/* mirror_grams - which documents can hold a text: signatures of their trigrams
 *
 * Of every three bytes that stand together in a document one of MIRROR_GRAMS_SLICES bits is set. A
 * document that holds a text has all bits of the text; one that has them may not hold it, so it is
 * looked through. The bits of 512 rows stand beside each other: a block has for each of the slices
 * the bits of its rows, one cache line. A text is looked for with one line for each of its
 * trigrams.
 *
 * Thread: one writer, or any number of readers. Memory: 256 bytes for each row, by blocks of 512
 * rows (128 KiB); taken from `memory`.
 */
#ifndef MIRROR_MIRROR_GRAMS_H
#define MIRROR_MIRROR_GRAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

struct index_memory;

enum {
    MIRROR_GRAMS_SLICES_BITS = 11,
    MIRROR_GRAMS_SLICES = 1 << MIRROR_GRAMS_SLICES_BITS,
    MIRROR_GRAMS_BLOCK_WORDS = 8, /* of 64 rows */
    MIRROR_GRAMS_BLOCK_ROWS = MIRROR_GRAMS_BLOCK_WORDS * 64,
    MIRROR_GRAMS_SIZE_MIN = 3 /* of a text that can be looked for */
};

struct mirror_grams_block {
    uint64_t slices[MIRROR_GRAMS_SLICES][MIRROR_GRAMS_BLOCK_WORDS];
};

/* Zero-initialised means empty. */
struct mirror_grams {
    struct mirror_grams_block **blocks;
    uint32_t                    capacity, block_count; /* of pointers; that are not NULL */
};

void mirror_grams_done(struct mirror_grams *grams, struct index_memory *memory);

/* The row has no signature yet. Outcomes as index_memory_alloc(); nothing changed then. */
MUST_CHECK enum status mirror_grams_add(struct mirror_grams *grams, struct index_memory *memory,
                                        uint32_t row, struct bytes text);

/* It has none any more; harmless where there is none. */
void mirror_grams_remove(struct mirror_grams *grams, uint32_t row);

/* Take from `bitmap`, `words` of 64 rows that have signatures, those that cannot hold `needle`,
 * MIRROR_GRAMS_SIZE_MIN bytes or more. */
void mirror_grams_narrow(const struct mirror_grams *grams, struct bytes needle, uint64_t *bitmap,
                         uint32_t words);

uint64_t mirror_grams_memory(const struct mirror_grams *grams);

/* What that will be when `rows` rows are as those below `row_end`. */
uint64_t mirror_grams_estimate(const struct mirror_grams *grams, uint64_t row_end, uint64_t rows);

#endif
