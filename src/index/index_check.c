#include "index/index_check.h"

#include <float.h>
#include <math.h>

static enum status adopt_slots(struct vector_index *index, uint32_t slots, bool has_graph,
                               struct error *error);
static bool        adopt_slot(struct vector_index *index, uint32_t slot, bool has_graph);
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
    enum status status = adopt_slots(index, slots, entry != 0, error);

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
    index->linked_since_check = slots; /* what awaited a check is not in the file */
    vector_index_core_note_ready(index);
    return STATUS_OK;
}

static enum status adopt_slots(struct vector_index *index, uint32_t slots, bool has_graph,
                               struct error *error)
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
        } else if (!adopt_slot(index, slot, has_graph)) {
            return error_set(error, STATUS_CORRUPT, "slot %u is not sound", slot);
        }
    }
    return STATUS_OK;
}

static bool adopt_slot(struct vector_index *index, uint32_t slot, bool has_graph)
{
    struct slot_table *table = &index->slots;
    enum slot_state    state = slot_table_state(table, slot);
    uint32_t           record = slot_table_records(table)[slot];

    if (record >= table->known || !is_sound_code(index, slot) ||
        !vector_file_claim(&index->file, slot_table_rows(table)[slot]))
        return false;
    code_table_note(vector_index_core_codes(index), slot);
    if (state == SLOT_DEAD) {
        if (!has_graph) /* the graph went with the last live slot: its lists are not in the file */
            slot_table_levels(table)[slot] &= SLOT_LISTED - 1;
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

    /* What quantizer_accepts() lets in, with room for rounding: bounds made of it are finite. False
     * for NaN, too. */
    const float longest = sqrtf(FLT_MAX / 4);

    return header->step >= 0 && header->step <= longest && header->norm2 >= 0 &&
           header->norm2 <= FLT_MAX / 8 && error >= 0 && error <= longest;
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

/* Rows that nobody owns, in runs as long as the lists of one slot can be. */
static void free_rows(struct vector_index *index, uint32_t upper_used, const uint64_t *owned)
{
    uint32_t run;

    index->graph.upper_used = upper_used;
    for (uint32_t row = 0; row<upper_used; row += run> 0 ? run : 1) {
        for (run = 0; run < hnsw_level_max && row + run < upper_used; run++)
            if ((owned[(row + run) / 64] >> ((row + run) % 64) & 1) != 0)
                break;
        if (run > 0)
            hnsw_put_rows(&index->graph, row, run);
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
