#include <string.h>

#include "index/vector_index_core.h"

enum {
    /* Of the used slots, from which on lists are repaired. At 10 nearly every list is chosen anew
     * for half as many dead: 0.30 ms for each replaced vector instead of 0.16. */
    dead_percent = 20,
    dead_min = 64,      /* fewer dead are no reason */
    segment_steps = 64, /* what emptying a segment of the file counts for */
};

static bool wants_repair(const struct vector_index *index);
static void index_on_free(void *ctx, uint32_t slot);
static bool move_rows(struct vector_index *index);
static bool move_row(struct vector_index *index, uint32_t slot);
static void release_moved(struct vector_index *index);
static void reset_when_empty(struct vector_index *index);

bool vector_index_maintain(struct vector_index *index, uint32_t steps)
{
    struct hnsw_view view;
    uint32_t         before = steps;

    vector_index_core_drop_codes(index);
    release_moved(index);
    vector_index_core_follow_quant(index);
    view = vector_index_core_view(index);
    if (index->slots.waiting > 0 && vector_index_core_is_graph_size(index)) {
        uint32_t waiting = index->slots.waiting;

        vector_index_core_link(index, steps);
        steps -= waiting - index->slots.waiting;
    }
    (void)vector_index_core_check(index, before == UINT32_MAX);
    if (index->repair.phase == REPAIR_IDLE && wants_repair(index))
        hnsw_repair_begin(&index->repair, &view);
    steps = hnsw_repair_run(&index->repair, &view, &index->scratch, &index->readers, steps,
                            index_on_free, index);
    vector_index_core_note_ready(index); /* the last live slot may have left the graph */
    if (index->repair.is_unchecked) {
        index->linked_since_check = index->slots.used;
        index->repair.is_unchecked = false;
    }
    while (steps > 0 && move_rows(index))
        steps -= steps < segment_steps ? steps : segment_steps;
    reset_when_empty(index);
    return steps != before && (steps == 0 || wants_repair(index));
}

static bool wants_repair(const struct vector_index *index)
{
    const struct slot_table *slots = &index->slots;

    if (slots->live == 0)
        return slots->dead > 0;
    return slots->dead >= dead_min &&
           (uint64_t)slots->dead * 100 >= (uint64_t)dead_percent * (slots->live + slots->dead);
}

static void index_on_free(void *ctx, uint32_t slot)
{
    struct vector_index *index = ctx;

    vector_file_release(&index->file, slot_table_rows(&index->slots)[slot]);
    slot_table_put_back(&index->slots, slot);
}

/* Copy the live rows of a sparse segment to the end of the file. The old ones are released once no
 * reader can be looking at them. */
static bool move_rows(struct vector_index *index)
{
    uint32_t segment, first;
    bool     moved = true;

    if (index->moved_rows > 0 || !vector_file_find_sparse(&index->file, &segment))
        return false;
    first = segment * vector_file_segment_rows;
    index->moved_segment = segment;
    for (uint32_t slot = 0; slot < index->slots.used && moved; slot++)
        if (slot_table_state(&index->slots, slot) != SLOT_FREE &&
            slot_table_rows(&index->slots)[slot] - first < vector_file_segment_rows)
            moved = move_row(index, slot);
    index->moved_epoch = index_readers_advance(&index->readers);
    release_moved(index);
    return moved && index->moved_rows == 0;
}

static bool move_row(struct vector_index *index, uint32_t slot)
{
    _Atomic uint32_t *row = &slot_table_rows(&index->slots)[slot];
    uint32_t          moved;

    if (vector_file_append(&index->file, vector_file_row(&index->file, *row), &moved) != STATUS_OK)
        return false; /* no space: the file stays as large as it is */
    atomic_store_explicit(row, moved, memory_order_release);
    index->moved_rows++;
    return true;
}

static void release_moved(struct vector_index *index)
{
    if (index->moved_rows == 0 || !index_readers_passed(&index->readers, index->moved_epoch))
        return;
    for (; index->moved_rows > 0; index->moved_rows--)
        vector_file_release(&index->file, index->moved_segment * vector_file_segment_rows);
}

/* When nothing is left, all arrays are given back: what was deleted to the last does not occupy
 * memory for ever. Two calls: readers who still look at slots come to an end in between. */
static void reset_when_empty(struct vector_index *index)
{
    struct slot_table *slots = &index->slots;

    if (slots->live > 0 || slots->dead > 0 || slots->records.committed == 0 ||
        index->repair.phase != REPAIR_IDLE) {
        index->reset_epoch = 0;
        return;
    }
    if (index->reset_epoch == 0) {
        index->graph.entry = 0;
        vector_index_core_note_ready(index);
        slot_table_forget(slots);
        index->link_cursor = 0;
        index->reset_epoch = index_readers_advance(&index->readers);
    }
    if (!index_readers_passed(&index->readers, index->reset_epoch))
        return;
    index->reset_epoch = 0;
    slot_table_empty(slots, &index->memory);
    code_table_empty(vector_index_core_codes(index), &index->memory);
    hnsw_empty(&index->graph, &index->memory);
}
