/* coalescer_batch - what one call to Chroma carries, as the caller sees it
 *
 * Given with COALESCER_SEND, borrowed until its COALESCER_END.
 */
#ifndef WRITES_COALESCER_BATCH_H
#define WRITES_COALESCER_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coalescer_batch; /* opaque */

/* The members of a batch in the order in which they are to be spliced: their ctx. */
size_t coalescer_batch_count(const struct coalescer_batch *batch);
void  *coalescer_batch_member(const struct coalescer_batch *batch, size_t index);

/* True where the batch is a part of its one member: the records from *ret_first on,
 * *ret_count of them. Each part is sent as a request of its own. */
bool coalescer_batch_is_part(const struct coalescer_batch *batch, uint32_t *ret_first,
                             uint32_t *ret_count);

/* For the log: a number that no other batch has, and how often these members were sent before. */
uint64_t coalescer_batch_id(const struct coalescer_batch *batch);
uint32_t coalescer_batch_attempt(const struct coalescer_batch *batch);

/* The caller's own pointer, NULL at first: its transfer, the answer it keeps. */
void  coalescer_batch_set_ctx(struct coalescer_batch *batch, void *ctx);
void *coalescer_batch_ctx(const struct coalescer_batch *batch);

#endif
