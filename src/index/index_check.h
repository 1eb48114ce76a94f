/* index_check - arrays that were read from a file become an index, if they are sound
 *
 * The file may hold anything, checksums included: every number that is used as a position is
 * checked here before it is.
 */
#ifndef INDEX_INDEX_CHECK_H
#define INDEX_INDEX_CHECK_H

#include "index/vector_index_core.h"

/* Check the arrays of `index`, which hold `slots` slots, and compute what is not stored: counts,
 * free slots and rows, the way from record to slot, in-degrees, the live rows of the vectors file.
 * STATUS_CORRUPT  `error` says what is wrong; the index can only be freed.
 * STATUS_LIMIT_REACHED, STATUS_NO_MEMORY  as said. */
MUST_CHECK enum status index_check_adopt(struct vector_index *index, uint32_t slots, uint64_t entry,
                                         uint32_t upper_used, struct error *error);

#endif
