#include "index/code_table.h"

#include <assert.h>

enum status code_table_init(struct code_table *table, struct index_memory *memory,
                            const struct quantizer *quantizer, uint32_t slots_max)
{
    enum status status;

    *table = (struct code_table){.quantizer = *quantizer, .kernels = distance_kernels()};
    status = index_memory_reserve(memory, &table->codes, (size_t)slots_max * quantizer->code_bytes);
    if (status == STATUS_OK)
        status =
            index_memory_reserve(memory, &table->headers, slots_max * sizeof(struct code_header));
    if (status == STATUS_OK)
        status = index_memory_reserve(memory, &table->errors, slots_max * sizeof(float));
    if (status != STATUS_OK)
        code_table_done(table, memory);
    return status;
}

void code_table_done(struct code_table *table, struct index_memory *memory)
{
    index_memory_release(memory, &table->codes);
    index_memory_release(memory, &table->headers);
    index_memory_release(memory, &table->errors);
}

void code_table_empty(struct code_table *table, struct index_memory *memory)
{
    index_memory_decommit(memory, &table->codes);
    index_memory_decommit(memory, &table->headers);
    index_memory_decommit(memory, &table->errors);
}

enum status code_table_grow(struct code_table *table, struct index_memory *memory, uint32_t slots)
{
    enum status status;

    status =
        index_memory_commit(memory, &table->codes, (size_t)slots * table->quantizer.code_bytes);
    if (status == STATUS_OK)
        status = index_memory_commit(memory, &table->headers, slots * sizeof(struct code_header));
    if (status == STATUS_OK)
        status = index_memory_commit(memory, &table->errors, slots * sizeof(float));
    return status;
}

size_t code_table_slot_bytes(const struct quantizer *quantizer)
{
    return quantizer->code_bytes + sizeof(struct code_header) + sizeof(float);
}

void code_table_set(struct code_table *table, uint32_t slot, const float *vector, float *scratch)
{
    quantizer_encode(&table->quantizer, vector, scratch, code_table_code(table, slot),
                     &code_table_headers(table)[slot], &code_table_errors(table)[slot]);
    code_table_note(table, slot);
}

void code_table_note(struct code_table *table, uint32_t slot)
{
    float norm2 = code_table_headers(table)[slot].norm2, error = code_table_errors(table)[slot];

    /* Before the slot is published, so a reader that sees the one sees the other. */
    if (norm2 > table->norm2_max)
        atomic_store_explicit(&table->norm2_max, norm2, memory_order_relaxed);
    if (error > table->error_max)
        atomic_store_explicit(&table->error_max, error, memory_order_relaxed);
}

void code_table_score(const struct code_table *table, const struct quantizer_query *query,
                      const uint32_t *slots, uint32_t count, float *scores)
{
    const struct code_header *headers = code_table_headers(table);
    const uint8_t            *codes = (const uint8_t *)table->codes.base;
    size_t                    stride = table->quantizer.code_bytes;
    int32_t                   raw[code_table_batch];

    assert(count <= code_table_batch);
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(&headers[slots[i]]);
    if (table->quantizer.kind == QUANTIZER_Q8)
        table->kernels->dot_u8(query->code, codes, stride, slots, count, raw);
    else
        table->kernels->dot_u4(query->code, codes, stride, slots, count, raw);
    for (uint32_t i = 0; i < count; i++)
        scores[i] = quantizer_score(query, &headers[slots[i]], raw[i]);
}
