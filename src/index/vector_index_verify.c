#include <stdlib.h>
#include <string.h>

#include "index/hnsw_build.h"
#include "index/vector_index_core.h"

static enum status verify_slots(struct vector_index *index, struct error *error);
static enum status verify_code(struct vector_index *index, uint32_t slot, uint8_t *code,
                               struct error *error);
static enum status verify_lists(struct vector_index *index, uint16_t *degrees,
                                struct vector_index_report *report, struct error *error);
static enum status verify_list(struct vector_index *index, uint32_t slot, uint32_t level,
                               uint16_t *degrees, struct vector_index_report *report,
                               struct error *error);

enum status vector_index_verify(struct vector_index *index, struct vector_index_report *ret_report,
                                struct error *error)
{
    struct hnsw_view view = vector_index_core_view(index);
    uint32_t         used = index->slots.used, *lost;
    uint16_t        *degrees;
    enum status      status;

    *ret_report = (struct vector_index_report){.vectors = index->slots.live};
    status = verify_slots(index, error);
    if (status != STATUS_OK || used == 0)
        return status;
    status = index_memory_alloc(&index->memory, used * sizeof *degrees, &degrees);
    if (status != STATUS_OK)
        return error_set(error, status, "%s", status_text(status));
    status = verify_lists(index, degrees, ret_report, error);
    index_memory_free(&index->memory, degrees, used * sizeof *degrees);
    if (status != STATUS_OK)
        return status;
    status = index_memory_alloc(&index->memory, used * sizeof *lost, &lost);
    if (status != STATUS_OK)
        return error_set(error, status, "%s", status_text(status));
    ret_report->unreachable = hnsw_repair_lost(&view, &index->scratch, lost);
    index_memory_free(&index->memory, lost, used * sizeof *lost);
    return STATUS_OK;
}

static enum status verify_slots(struct vector_index *index, struct error *error)
{
    const struct slot_table *slots = &index->slots;
    uint32_t                 counts[SLOT_SEALED + 1] = {0}, used = slots->used, bytes;
    uint8_t                 *code;
    enum status              status;

    bytes = vector_index_core_codes(index)->quantizer.code_bytes;
    status = index_memory_alloc(&index->memory, bytes, &code);
    if (status != STATUS_OK)
        return error_set(error, status, "%s", status_text(status));
    for (uint32_t slot = 0; slot < used && status == STATUS_OK; slot++) {
        enum slot_state state = slot_table_state(slots, slot);

        counts[state]++;
        if (slot_table_is_live(slots, slot) &&
            slot_table_find(slots, slot_table_records(slots)[slot]) != slot)
            status = error_set(error, STATUS_CORRUPT, "record %u does not lead to its slot %u",
                               slot_table_records(slots)[slot], slot);
        else if (state != SLOT_FREE)
            status = verify_code(index, slot, code, error);
    }
    index_memory_free(&index->memory, code, bytes);
    if (status == STATUS_OK && (counts[SLOT_LIVE] + counts[SLOT_WAITING] != slots->live ||
                                counts[SLOT_WAITING] != slots->waiting ||
                                counts[SLOT_DEAD] + counts[SLOT_SEALED] != slots->dead ||
                                counts[SLOT_FREE] != slots->free_count))
        status = error_set(error, STATUS_CORRUPT, "slots are not counted right");
    return status;
}

/* A vector that was damaged on disk no longer has its code, which a checksum guards. */
static enum status verify_code(struct vector_index *index, uint32_t slot, uint8_t *code,
                               struct error *error)
{
    const struct code_table *codes = vector_index_core_codes(index);
    struct code_header       header;
    float                    miss;

    quantizer_encode(&codes->quantizer,
                     vector_file_row(&index->file, slot_table_rows(&index->slots)[slot]),
                     index->scratch.floats, code, &header, &miss);
    if (memcmp(code, code_table_code(codes, slot), codes->quantizer.code_bytes) != 0 ||
        memcmp(&header, &code_table_headers(codes)[slot], sizeof header) != 0)
        return error_set(error, STATUS_CORRUPT, "the vector of record %u is not what was stored",
                         slot_table_records(&index->slots)[slot]);
    return STATUS_OK;
}

static enum status verify_lists(struct vector_index *index, uint16_t *degrees,
                                struct vector_index_report *report, struct error *error)
{
    const uint16_t *counted = (const uint16_t *)(const void *)index->graph.in_degrees.base;
    uint64_t        entry = index->graph.entry;
    enum status     status = STATUS_OK;

    for (uint32_t slot = 0; slot < index->slots.used && status == STATUS_OK; slot++) {
        enum slot_state state = slot_table_state(&index->slots, slot);

        /* What REPAIR_FREE has not come to yet may lead to what it has freed. */
        if (state == SLOT_FREE || !slot_table_is_listed(&index->slots, slot) ||
            (state == SLOT_SEALED && index->repair.phase == REPAIR_FREE))
            continue;
        for (uint32_t i = 0; i <= slot_table_level(&index->slots, slot) && status == STATUS_OK; i++)
            status = verify_list(index, slot, i, degrees, report, error);
    }
    for (uint32_t slot = 0; slot < index->slots.used && status == STATUS_OK; slot++) {
        enum slot_state state = slot_table_state(&index->slots, slot);

        if (state != SLOT_LIVE)
            continue;
        report->linked++;
        report->in_degree_0 += degrees[slot] == 0 && slot != (uint32_t)entry;
        if (index->repair.phase == REPAIR_IDLE && counted[slot] != UINT16_MAX &&
            counted[slot] != degrees[slot])
            status = error_set(error, STATUS_CORRUPT, "slot %u has %u links to it, not %u", slot,
                               degrees[slot], counted[slot]);
    }
    if (status == STATUS_OK && report->linked > 0 && entry == 0)
        status = error_set(error, STATUS_CORRUPT, "the graph has no entry");
    return status;
}

static enum status verify_list(struct vector_index *index, uint32_t slot, uint32_t level,
                               uint16_t *degrees, struct vector_index_report *report,
                               struct error *error)
{
    struct hnsw_view  view = vector_index_core_view(index);
    uint32_t          width;
    _Atomic uint32_t *links = hnsw_links(&index->graph, slot, level, &width);

    for (uint32_t i = 0; i < width && links[i] != SLOT_NONE; i++) {
        uint32_t to = links[i];

        if (to >= index->slots.used || to == slot ||
            slot_table_state(&index->slots, to) == SLOT_FREE ||
            !slot_table_is_listed(&index->slots, to) || slot_table_level(&index->slots, to) < level)
            return error_set(error, STATUS_CORRUPT, "slot %u links to %u at level %u", slot, to,
                             level);
        for (uint32_t j = 0; j < i; j++)
            if (links[j] == to)
                return error_set(error, STATUS_CORRUPT, "slot %u links to %u twice", slot, to);
        if (level > 0)
            continue;
        degrees[to] = (uint16_t)(degrees[to] + (degrees[to] < UINT16_MAX));
        report->links++;
        report->one_way += !hnsw_build_has(&view, to, slot);
    }
    return STATUS_OK;
}
