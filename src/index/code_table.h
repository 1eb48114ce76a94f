/* code_table - the codes of all slots at one precision, and scores against them
 *
 * Three arrays by slot: codes, headers, coding errors. Made anew when an index changes its
 * precision; readers hold on to the table they began with.
 *
 * Thread: one writer; readers of slots that the writer has published.
 */
#ifndef INDEX_CODE_TABLE_H
#define INDEX_CODE_TABLE_H

#include "index/index_memory.h"
#include "index/quantizer.h"

struct code_table {
    struct quantizer               quantizer;
    const struct distance_kernels *kernels;
    struct index_region            codes, headers, errors;
    _Atomic float                  norm2_max, error_max; /* of all that was ever coded */
};

/* Reserve room for `slots_max` slots; commits nothing.
 * STATUS_NO_MEMORY  no address space. */
MUST_CHECK enum status code_table_init(struct code_table *table, struct index_memory *memory,
                                       const struct quantizer *quantizer, uint32_t slots_max);
void                   code_table_done(struct code_table *table, struct index_memory *memory);

/* Give the memory of all slots back; no reader may be in it. */
void code_table_empty(struct code_table *table, struct index_memory *memory);

/* Make slots 0 .. slots-1 usable. Outcomes as index_memory_commit(). */
MUST_CHECK enum status code_table_grow(struct code_table *table, struct index_memory *memory,
                                       uint32_t slots);

/* The bytes that one slot takes. */
size_t code_table_slot_bytes(const struct quantizer *quantizer);

static inline uint8_t *code_table_code(const struct code_table *table, uint32_t slot)
{
    return (uint8_t *)table->codes.base + (size_t)slot * table->quantizer.code_bytes;
}

static inline struct code_header *code_table_headers(const struct code_table *table)
{
    return (struct code_header *)(void *)table->headers.base;
}

static inline float *code_table_errors(const struct code_table *table)
{
    return (float *)(void *)table->errors.base;
}

/* A slot was filled in by other means: let the maxima know. */
void code_table_note(struct code_table *table, uint32_t slot);

/* Code `vector` into `slot`. `scratch` has room for 2 * dim floats. */
void code_table_set(struct code_table *table, uint32_t slot, const float *vector, float *scratch);

enum { code_table_batch = 64 }; /* slots scored in one call, at most */

/* scores[i] = the score of slots[i]. */
void code_table_score(const struct code_table *table, const struct quantizer_query *query,
                      const uint32_t *slots, uint32_t count, float *scores);

/* Prepare `query` from the code of `slot`. */
static inline void code_table_query(const struct code_table *table, uint32_t slot,
                                    struct quantizer_query *query)
{
    quantizer_query_code(&table->quantizer, table->kernels, code_table_code(table, slot),
                         &code_table_headers(table)[slot], query);
}

#endif
