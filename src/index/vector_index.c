#include "index/vector_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/rng.h"
#include "index/hnsw_build.h"
#include "index/vector_index_core.h"

enum { link_ratio = 4 /* WAITING slots linked along with each add, until none waits */ };

static enum status draw_identity(const struct vector_index_options *options,
                                 uint64_t                          *ret_identity);
static enum status vector_index_store(struct vector_index *index, uint32_t record,
                                      const float *vector, uint32_t *ret_slot);
static enum status vector_index_make_room(struct vector_index *index, uint32_t record);
static enum status store_many(struct vector_index *index, const uint32_t *records,
                              const float *vectors, uint32_t count, uint32_t *old_slots,
                              uint32_t *ret_added);
static void        link_all(struct vector_index *index, unsigned threads);
static uint32_t    prepare_all(struct vector_index *index, uint32_t *slots);

enum status vector_index_new(const struct vector_index_options *options,
                             struct vector_index **ret_index, struct error *error)
{
    struct vector_index   *index;
    const struct file_ops *ops;
    uint64_t               identity;
    enum status            status = vector_index_core_new(options, &index, error);

    if (status != STATUS_OK)
        return status;
    /* A snapshot without its vectors is worth nothing: it goes first. */
    ops = index->options.file_ops;
    status = draw_identity(&index->options, &identity);
    if (status == STATUS_OK)
        status = file_unlink(ops, index->path);
    if (status == STATUS_OK)
        status = file_sync_dir(ops, index->path);
    if (status == STATUS_OK)
        status = vector_file_create(&index->file, &index->memory, ops, index->vectors_path,
                                    index->options.dim, identity, index->options.vectors_max);
    if (status != STATUS_OK) {
        error_set(error, status, "%s: cannot be created: %s", index->vectors_path,
                  status_text(status));
        vector_index_free(index);
        return status;
    }
    *ret_index = index;
    return STATUS_OK;
}

/* No two indexes share one, or a snapshot would take the vectors of another for its own. */
static enum status draw_identity(const struct vector_index_options *options, uint64_t *ret_identity)
{
    uint64_t number = options->identity;

    if (number == 0 && getrandom(&number, sizeof number, 0) != sizeof number)
        return STATUS_IO_FAILED;
    *ret_identity = rng_mix(number ^ rng_mix(options->seed) ^ rng_mix(options->dim) ^
                            rng_mix(0x100 + (uint64_t)options->metric));
    return STATUS_OK;
}

void vector_index_free(struct vector_index *index)
{
    if (index == NULL)
        return;
    assert(list_is_empty(&index->readers.list));
    vector_index_core_free_codes(index, index->old_codes);
    vector_index_core_free_codes(index, vector_index_core_codes(index));
    hnsw_scratch_done(&index->scratch, &index->memory);
    hnsw_done(&index->graph, &index->memory);
    slot_table_done(&index->slots, &index->memory);
    vector_file_done(&index->file);
    index_readers_done(&index->readers);
    assert(index->memory.used == sizeof *index); /* every byte was given back */
    free(index->path);
    free(index->vectors_path);
    free(index);
}

enum status vector_index_add(struct vector_index *index, uint32_t record, const float *vector)
{
    uint32_t    old = slot_table_find(&index->slots, record), slot;
    enum status status;

    status = vector_index_store(index, record, vector, &slot);
    if (status == STATUS_OK && vector_index_core_is_graph_size(index)) {
        /* In a graph the new slot is linked here and now: it is the only one that waits. */
        index->link_cursor = index->slots.waiting == 1 ? slot : index->link_cursor;
        vector_index_core_link(index, link_ratio);
    }
    if (status == STATUS_OK && old != SLOT_NONE)
        slot_table_bury(&index->slots, old);
    slot_table_advance(&index->slots);
    return status;
}

static enum status vector_index_store(struct vector_index *index, uint32_t record,
                                      const float *vector, uint32_t *ret_slot)
{
    uint32_t    row, slot;
    enum status status;

    if (!quantizer_accepts(vector, index->options.dim))
        return STATUS_INVALID;
    status = vector_index_make_room(index, record);
    if (status == STATUS_OK)
        status = vector_file_append(&index->file, vector, &row);
    if (status != STATUS_OK)
        return status;
    slot = slot_table_take(&index->slots, record, row,
                           hnsw_level(index->options.seed, record, index->options.m));
    code_table_set(vector_index_core_codes(index), slot, vector, index->scratch.floats);
    slot_table_publish(&index->slots, slot);
    *ret_slot = slot;
    return STATUS_OK;
}

static enum status vector_index_make_room(struct vector_index *index, uint32_t record)
{
    uint32_t slots = slot_table_next(&index->slots) + 1;

    if (slots < index->slots.used)
        slots = index->slots.used;
    vector_index_core_follow_quant(index);
    return vector_index_core_grow(index, slots, record);
}

enum status vector_index_add_many(struct vector_index *index, const uint32_t *records,
                                  const float *vectors, uint32_t count, unsigned threads,
                                  uint32_t *ret_added)
{
    uint32_t   *old_slots, added = 0;
    enum status status;

    if (ret_added != NULL)
        *ret_added = 0;
    if (count == 0)
        return STATUS_OK;
    status = index_memory_alloc(&index->memory, count * sizeof *old_slots, &old_slots);
    if (status != STATUS_OK)
        return status;
    status = store_many(index, records, vectors, count, old_slots, &added);
    if (vector_index_core_is_graph_size(index))
        link_all(index, threads);
    for (uint32_t i = 0; i < added; i++)
        if (old_slots[i] != SLOT_NONE)
            slot_table_bury(&index->slots, old_slots[i]);
    slot_table_advance(&index->slots);
    index_memory_free(&index->memory, old_slots, count * sizeof *old_slots);
    if (ret_added != NULL)
        *ret_added = added;
    return status;
}

static enum status store_many(struct vector_index *index, const uint32_t *records,
                              const float *vectors, uint32_t count, uint32_t *old_slots,
                              uint32_t *ret_added)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t    slot;
        enum status status;

        old_slots[i] = slot_table_find(&index->slots, records[i]);
        status =
            vector_index_store(index, records[i], vectors + (size_t)i * index->options.dim, &slot);
        if (status != STATUS_OK)
            return status;
        *ret_added = i + 1;
    }
    return STATUS_OK;
}

/* Link all that waits. Without memory for the list of it, one after the other. */
static void link_all(struct vector_index *index, unsigned threads)
{
    uint32_t         waiting = index->slots.waiting, count, *slots;
    struct hnsw_view view;

    vector_index_core_follow_quant(index);
    if (waiting > 1 && hnsw_grow(&index->graph, &index->memory, index->slots.used) == STATUS_OK &&
        index_memory_alloc(&index->memory, waiting * sizeof *slots, &slots) == STATUS_OK) {
        view = vector_index_core_view(index);
        count = prepare_all(index, slots);
        index->linked_since_check += count;
        hnsw_build_many(&view, &index->scratch, slots, count, threads);
        for (uint32_t i = 0; i < count; i++)
            slot_table_enter(&index->slots, slots[i]);
        index_memory_free(&index->memory, slots, waiting * sizeof *slots);
        (void)vector_index_core_check(index, true);
    }
    vector_index_core_link(index, UINT32_MAX);
}

static uint32_t prepare_all(struct vector_index *index, uint32_t *slots)
{
    struct hnsw_view view = vector_index_core_view(index);
    uint32_t         count = 0;

    for (uint32_t slot = 0; slot < index->slots.used; slot++) {
        if (slot_table_state(&index->slots, slot) != SLOT_WAITING)
            continue;
        if (hnsw_build_prepare(&view, slot) != STATUS_OK)
            break;
        slots[count++] = slot;
    }
    return count;
}

enum status vector_index_link(struct vector_index *index, bool is_last)
{
    enum status status;

    if (is_last && vector_index_core_is_graph_size(index))
        vector_index_core_link(index, UINT32_MAX);
    status = vector_index_core_check(index, is_last);
    return is_last ? status : STATUS_OK;
}

enum status vector_index_delete(struct vector_index *index, uint32_t record)
{
    uint32_t slot = slot_table_find(&index->slots, record);

    if (slot == SLOT_NONE)
        return STATUS_NOT_FOUND;
    slot_table_bury(&index->slots, slot);
    slot_table_advance(&index->slots);
    return STATUS_OK;
}

enum status vector_index_get(const struct vector_index *index, uint32_t record, float *ret_vector)
{
    uint32_t slot = slot_table_find(&index->slots, record);

    if (slot == SLOT_NONE)
        return STATUS_NOT_FOUND;
    memcpy(ret_vector, vector_file_row(&index->file, slot_table_rows(&index->slots)[slot]),
           index->options.dim * sizeof *ret_vector);
    return vector_file_is_damaged(&index->file) ? STATUS_CORRUPT : STATUS_OK;
}

bool vector_index_next(const struct vector_index *index, uint32_t *cursor, uint32_t *ret_record)
{
    for (; *cursor < index->slots.known; (*cursor)++)
        if (slot_table_find(&index->slots, *cursor) != SLOT_NONE) {
            *ret_record = (*cursor)++;
            return true;
        }
    return false;
}

uint32_t vector_index_count(const struct vector_index *index)
{
    return index->slots.live;
}

void vector_index_memory(const struct vector_index *index, struct vector_index_memory *ret_memory)
{
    const struct code_table *codes = vector_index_core_codes(index), *old = index->old_codes;
    const struct hnsw       *graph = &index->graph;
    const struct slot_table *slots = &index->slots;

    *ret_memory = (struct vector_index_memory){
        .used = index->memory.used,
        .codes = codes->codes.committed + codes->headers.committed + codes->errors.committed,
        .links = graph->links0.committed + graph->upper.committed + graph->upper_rows.committed +
                 graph->in_degrees.committed,
        .maps = slots->records.committed + slots->rows.committed + slots->levels.committed +
                slots->states.committed + slots->lives.committed + slots->slot_of_record.committed,
        .file_bytes =
            (uint64_t)index->file.segments * vector_file_segment_rows * index->file.stride,
        .file_dead_bytes = vector_file_dead_bytes(&index->file),
        .vectors = slots->live,
        .dead = slots->dead,
        .waiting = slots->waiting,
        .is_graph = index->graph_ready,
        .is_q4 = codes->quantizer.kind == QUANTIZER_Q4,
    };
    if (old != NULL)
        ret_memory->codes += old->codes.committed + old->headers.committed + old->errors.committed;
    ret_memory->scratch =
        ret_memory->used - ret_memory->codes - ret_memory->links - ret_memory->maps;
}

uint64_t vector_index_estimate(uint32_t dim, uint64_t count)
{
    struct quantizer codes;
    uint64_t         slot_bytes;

    if (dim == 0 || dim > quantizer_dim_max)
        return 0;
    quantizer_init(&codes, QUANTIZER_Q8, VECTOR_L2, dim, 0);
    slot_bytes = code_table_slot_bytes(&codes) + slot_table_slot_bytes;
    if (count >= vector_index_graph_min)
        slot_bytes += hnsw_slot_bytes(vector_index_m);
    return count * slot_bytes;
}

uint64_t vector_index_estimate_file(uint32_t dim, uint64_t count)
{
    uint64_t segments = (count + vector_file_segment_rows - 1) / vector_file_segment_rows;

    return segments * vector_file_segment_rows * vector_file_stride(dim);
}

void vector_index_set_memory_max(struct vector_index *index, uint64_t memory_max)
{
    index->memory.limit = memory_max;
}

void vector_index_fail_allocation(struct vector_index *index, int64_t calls)
{
    atomic_store(&index->memory.countdown, calls);
}
