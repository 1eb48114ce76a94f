#include "mirror/mirror_estimate.h"

#include "index/vector_index.h"
#include "mirror/mirror_budget.h"

/* Id and place, what stands for a document, some keys of metadata (doc/mirror.md); tables and
 * buffers of any copy. */
enum { record_bytes = 420, copy_bytes = 256 << 10 };

enum { sample_min = 1000, sample_enough = 20000, sample_part = 16 };

uint64_t mirror_estimate_of_size(uint64_t records, uint32_t dimension)
{
    return records * record_bytes + vector_index_estimate(dimension, records) + copy_bytes;
}

uint64_t mirror_estimate_of_vectors(uint64_t records, uint32_t dimension)
{
    return vector_index_estimate_file(dimension, records);
}

uint64_t mirror_estimate_of_filling(const struct mirror_records *records, bool *ret_is_sampled)
{
    uint64_t                    count = mirror_ids_count(records->ids);
    uint64_t                    filled = count - records->hollow_count;
    uint64_t                    used = mirror_budget_used(records), expected;
    struct mirror_columns_usage columns;

    *ret_is_sampled = filled == count || filled >= sample_enough ||
                      (filled >= sample_min && filled * sample_part >= count);
    if (filled == count)
        return used;
    mirror_columns_usage(records->columns, &columns);
    expected = used - columns.memory;
    expected += filled == 0
                    ? columns.memory
                    : mirror_columns_estimate(records->columns, filled, count, *ret_is_sampled);
    expected += vector_index_estimate(records->dimension, count);
    expected -= vector_index_estimate(records->dimension, filled);
    return expected > used ? expected : used;
}
