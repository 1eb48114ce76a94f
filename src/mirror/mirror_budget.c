#include "mirror/mirror_budget.h"

enum { readers_part = 16, ids_part = 8 };

static void set_budget_limits(struct mirror_records *records, uint64_t memory, uint64_t index);

void mirror_budget_share(struct mirror_records *records)
{
    uint64_t left = mirror_budget_left(records);

    set_budget_limits(records, left, left);
}

void mirror_budget_share_for_readers(struct mirror_records *records)
{
    uint64_t used = mirror_budget_used(records), max = records->memory_max;
    uint64_t left = used < max ? max - used : 0;

    set_budget_limits(records, left / ids_part, left - left / ids_part);
}

static void set_budget_limits(struct mirror_records *records, uint64_t memory, uint64_t index)
{
    if (records->memory_max == 0)
        return;
    records->memory.limit = records->memory.used + memory;
    if (records->index != NULL)
        vector_index_set_memory_max(records->index, mirror_budget_index(records).used + index);
}

uint64_t mirror_budget_left(const struct mirror_records *records)
{
    uint64_t used = mirror_budget_used(records);
    uint64_t max = records->memory_max - records->memory_max / readers_part;

    if (records->memory_max == 0)
        return UINT64_MAX / 2;
    return used < max ? max - used : 0;
}

uint64_t mirror_budget_used(const struct mirror_records *records)
{
    return records->memory.used + mirror_budget_index(records).used;
}

uint64_t mirror_budget_disk(const struct mirror_records *records)
{
    return mirror_values_disk(records->values) + mirror_budget_index(records).file_bytes;
}

struct vector_index_memory mirror_budget_index(const struct mirror_records *records)
{
    struct vector_index_memory memory = {0};

    if (records->index != NULL)
        vector_index_memory(records->index, &memory);
    return memory;
}
