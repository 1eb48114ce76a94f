#include "mirror/mirror_vectors.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "index/index_file.h"
#include "index/vector_file.h"
#include "mirror/mirror_budget.h"

enum {
    maintain_steps = 16,
    ef_construction = 100, /* filling takes half as long as with the index's own */
    code_bits_min = 4      /* of each component of a vector, in memory */
};

static enum status prepare_vectors(struct mirror_records *records, uint32_t dimension,
                                   uint32_t count);
static enum status put_one(struct mirror_records *records, uint32_t row, const float *vector);
static enum status make_index(struct mirror_records *records, uint32_t dimension);
static enum status fill_index_options(const struct mirror_records *records, uint32_t dimension,
                                      struct vector_index_options *ret_options);
static uint32_t    slots_max(const struct mirror_records *records, uint32_t dimension);
static uint64_t    file_growth(const struct mirror_records *records, uint32_t count);

enum status mirror_vectors_put(struct mirror_records *records, const uint32_t *rows,
                               const float *vectors, uint32_t count, uint32_t dimension)
{
    enum status status = prepare_vectors(records, dimension, count);

    for (uint32_t i = 0; status == STATUS_OK && i < count; i++)
        status = put_one(records, rows[i], vectors + (size_t)i * dimension);
    return status;
}

/* There is an index of this dimension, and room on disk. */
static enum status prepare_vectors(struct mirror_records *records, uint32_t dimension,
                                   uint32_t count)
{
    enum status status = STATUS_OK;

    if (records->index == NULL)
        status = make_index(records, dimension);
    if (status != STATUS_OK)
        return status;
    if (dimension != records->dimension)
        return STATUS_INVALID;
    return mirror_budget_disk(records) + file_growth(records, count) <= records->disk_max
               ? STATUS_OK
               : STATUS_LIMIT_REACHED;
}

static enum status put_one(struct mirror_records *records, uint32_t row, const float *vector)
{
    enum status status;

    do {
        mirror_budget_share(records);
        status = vector_index_add(records->index, row, vector);
    } while (status == STATUS_LIMIT_REACHED && mirror_vectors_make_room(records));
    if (status == STATUS_OK)
        mirror_ids_row(records->ids, row)->vector_checksum =
            mirror_vectors_checksum(row, vector, records->dimension);
    return status;
}

static enum status make_index(struct mirror_records *records, uint32_t dimension)
{
    struct vector_index_options options;
    enum status                 status = fill_index_options(records, dimension, &options);

    if (status == STATUS_OK)
        status = vector_index_new(&options, &records->index, NULL);
    if (status == STATUS_OK)
        records->dimension = dimension;
    return status;
}

static enum status fill_index_options(const struct mirror_records *records, uint32_t dimension,
                                      struct vector_index_options *ret_options)
{
    static const enum vector_metric metrics[] = {[COLLECTION_SPACE_L2] = VECTOR_L2,
                                                 [COLLECTION_SPACE_COSINE] = VECTOR_COSINE,
                                                 [COLLECTION_SPACE_IP] = VECTOR_IP};

    if (dimension == 0)
        return STATUS_INVALID;
    *ret_options = (struct vector_index_options){.dim = dimension,
                                                 .metric = metrics[records->space],
                                                 .ef_construction = ef_construction,
                                                 .vectors_max = slots_max(records, dimension),
                                                 .records_max = records->records_max,
                                                 .seed = records->seed,
                                                 .path = records->path,
                                                 .file_ops = records->file_ops};
    if (records->memory_max != 0)
        ret_options->memory_max = mirror_budget_left(records);
    return records->memory_max != 0 && ret_options->memory_max == 0 ? STATUS_LIMIT_REACHED
                                                                    : STATUS_OK;
}

enum status mirror_vectors_save(struct mirror_records *records, uint64_t sequence)
{
    return index_file_save(records->index, sequence, NULL);
}

enum status mirror_vectors_load(struct mirror_records *records, uint32_t dimension,
                                uint64_t sequence)
{
    struct vector_index_options options;
    uint64_t                    saved;
    enum status                 status = fill_index_options(records, dimension, &options);

    if (status == STATUS_OK)
        status = index_file_load(&options, &records->index, &saved, NULL);
    if (status != STATUS_OK)
        return status;
    records->dimension = dimension;
    index_file_forget(records->index);
    return saved == sequence ? STATUS_OK : STATUS_CORRUPT;
}

/* Slots of the dead are used again after repairs: as many as records, and some. What cannot fit
 * into memory anyway takes no room in tables. */
static uint32_t slots_max(const struct mirror_records *records, uint32_t dimension)
{
    uint64_t slots = (uint64_t)records->records_max + records->records_max / 4 + 4096;
    uint64_t fit = records->memory_max / ((uint64_t)dimension * code_bits_min / 8 + 1) + 1;

    if (records->memory_max != 0 && fit < slots)
        slots = fit;
    return slots < UINT32_MAX / 4 ? (uint32_t)slots : UINT32_MAX / 4;
}

/* It grows by segments. */
static uint64_t file_growth(const struct mirror_records *records, uint32_t count)
{
    struct vector_index_memory memory = mirror_budget_index(records);
    uint64_t                   row_bytes = (records->dimension * sizeof(float) + 63) / 64 * 64;
    uint64_t                   segment = vector_file_segment_rows * row_bytes;
    uint64_t                   rows = memory.file_bytes / row_bytes;
    uint64_t                   wanted = (uint64_t)memory.vectors + memory.dead + count;

    return wanted <= rows ? 0
                          : (wanted - rows + vector_file_segment_rows - 1) /
                                vector_file_segment_rows * segment;
}

enum status mirror_vectors_link(struct mirror_records *records, bool is_last)
{
    enum status status;

    if (records->index == NULL)
        return STATUS_OK;
    /* What is kept for readers suffices, and nobody reads before it is given back. */
    mirror_budget_share_for_readers(records);
    status = vector_index_link(records->index, is_last);
    mirror_budget_share(records);
    return status;
}

uint32_t mirror_vectors_checksum(uint32_t row, const float *vector, uint32_t dimension)
{
    return crc32c(crc32c(0, &row, sizeof row), vector, dimension * sizeof *vector);
}

bool mirror_vectors_make_room(struct mirror_records *records)
{
    struct mirror_columns_usage columns;
    uint32_t                    dead = mirror_budget_index(records).dead;

    if (dead > 0) {
        vector_index_maintain(records->index, UINT32_MAX);
        if (mirror_budget_index(records).dead < dead)
            return true;
    }
    mirror_columns_usage(records->columns, &columns);
    if (columns.signatures == 0)
        return false;
    mirror_columns_drop_signatures(records->columns);
    return true;
}

enum status mirror_vectors_remove(struct mirror_records *records, uint32_t row)
{
    enum status status =
        records->index == NULL ? STATUS_NOT_FOUND : vector_index_delete(records->index, row);

    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

bool mirror_vectors_maintain(struct mirror_records *records)
{
    bool is_more;

    if (records->index == NULL)
        return false;
    mirror_budget_share(records);
    is_more = vector_index_maintain(records->index, maintain_steps);
    mirror_budget_share_for_readers(records);
    return is_more;
}

void mirror_vectors_free(struct mirror_records *records)
{
    char *path;

    if (records->index == NULL)
        return;
    vector_index_free(records->index);
    records->index = NULL;
    if (asprintf(&path, "%s.vectors", records->path) < 0)
        return;
    file_unlink(records->file_ops, path);
    free(path);
}
