#include "index/vector_index_core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/hnsw_build.h"

enum {
    vectors_default = 4 << 20,
    check_divisor = 16 /* reachability is checked when a 16th of the slots is new */
};

static enum status check_options(const struct vector_index_options *options, struct error *error);
static void        fill_defaults(struct vector_index_options *options);
static char       *path_with(const char *path, const char *suffix);
static enum status vector_index_core_start(struct vector_index *index);
static bool        wants_q4(const struct vector_index *index);

enum status vector_index_core_new(const struct vector_index_options *options,
                                  struct vector_index **ret_index, struct error *error)
{
    struct vector_index *index;
    enum status          status = check_options(options, error);

    if (status != STATUS_OK)
        return status;
    index = calloc(1, sizeof *index);
    if (index == NULL)
        return error_set(error, STATUS_NO_MEMORY, "no memory for an index");
    index->options = *options;
    fill_defaults(&index->options);
    index_memory_init(&index->memory, options->memory_max);
    atomic_fetch_add(&index->memory.used, sizeof *index);
    index_readers_init(&index->readers);
    index->file.fd = -1;
    index->path = path_with(options->path, "");
    index->vectors_path = path_with(options->path, ".vectors");
    index->options.path = index->path;
    status = index->path != NULL && index->vectors_path != NULL ? vector_index_core_start(index)
                                                                : STATUS_NO_MEMORY;
    if (status != STATUS_OK) {
        vector_index_free(index);
        return error_set(error, status, "an index of dimension %u: %s", options->dim,
                         status_text(status));
    }
    *ret_index = index;
    return STATUS_OK;
}

static enum status check_options(const struct vector_index_options *options, struct error *error)
{
    if (options->dim < 1 || options->dim > quantizer_dim_max)
        return error_set(error, STATUS_INVALID, "dimension %u is not within 1..%d", options->dim,
                         quantizer_dim_max);
    if (options->m != 0 && (options->m < hnsw_m_min || options->m > hnsw_m_max))
        return error_set(error, STATUS_INVALID, "M %u is not within %d..%d", options->m, hnsw_m_min,
                         hnsw_m_max);
    if (options->ef_construction > hnsw_ef_max)
        return error_set(error, STATUS_INVALID, "ef_construction %u is above %d",
                         options->ef_construction, hnsw_ef_max);
    if (options->vectors_max > UINT32_MAX / 4 || options->records_max > UINT32_MAX / 4)
        return error_set(error, STATUS_INVALID, "more than %u vectors or records are not possible",
                         UINT32_MAX / 4);
    if (options->path == NULL || options->path[0] == '\0')
        return error_set(error, STATUS_INVALID, "an index needs a path");
    return STATUS_OK;
}

static void fill_defaults(struct vector_index_options *options)
{
    if (options->m == 0)
        options->m = vector_index_m;
    if (options->ef_construction == 0)
        options->ef_construction = 200;
    if (options->graph_min == 0)
        options->graph_min = vector_index_graph_min;
    if (options->vectors_max == 0)
        options->vectors_max = vectors_default;
    if (options->records_max == 0)
        options->records_max = options->vectors_max;
    if (options->file_ops == NULL)
        options->file_ops = &file_ops_system;
}

static char *path_with(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char  *text = malloc(size);

    if (text != NULL)
        snprintf(text, size, "%s%s", path, suffix);
    return text;
}

static enum status vector_index_core_start(struct vector_index *index)
{
    const struct vector_index_options *options = &index->options;
    struct code_table                 *codes;
    enum status                        status;

    status =
        slot_table_init(&index->slots, &index->memory, options->vectors_max, options->records_max);
    if (status == STATUS_OK)
        status = hnsw_init(&index->graph, &index->memory, options->m, options->ef_construction,
                           options->vectors_max);
    if (status == STATUS_OK)
        status = vector_index_core_new_codes(index, QUANTIZER_Q8, 0, &codes);
    if (status == STATUS_OK)
        atomic_store_explicit(&index->codes, codes, memory_order_release);
    return status;
}

enum status vector_index_core_new_codes(struct vector_index *index, enum quantizer_kind kind,
                                        uint32_t slots, struct code_table **ret_codes)
{
    struct quantizer   quantizer;
    struct code_table *codes;
    enum status        status = index_memory_alloc(&index->memory, sizeof *codes, &codes);

    if (status != STATUS_OK)
        return status;
    quantizer_init(&quantizer, kind, index->options.metric, index->options.dim,
                   index->options.seed);
    status = code_table_init(codes, &index->memory, &quantizer, index->options.vectors_max);
    if (status == STATUS_OK)
        status = code_table_grow(codes, &index->memory, slots);
    if (status != STATUS_OK) {
        vector_index_core_free_codes(index, codes);
        return status;
    }
    *ret_codes = codes;
    return STATUS_OK;
}

void vector_index_core_free_codes(struct vector_index *index, struct code_table *codes)
{
    if (codes == NULL)
        return;
    code_table_done(codes, &index->memory);
    index_memory_free(&index->memory, codes, sizeof *codes);
}

enum status vector_index_core_grow(struct vector_index *index, uint32_t slots, uint32_t record)
{
    struct index_memory *memory = &index->memory;
    enum status          status = slot_table_grow(&index->slots, memory, slots, record);

    if (status == STATUS_OK)
        status = code_table_grow(vector_index_core_codes(index), memory, slots);
    if (status == STATUS_OK)
        status = hnsw_scratch_fit(&index->scratch, memory, slots, index->options.ef_construction,
                                  index->options.dim);
    if (status == STATUS_OK && vector_index_core_is_graph_size(index))
        status = hnsw_grow(&index->graph, memory, slots);
    return status;
}

bool vector_index_core_is_graph_size(const struct vector_index *index)
{
    /* A graph that was loaded is kept up, whatever the options say. */
    return index->graph.entry != 0 || (index->options.quant != VECTOR_QUANT_EXACT &&
                                       index->slots.live + 1 >= index->options.graph_min);
}

void vector_index_core_link(struct vector_index *index, uint32_t count)
{
    struct hnsw_view view = vector_index_core_view(index);

    for (; index->slots.waiting > 0 && count > 0; count--) {
        while (slot_table_state(&index->slots, index->link_cursor) != SLOT_WAITING)
            index->link_cursor = (index->link_cursor + 1) % index->slots.used;
        if (hnsw_grow(&index->graph, &index->memory, index->slots.used) != STATUS_OK ||
            hnsw_build_prepare(&view, index->link_cursor) != STATUS_OK)
            break;
        hnsw_build_link(&view, &index->scratch, index->link_cursor);
        slot_table_enter(&index->slots, index->link_cursor);
        index->linked_since_check++;
    }
    vector_index_core_note_ready(index);
}

enum status vector_index_core_check(struct vector_index *index, bool is_thorough)
{
    struct hnsw_view view = vector_index_core_view(index);
    enum status      status;

    if (index->linked_since_check <= (is_thorough ? 0 : index->slots.used / check_divisor))
        return STATUS_OK;
    status = hnsw_repair_reach(&view, &index->scratch);
    if (status == STATUS_OK)
        index->linked_since_check = 0;
    return status;
}

void vector_index_core_note_ready(struct vector_index *index)
{
    atomic_store_explicit(&index->graph_ready, index->slots.waiting == 0 && index->graph.entry != 0,
                          memory_order_release);
}

void vector_index_core_follow_quant(struct vector_index *index)
{
    uint32_t           used = index->slots.used;
    struct code_table *codes;

    if (!wants_q4(index))
        return;
    vector_index_core_drop_codes(index);
    if (index->old_codes != NULL ||
        vector_index_core_new_codes(index, QUANTIZER_Q4, used, &codes) != STATUS_OK)
        return;
    for (uint32_t slot = 0; slot < used; slot++)
        if (slot_table_state(&index->slots, slot) != SLOT_FREE)
            code_table_set(codes, slot,
                           vector_file_row(&index->file, slot_table_rows(&index->slots)[slot]),
                           index->scratch.floats);
    index->old_codes = vector_index_core_codes(index);
    atomic_store_explicit(&index->codes, codes, memory_order_release);
    index->retired = index_readers_advance(&index->readers);
    vector_index_core_drop_codes(index);
}

static bool wants_q4(const struct vector_index *index)
{
    const struct code_table *codes = vector_index_core_codes(index);
    struct quantizer         q4;
    uint64_t                 after;

    if (codes->quantizer.kind == QUANTIZER_Q4 || !vector_index_core_is_graph_size(index))
        return false;
    if (index->options.quant == VECTOR_QUANT_Q4)
        return true;
    if (index->options.quant != VECTOR_QUANT_AUTO || index->memory.limit == 0)
        return false;
    /* Both tables stand side by side for a moment, so it must be decided while they fit: with an
     * eighth more slots than now. */
    quantizer_init(&q4, QUANTIZER_Q4, index->options.metric, index->options.dim, 0);
    after = (uint64_t)index->slots.used * 9 / 8 *
            (code_table_slot_bytes(&q4) + code_table_slot_bytes(&codes->quantizer) / 8);
    return index->memory.used + after > index->memory.limit;
}

void vector_index_core_drop_codes(struct vector_index *index)
{
    if (index->old_codes == NULL || !index_readers_passed(&index->readers, index->retired))
        return;
    vector_index_core_free_codes(index, index->old_codes);
    index->old_codes = NULL;
}
