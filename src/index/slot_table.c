#include "index/slot_table.h"

#include <assert.h>

/* Versions this far back are moved up before they would look as if they were still to come. */
enum { age_max = 1 << 29 };

static void limit_ages(struct slot_table *table);

enum status slot_table_init(struct slot_table *table, struct index_memory *memory,
                            uint32_t slots_max, uint32_t records_max)
{
    struct {
        struct index_region *region;
        size_t               size;
    } const wanted[] = {
        {&table->records, (size_t)slots_max * sizeof(uint32_t)},
        {&table->rows, (size_t)slots_max * sizeof(uint32_t)},
        {&table->levels, slots_max},
        {&table->states, slots_max},
        {&table->lives, (size_t)slots_max * sizeof(struct slot_life)},
        {&table->slot_of_record, (size_t)records_max * sizeof(uint32_t)},
    };

    *table = (struct slot_table){
        .slots_max = slots_max, .records_max = records_max, .free_head = SLOT_NONE};
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        enum status status = index_memory_reserve(memory, wanted[i].region, wanted[i].size);

        if (status != STATUS_OK) {
            slot_table_done(table, memory);
            return status;
        }
    }
    return STATUS_OK;
}

void slot_table_done(struct slot_table *table, struct index_memory *memory)
{
    index_memory_release(memory, &table->records);
    index_memory_release(memory, &table->rows);
    index_memory_release(memory, &table->levels);
    index_memory_release(memory, &table->states);
    index_memory_release(memory, &table->lives);
    index_memory_release(memory, &table->slot_of_record);
}

void slot_table_forget(struct slot_table *table)
{
    assert(table->live == 0 && table->dead == 0);
    table->used = 0;
    table->known = 0;
    table->free_head = SLOT_NONE;
    table->free_count = 0;
}

void slot_table_empty(struct slot_table *table, struct index_memory *memory)
{
    index_memory_decommit(memory, &table->records);
    index_memory_decommit(memory, &table->rows);
    index_memory_decommit(memory, &table->levels);
    index_memory_decommit(memory, &table->states);
    index_memory_decommit(memory, &table->lives);
    index_memory_decommit(memory, &table->slot_of_record);
}

enum status slot_table_grow(struct slot_table *table, struct index_memory *memory, uint32_t slots,
                            uint32_t record)
{
    size_t      words = (size_t)slots * sizeof(uint32_t);
    enum status status = STATUS_OK;

    if (slots > table->slots_max || (record != SLOT_NONE && record >= table->records_max))
        return STATUS_LIMIT_REACHED;
    status = index_memory_commit(memory, &table->records, words);
    if (status == STATUS_OK)
        status = index_memory_commit(memory, &table->rows, words);
    if (status == STATUS_OK)
        status = index_memory_commit(memory, &table->levels, slots);
    if (status == STATUS_OK)
        status = index_memory_commit(memory, &table->states, slots);
    if (status == STATUS_OK)
        status = index_memory_commit(memory, &table->lives, slots * sizeof(struct slot_life));
    if (status == STATUS_OK && record != SLOT_NONE)
        status = index_memory_commit(memory, &table->slot_of_record,
                                     ((size_t)record + 1) * sizeof(uint32_t));
    if (status == STATUS_OK && record != SLOT_NONE && record >= table->known)
        atomic_store_explicit(&table->known, record + 1, memory_order_release);
    return status;
}

uint32_t slot_table_next(const struct slot_table *table)
{
    return table->free_head != SLOT_NONE ? table->free_head : table->used;
}

uint32_t slot_table_take(struct slot_table *table, uint32_t record, uint32_t row, uint8_t level)
{
    uint32_t slot = slot_table_next(table);

    if (table->free_head != SLOT_NONE) {
        table->free_head = slot_table_records(table)[slot];
        table->free_count--;
    } else {
        atomic_store_explicit(&table->used, slot + 1, memory_order_release);
    }
    assert(slot_table_state(table, slot) == SLOT_FREE);
    slot_table_records(table)[slot] = record;
    atomic_store_explicit(&slot_table_rows(table)[slot], row, memory_order_relaxed);
    slot_table_levels(table)[slot] = level;
    return slot;
}

void slot_table_publish(struct slot_table *table, uint32_t slot)
{
    uint32_t record = slot_table_records(table)[slot];
    bool     replaces = slot_table_find(table, record) != SLOT_NONE;

    atomic_store_explicit(&slot_table_lives(table)[slot].born, table->version + replaces,
                          memory_order_relaxed);
    slot_table_set_state(table, slot, SLOT_WAITING);
    atomic_store_explicit(&slot_table_slot_of(table)[record], slot + 1, memory_order_release);
    table->live++;
    table->waiting++;
}

void slot_table_bury(struct slot_table *table, uint32_t slot)
{
    uint32_t record = slot_table_records(table)[slot];

    assert(slot_table_is_live(table, slot));
    if (slot_table_find(table, record) == slot)
        atomic_store_explicit(&slot_table_slot_of(table)[record], 0, memory_order_release);
    if (slot_table_state(table, slot) == SLOT_WAITING)
        table->waiting--;
    atomic_store_explicit(&slot_table_lives(table)[slot].died, table->version + 1,
                          memory_order_release);
    slot_table_set_state(table, slot, SLOT_DEAD);
    table->live--;
    table->dead++;
}

void slot_table_advance(struct slot_table *table)
{
    if ((table->version + 1) % age_max == 0)
        limit_ages(table);
    atomic_fetch_add(&table->version, 1);
}

/* No search lasts for half a thousand million changes, so none can tell the difference. */
static void limit_ages(struct slot_table *table)
{
    uint32_t oldest = table->version - age_max;

    for (uint32_t slot = 0; slot < table->used; slot++) {
        struct slot_life *life = &slot_table_lives(table)[slot];

        if ((int32_t)(life->born - oldest) < 0)
            atomic_store_explicit(&life->born, oldest, memory_order_relaxed);
        if ((int32_t)(life->died - oldest) < 0)
            atomic_store_explicit(&life->died, oldest, memory_order_relaxed);
    }
}

void slot_table_enter(struct slot_table *table, uint32_t slot)
{
    assert(slot_table_state(table, slot) == SLOT_WAITING);
    slot_table_set_state(table, slot, SLOT_LIVE);
    table->waiting--;
}

void slot_table_put_back(struct slot_table *table, uint32_t slot)
{
    if (slot_table_state(table, slot) == SLOT_SEALED)
        table->dead--;
    slot_table_set_state(table, slot, SLOT_FREE);
    slot_table_records(table)[slot] = table->free_head;
    table->free_head = slot;
    table->free_count++;
}
