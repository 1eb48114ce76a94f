/* mirror_answer - what Chroma 1.5.9 would answer to a query, get or count, from the records of a
 * copy
 *
 * The body of the answer has the same members in the same order, records in the same order, and
 * numbers as serde_json writes them; so have refusals. What is not certain is left to Chroma.
 *
 * Thread: as the reader. Memory: the rows that are given, and the answer.
 */
#ifndef MIRROR_MIRROR_ANSWER_H
#define MIRROR_MIRROR_ANSWER_H

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_question.h"
#include "mirror/mirror_records.h"

/* Outcomes as mirror_copy_answer(). The records have no hollow ones. Reasons of NOT_IMPLEMENTED are
 * "body", "filter", "vectors", "dimension" and "n_results" (doc/mirror.md). */
MUST_CHECK enum status mirror_answer(const struct mirror_records  *records,
                                     struct mirror_reader         *reader,
                                     const struct mirror_question *question, unsigned *ret_status,
                                     struct byte_buffer *ret_body, const char **ret_reason);

#endif
