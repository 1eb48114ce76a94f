#include "index/index_check.h"

#include <math.h>

static enum status adopt_slots(struct vector_index *index, uint32_t slots, struct error *error);
static bool        adopt_slot(struct vector_index *index, uint32_t slot);
static bool        is_sound_code(const struct vector_index *index, uint32_t slot);
static enum status adopt_upper(struct vector_index *index, uint32_t slots, uint32_t upper_used,
                               struct error *error);
static bool        own_rows(const struct vector_index *index, uint32_t slot, uint32_t upper_used,
                            uint64_t *owned);
static void free_rows(struct vector_index *index, uint32_t upper_used, const uint64_t *owned);
static enum status adopt_links(struct vector_index *index, uint32_t slots, struct error *error);
static bool        is_sound_list(const struct vector_index *index, uint32_t slots, uint32_t slot,
                                 uint32_t level);

enum status index_check_adopt(struct vector_index *index, uint32_t slots, uint64_t entry,
                              uint32_t upper_used, struct error *error)
{
    enum status status = adopt_slots(index, slots, error);

    if (status != STATUS_OK)
        return status;
    vector_file_claimed(&index->file);
    if (entry == 0)
        return index->slots.live == index->slots.waiting
                   ? STATUS_OK
                   : error_set(error, STATUS_CORRUPT, "a graph without an entry");
    if ((uint32_t)entry >= slots || slot_table_state(&index->slots, (uint32_t)entry) == SLOT_FREE ||
        !slot_table_is_listed(&index->slots, (uint32_t)entry) ||
        slot_table_level(&index->slots, (uint32_t)entry) + 1 != entry >> 32)
        return error_set(error, STATUS_CORRUPT, "the entry is no slot of the graph");
    status = adopt_upper(index, slots, upper_used, error);
    if (status == STATUS_OK)
        status = adopt_links(index, slots, error);
    if (status != STATUS_OK)
        return status;
    index->graph.entry = entry;
    index->graph_ready = index->slots.waiting == 0;
    return STATUS_OK;
}

static enum status adopt_slots(struct vector_index *index, uint32_t slots, struct error *error)
{
    struct slot_table *table = &index->slots;

    for (uint32_t slot = 0; slot < slots; slot++)
        if (slot_table_state(table, slot) > SLOT_DEAD ||
            slot_table_level(table, slot) > hnsw_level_max)
            return error_set(error, STATUS_CORRUPT, "slot %u has no known state", slot);
    atomic_store_explicit(&table->used, slots, memory_order_release);
    /* From the end, so that the chain of free slots begins at the front. */
    for (uint32_t slot = slots; slot-- > 0;) {
        if (slot_table_state(table, slot) == SLOT_FREE) {
            slot_table_levels(table)[slot] = 0;
            slot_table_put_back(table, slot);
        } else if (!adopt_slot(index, slot)) {
            return error_set(error, STATUS_CORRUPT, "slot %u is not sound", slot);
        }
    }
    return STATUS_OK;
}

static bool adopt_slot(struct vector_index *index, uint32_t slot)
{
    struct slot_table *table = &index->slots;
    enum slot_state    state = slot_table_state(table, slot);
    uint32_t           record = slot_table_records(table)[slot];

    if (record >= table->known || !is_sound_code(index, slot) ||
        !vector_file_claim(&index->file, slot_table_rows(table)[slot]))
        return false;
    code_table_note(vector_index_core_codes(index), slot);
    if (state == SLOT_DEAD) {
        table->dead++;
        return true;
    }
    if (slot_table_is_listed(table, slot) != (state == SLOT_LIVE) ||
        slot_table_find(table, record) != SLOT_NONE)
        return false;
    slot_table_publish(table, slot);
    if (state == SLOT_LIVE)
        slot_table_enter(table, slot);
    return true;
}

static bool is_sound_code(const struct vector_index *index, uint32_t slot)
{
    const struct code_table  *codes = vector_index_core_codes(index);
    const struct code_header *header = &code_table_headers(codes)[slot];
    float                     error = code_table_errors(codes)[slot];

    /* False for NaN, too. */
    return header->step >= 0 && header->step < INFINITY && header->norm2 >= 0 &&
           header->norm2 < INFINITY && error >= 0 && error < INFINITY;
}

static enum status adopt_upper(struct vector_index *index, uint32_t slots, uint32_t upper_used,
                               struct error *error)
{
    size_t      size = (upper_used / 64 + 1) * sizeof(uint64_t);
    uint64_t   *owned;
    enum status status = index_memory_alloc(&index->memory, size, &owned);

    if (status != STATUS_OK)
        return error_set(error, status, "%s", status_text(status));
    for (uint32_t slot = 0; slot < slots && status == STATUS_OK; slot++)
        if (!own_rows(index, slot, upper_used, owned))
            status =
                error_set(error, STATUS_CORRUPT, "slot %u has no upper lists of its own", slot);
    if (status == STATUS_OK)
        free_rows(index, upper_used, owned);
    index_memory_free(&index->memory, owned, size);
    return status;
}

static bool own_rows(const struct vector_index *index, uint32_t slot, uint32_t upper_used,
                     uint64_t *owned)
{
    uint32_t row = ((const uint32_t *)(const void *)index->graph.upper_rows.base)[slot];
    uint32_t level = slot_table_level(&index->slots, slot);

    if (!slot_table_is_listed(&index->slots, slot) || level == 0)
        return true;
    if (row >= upper_used || level > upper_used - row)
        return false;
    for (uint32_t i = row; i < row + level; i++) {
        if ((owned[i / 64] >> (i % 64) & 1) != 0)
            return false;
        owned[i / 64] |= UINT64_C(1) << (i % 64);
    }
    return true;
}

/* Rows that nobody owns serve slots of level 1, whatever they served before. */
static void free_rows(struct vector_index *index, uint32_t upper_used, const uint64_t *owned)
{
    struct hnsw *graph = &index->graph;
    uint32_t    *upper = (uint32_t *)(void *)graph->upper.base;

    graph->upper_used = upper_used;
    for (uint32_t row = upper_used; row-- > 0;)
        if ((owned[row / 64] >> (row % 64) & 1) == 0) {
            upper[(size_t)row * graph->m] = graph->upper_free[1];
            graph->upper_free[1] = row;
        }
}

static enum status adopt_links(struct vector_index *index, uint32_t slots, struct error *error)
{
    for (uint32_t slot = 0; slot < slots; slot++) {
        if (!slot_table_is_listed(&index->slots, slot))
            continue;
        for (uint32_t level = 0; level <= slot_table_level(&index->slots, slot); level++)
            if (!is_sound_list(index, slots, slot, level))
                return error_set(error, STATUS_CORRUPT, "the links of slot %u are not sound", slot);
    }
    return STATUS_OK;
}

/* Checks a list and counts its links. */
static bool is_sound_list(const struct vector_index *index, uint32_t slots, uint32_t slot,
                          uint32_t level)
{
    uint16_t       *degrees = (uint16_t *)(void *)index->graph.in_degrees.base;
    const uint8_t  *levels = slot_table_levels(&index->slots);
    uint32_t        width, i = 0;
    const uint32_t *links = (const uint32_t *)hnsw_links(&index->graph, slot, level, &width);

    for (; i < width && links[i] != SLOT_NONE; i++) {
        uint32_t to = links[i];

        /* One comparison for "has lists" and "reaches this level". */
        if (to >= slots || to == slot || levels[to] < (SLOT_LISTED | level))
            return false;
        if (level == 0)
            degrees[to] = (uint16_t)(degrees[to] + (degrees[to] < UINT16_MAX));
    }
    for (; i < width; i++)
        if (links[i] != SLOT_NONE)
            return false;
    return true;
}
