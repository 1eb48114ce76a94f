/* mirror_vectors - the index of a copied collection: made with the first vector, kept in its bounds
 *
 * Private to mirror_records. Thread: the writer.
 */
#ifndef MIRROR_MIRROR_VECTORS_H
#define MIRROR_MIRROR_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_records_core.h"

/* Put `count` vectors, one behind the other. What is full makes room first.
 * STATUS_INVALID  not of the dimension, or what the index does not take.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, STATUS_IO_FAILED */
MUST_CHECK enum status mirror_vectors_put(struct mirror_records *records, const uint32_t *rows,
                                          const float *vectors, uint32_t count, uint32_t dimension);

/* After many vectors that nobody searches yet: see vector_index_link(), whose outcomes and cost it
 * has, where there is an index. */
MUST_CHECK enum status mirror_vectors_link(struct mirror_records *records, bool is_last);

/* Of the vector of a row, as its owner keeps it. */
uint32_t mirror_vectors_checksum(uint32_t row, const float *vector, uint32_t dimension);

/* Write the index to its files, with this number in them; vectors stay where they are.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY, STATUS_LIMIT_REACHED */
MUST_CHECK enum status mirror_vectors_save(struct mirror_records *records, uint64_t sequence);

/* Open what was saved, of this dimension; its snapshot goes. There is no index yet.
 * STATUS_CORRUPT, STATUS_NOT_FOUND  it is another one, damaged, or gone. Else as above. */
MUST_CHECK enum status mirror_vectors_load(struct mirror_records *records, uint32_t dimension,
                                           uint64_t sequence);

/* Of a row that may have none. */
MUST_CHECK enum status mirror_vectors_remove(struct mirror_records *records, uint32_t row);

/* Give back what the dead hold, or what is only good for speed. False: there is none. */
bool mirror_vectors_make_room(struct mirror_records *records);

/* Some milliseconds of repairs. Returns whether there is more. */
bool mirror_vectors_maintain(struct mirror_records *records);

/* Frees the index and removes its file, if there is one. */
void mirror_vectors_free(struct mirror_records *records);

#endif
