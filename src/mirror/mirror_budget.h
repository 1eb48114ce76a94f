/* mirror_budget - what the parts of mirror_records take of memory and disk together
 *
 * Private to mirror_records. Ids, columns and values take from records->memory, vectors from their
 * index; each of the two is limited to what the other leaves.
 *
 * Thread: the writer; mirror_budget_used() and mirror_budget_disk() also readers.
 */
#ifndef MIRROR_MIRROR_BUDGET_H
#define MIRROR_MIRROR_BUDGET_H

#include <stdint.h>

#include "index/vector_index.h"
#include "mirror/mirror_records_core.h"

/* Limit both for the writer, who leaves a part for the scratch of readers. */
void mirror_budget_share(struct mirror_records *records);

/* Limit both for readers, of whom there may be several at once. */
void mirror_budget_share_for_readers(struct mirror_records *records);

/* What the writer may still take; some 2^63 where nothing is limited. */
uint64_t mirror_budget_left(const struct mirror_records *records);

uint64_t mirror_budget_used(const struct mirror_records *records);

/* Of the files. */
uint64_t mirror_budget_disk(const struct mirror_records *records);

/* Zero where there is no index. */
struct vector_index_memory mirror_budget_index(const struct mirror_records *records);

#endif
