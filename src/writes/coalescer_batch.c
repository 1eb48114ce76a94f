#include "writes/coalescer_batch.h"

#include <assert.h>

#include "writes/coalescer_state.h"

size_t coalescer_batch_count(const struct coalescer_batch *batch)
{
    return batch->count;
}

void *coalescer_batch_member(const struct coalescer_batch *batch, size_t index)
{
    assert(index < batch->count);
    return batch->members[index]->ctx;
}

bool coalescer_batch_is_part(const struct coalescer_batch *batch, uint32_t *ret_first,
                             uint32_t *ret_count)
{
    *ret_first = batch->part_first;
    *ret_count = batch->records;
    return batch->count == 1 && batch->records < batch->members[0]->record_count;
}

uint64_t coalescer_batch_id(const struct coalescer_batch *batch)
{
    return batch->id;
}

uint32_t coalescer_batch_attempt(const struct coalescer_batch *batch)
{
    return batch->attempt;
}

void coalescer_batch_set_ctx(struct coalescer_batch *batch, void *ctx)
{
    batch->ctx = ctx;
}

void *coalescer_batch_ctx(const struct coalescer_batch *batch)
{
    return batch->ctx;
}
