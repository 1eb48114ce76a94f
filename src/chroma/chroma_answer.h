/* chroma_answer - what can be learned from Chroma's answers, and the one that is changed
 *
 * Thread: any.
 */
#ifndef CHROMA_CHROMA_ANSWER_H
#define CHROMA_CHROMA_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"

/* The answer to creating or getting a collection: its UUID, and the dimension of its vectors.
 * False: it is not such an answer, or the dimension is not fixed yet. */
bool chroma_answer_collection(struct bytes body, uint8_t ret_uuid[16], uint32_t *ret_dimension);

/* The answer to pre-flight-checks with `max_batch_size` raised to `records`; every other byte
 * stays. Appended to `out`. False: it has no such member, a larger value already, or memory is out;
 * `out` is as before. */
MUST_CHECK bool chroma_answer_raise_batch_limit(struct bytes body, uint64_t records,
                                                struct byte_buffer *out);

#endif
