/* mirror_space - does Chroma search a collection in the space that its description says?
 *
 * Of a collection that a Chroma before 1.0 made, the space was in its metadata (`hnsw:space`),
 * which may have been changed since, and its configuration said l2 whatever that was. Chroma 1.5.9
 * still says l2 of such a one and searches in the space in which it was made. So where l2 is said
 * it is asked for the nearest record to a vector that is far from length 1, with its vector and its
 * distance: that is the square of what lies between them, or it is another space.
 *
 * Thread: any. Memory: none.
 */
#ifndef MIRROR_MIRROR_SPACE_H
#define MIRROR_MIRROR_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

enum mirror_space_result {
    MIRROR_SPACE_FITS,   /* it is l2 */
    MIRROR_SPACE_EMPTY,  /* there is no record to tell by */
    MIRROR_SPACE_DIFFERS /* it is not, or the answer is not understood */
};

/* Append the body of the `query` to ask. STATUS_NO_MEMORY. */
MUST_CHECK enum status mirror_space_print(uint32_t dimension, struct byte_buffer *out);

enum mirror_space_result mirror_space_read(struct bytes answer, uint32_t dimension);

/* Does the description of a collection name another space than l2 in `hnsw:space`? */
bool mirror_space_doubts(struct bytes description);

#endif
