#include "mirror/mirror_records.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/vector_file.h"
#include "mirror/mirror_records_core.h"

enum {
    maintain_steps = 16,
    ef_construction = 100, /* filling takes half as long as with the index's own */
    text_per_record = 256, /* bytes of address space for ids where memory is not limited */
    code_bits_min = 4,     /* of each component of a vector, in memory */
    readers_part = 16      /* of the memory that may be used */
};

static const uint32_t records_default = 4 << 20;
static const uint64_t disk_default = (uint64_t)1 << 40;

static void        fill_options(struct mirror_records               *records,
                                const struct mirror_records_options *options);
static enum status open_records(struct mirror_records *records, const unsigned char *secret,
                                struct error *error);
static enum status make_index(struct mirror_records *records, uint32_t dimension);
static uint32_t    slots_max(const struct mirror_records *records, uint32_t dimension);
static enum status prepare_vectors(struct mirror_records *records, uint32_t dimension,
                                   uint32_t count);
static enum status add_vectors(struct mirror_records *records, const uint32_t *rows,
                               const float *vectors, uint32_t count, uint32_t *ret_added);
static bool        make_room(struct mirror_records *records);
static enum status drop_contents(struct mirror_records *records, uint32_t row);
static void        share_memory(struct mirror_records *records);
static void        share_memory_for_readers(struct mirror_records *records);
static void        set_memory_limits(struct mirror_records *records, uint64_t ids, uint64_t index);
static uint64_t    memory_left(const struct mirror_records *records);
static enum status check_disk_max(const struct mirror_records *records, uint64_t more);
static uint64_t    memory_used(const struct mirror_records *records);
static struct vector_index_memory index_memory_of(const struct mirror_records *records);
static char                      *path_of(const struct mirror_records *records, const char *ending);

enum status mirror_records_new(const struct mirror_records_options *options,
                               struct mirror_records **ret_records, struct error *error)
{
    struct mirror_records *records = calloc(1, sizeof *records);
    enum status            status = STATUS_NO_MEMORY;

    if (records == NULL)
        return error_set(error, status, "%s: %s", options->path, status_text(status));
    fill_options(records, options);
    records->path = strdup(options->path);
    if (records->path != NULL)
        status = open_records(records, options->secret, error);
    if (status != STATUS_OK) {
        mirror_records_free(records);
        return status;
    }
    *ret_records = records;
    return STATUS_OK;
}

static void fill_options(struct mirror_records               *records,
                         const struct mirror_records_options *options)
{
    records->space = options->space;
    records->records_max = options->records_max != 0 ? options->records_max : records_default;
    records->memory_max = options->memory_max;
    records->disk_max = options->disk_max != 0 ? options->disk_max : disk_default;
    records->file_ops = options->file_ops != NULL ? options->file_ops : &file_ops_system;
    memcpy(&records->seed, options->secret, sizeof records->seed);
    index_memory_init(&records->memory, options->memory_max);
    atomic_fetch_add(&records->memory.used, sizeof *records);
}

static enum status open_records(struct mirror_records *records, const unsigned char *secret,
                                struct error *error)
{
    uint64_t    text_max = (uint64_t)records->records_max * text_per_record;
    char       *path = path_of(records, ".lmdb");
    enum status status = STATUS_NO_MEMORY;

    if (path != NULL)
        status = mirror_values_new(path, records->disk_max, &records->values, error);
    else
        error_set(error, status, "%s: %s", records->path, status_text(status));
    free(path);
    if (status != STATUS_OK)
        return status;
    share_memory(records);
    if (records->memory_max != 0)
        text_max = records->memory_max;
    status =
        mirror_ids_new(&records->memory, records->records_max, text_max, secret, &records->ids);
    return status == STATUS_OK
               ? status
               : error_set(error, status, "%s: %s", records->path, status_text(status));
}

void mirror_records_free(struct mirror_records *records)
{
    char *path;

    if (records == NULL)
        return;
    if (records->index != NULL) {
        path = path_of(records, ".vectors");
        vector_index_free(records->index);
        if (path != NULL)
            file_unlink(records->file_ops, path);
        free(path);
    }
    mirror_values_free(records->values);
    mirror_ids_free(records->ids);
    assert(records->memory.used == sizeof *records); /* every byte was given back */
    free(records->path);
    free(records);
}

uint32_t mirror_records_count(const struct mirror_records *records)
{
    return mirror_ids_count(records->ids);
}

uint32_t mirror_records_hollow_count(const struct mirror_records *records)
{
    return records->hollow_count;
}

uint32_t mirror_records_dimension(const struct mirror_records *records)
{
    return records->dimension;
}

enum status mirror_records_find(const struct mirror_records *records, struct bytes id,
                                uint32_t *ret_row)
{
    return mirror_ids_find(records->ids, id, ret_row);
}

struct bytes mirror_records_id(const struct mirror_records *records, uint32_t row)
{
    return mirror_ids_id(records->ids, row);
}

bool mirror_records_is_hollow(const struct mirror_records *records, uint32_t row)
{
    return mirror_ids_row(records->ids, row)->seal.size == 0;
}

uint64_t mirror_records_mark(const struct mirror_records *records, uint32_t row)
{
    return mirror_ids_row(records->ids, row)->mark;
}

void mirror_records_set_mark(struct mirror_records *records, uint32_t row, uint64_t mark)
{
    mirror_ids_row(records->ids, row)->mark = mark;
}

bool mirror_records_next(const struct mirror_records *records, size_t *position, uint32_t *ret_row)
{
    return mirror_ids_next(records->ids, position, ret_row);
}

/* ---- The writer ----------------------------------------------------------------------------- */

/* What the vectors leave of the disk is for the values. */
enum status mirror_records_begin(struct mirror_records *records)
{
    uint64_t    vectors = index_memory_of(records).file_bytes;
    enum status status = check_disk_max(records, 0);

    if (status != STATUS_OK)
        return status;
    mirror_values_set_disk_max(records->values, records->disk_max - vectors);
    share_memory(records);
    return STATUS_OK;
}

enum status mirror_records_commit(struct mirror_records *records)
{
    enum status status = mirror_values_commit(records->values);

    if (status != STATUS_OK)
        return status;
    share_memory_for_readers(records);
    return check_disk_max(records, 0);
}

enum status mirror_records_append(struct mirror_records *records, struct bytes id,
                                  uint32_t *ret_row)
{
    enum status status;

    share_memory(records);
    status = mirror_ids_put(records->ids, id, ret_row);
    if (status == STATUS_OK)
        records->hollow_count++;
    return status;
}

enum status mirror_records_remove(struct mirror_records *records, uint32_t row)
{
    enum status status = drop_contents(records, row);

    if (status != STATUS_OK)
        return status;
    mirror_ids_remove(records->ids, row);
    records->hollow_count--;
    return STATUS_OK;
}

enum status mirror_records_hollow(struct mirror_records *records, uint32_t row)
{
    return drop_contents(records, row);
}

/* Then it is hollow. */
static enum status drop_contents(struct mirror_records *records, uint32_t row)
{
    struct mirror_row *entry = mirror_ids_row(records->ids, row);
    enum status        status = STATUS_OK;

    if (records->index != NULL)
        status = vector_index_delete(records->index, row);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    if (entry->seal.size == 0)
        return STATUS_OK;
    status = mirror_values_remove(records->values, row);
    if (status != STATUS_OK)
        return status;
    entry->seal = (struct mirror_seal){0};
    records->hollow_count++;
    return STATUS_OK;
}

enum status mirror_records_put_value(struct mirror_records *records, uint32_t row,
                                     const struct mirror_value    *value,
                                     const struct mirror_metadata *metadata)
{
    struct mirror_row *entry = mirror_ids_row(records->ids, row);
    bool               was_hollow = entry->seal.size == 0;
    enum status        status;

    (void)metadata;
    if (mirror_values_cost(records->values, value) > memory_left(records))
        return STATUS_LIMIT_REACHED;
    status = mirror_values_put(records->values, row, value, &entry->seal);
    if (status != STATUS_OK)
        return status;
    records->hollow_count -= was_hollow;
    return STATUS_OK;
}

enum status mirror_records_put_vector(struct mirror_records *records, uint32_t row,
                                      const float *vector, uint32_t dimension)
{
    return mirror_records_put_vectors(records, &row, vector, 1, dimension);
}

enum status mirror_records_put_vectors(struct mirror_records *records, const uint32_t *rows,
                                       const float *vectors, uint32_t count, uint32_t dimension)
{
    enum status status;

    if (count == 0)
        return STATUS_OK;
    status = prepare_vectors(records, dimension, count);
    for (uint32_t done = 0, added = 0; status == STATUS_OK && done < count; done += added) {
        share_memory(records);
        status = add_vectors(records, rows + done, vectors + (size_t)done * dimension, count - done,
                             &added);
        if (status == STATUS_LIMIT_REACHED && make_room(records))
            status = STATUS_OK;
    }
    return status;
}

/* There is an index of this dimension, with the room in memory and on disk that is left. */
static enum status prepare_vectors(struct mirror_records *records, uint32_t dimension,
                                   uint32_t count)
{
    struct vector_index_memory memory;
    uint64_t                   segment, rows, wanted, segments = 0;
    enum status                status = STATUS_OK;

    if (records->index == NULL)
        status = make_index(records, dimension);
    if (status != STATUS_OK)
        return status;
    if (dimension != records->dimension)
        return STATUS_INVALID;
    memory = index_memory_of(records);
    segment = vector_file_segment_rows * (((uint64_t)dimension * sizeof(float) + 63) / 64 * 64);
    rows = memory.file_bytes / segment * vector_file_segment_rows;
    wanted = (uint64_t)memory.vectors + memory.dead + count;
    if (wanted > rows)
        segments = (wanted - rows - 1) / vector_file_segment_rows + 1;
    return check_disk_max(records, segments * segment);
}

static enum status make_index(struct mirror_records *records, uint32_t dimension)
{
    static const enum vector_metric metrics[] = {[COLLECTION_SPACE_L2] = VECTOR_L2,
                                                 [COLLECTION_SPACE_COSINE] = VECTOR_COSINE,
                                                 [COLLECTION_SPACE_IP] = VECTOR_IP};
    struct vector_index_options     index = {.dim = dimension,
                                             .metric = metrics[records->space],
                                             .ef_construction = ef_construction,
                                             .records_max = records->records_max,
                                             .vectors_max = slots_max(records, dimension),
                                             .path = records->path,
                                             .file_ops = records->file_ops,
                                             .seed = records->seed};
    enum status                     status;

    if (dimension == 0)
        return STATUS_INVALID;
    if (records->memory_max != 0)
        index.memory_max = memory_left(records);
    if (records->memory_max != 0 && index.memory_max == 0)
        return STATUS_LIMIT_REACHED;
    status = vector_index_new(&index, &records->index, NULL);
    if (status == STATUS_OK)
        records->dimension = dimension;
    return status;
}

/* Slots of the dead are used again after repairs: as many as records, and some. What cannot fit
 * into memory anyway takes no room in tables. */
static uint32_t slots_max(const struct mirror_records *records, uint32_t dimension)
{
    uint64_t slots = (uint64_t)records->records_max + records->records_max / 4 + 4096, fit;

    fit = records->memory_max / ((uint64_t)dimension * code_bits_min / 8 + 1) + 1;
    if (records->memory_max != 0 && fit < slots)
        slots = fit;
    return slots < UINT32_MAX / 4 ? (uint32_t)slots : UINT32_MAX / 4;
}

static enum status add_vectors(struct mirror_records *records, const uint32_t *rows,
                               const float *vectors, uint32_t count, uint32_t *ret_added)
{
    enum status status;

    if (count > 1)
        return vector_index_add_many(records->index, rows, vectors, count, 1, ret_added);
    status = vector_index_add(records->index, *rows, vectors);
    *ret_added = status == STATUS_OK;
    return status;
}

/* Of what is only good for speed, or of the dead. False: there is nothing. */
static bool make_room(struct mirror_records *records)
{
    uint32_t dead = index_memory_of(records).dead;

    if (dead == 0)
        return false;
    vector_index_maintain(records->index, UINT32_MAX);
    return index_memory_of(records).dead < dead;
}

enum status mirror_records_value(struct mirror_records *records, uint32_t row,
                                 struct mirror_value *ret_value)
{
    return mirror_values_get(records->values, row, mirror_ids_row(records->ids, row)->seal,
                             ret_value);
}

bool mirror_records_maintain(struct mirror_records *records)
{
    bool is_more;

    if (records->index == NULL)
        return false;
    share_memory(records);
    is_more = vector_index_maintain(records->index, maintain_steps);
    share_memory_for_readers(records);
    return is_more;
}

/* ---- Bounds --------------------------------------------------------------------------------- */

/* The writer leaves some for the scratch of readers. Each of the two that take memory may have what
 * the other has not. */
static void share_memory(struct mirror_records *records)
{
    set_memory_limits(records, memory_left(records), memory_left(records));
}

/* Readers come several at once: each of the two has its own part. */
static void share_memory_for_readers(struct mirror_records *records)
{
    uint64_t used = memory_used(records), max = records->memory_max;
    uint64_t left = used < max ? max - used : 0;

    set_memory_limits(records, left / 8, left - left / 8);
}

static void set_memory_limits(struct mirror_records *records, uint64_t ids, uint64_t index)
{
    if (records->memory_max == 0)
        return;
    records->memory.limit = records->memory.used + ids;
    if (records->index != NULL)
        vector_index_set_memory_max(records->index, index_memory_of(records).used + index);
}

/* For the writer. */
static uint64_t memory_left(const struct mirror_records *records)
{
    uint64_t used = memory_used(records);
    uint64_t max = records->memory_max - records->memory_max / readers_part;

    if (records->memory_max == 0)
        return UINT64_MAX / 2;
    return used < max ? max - used : 0;
}

static enum status check_disk_max(const struct mirror_records *records, uint64_t more)
{
    uint64_t used = mirror_values_disk(records->values) + index_memory_of(records).file_bytes;

    return used + more <= records->disk_max ? STATUS_OK : STATUS_LIMIT_REACHED;
}

static uint64_t memory_used(const struct mirror_records *records)
{
    return records->memory.used + mirror_values_memory(records->values) +
           index_memory_of(records).used;
}

static struct vector_index_memory index_memory_of(const struct mirror_records *records)
{
    struct vector_index_memory memory = {0};

    if (records->index != NULL)
        vector_index_memory(records->index, &memory);
    return memory;
}

void mirror_records_usage(const struct mirror_records *records,
                          struct mirror_records_usage *ret_usage)
{
    struct vector_index_memory index = index_memory_of(records);

    *ret_usage = (struct mirror_records_usage){.memory = memory_used(records),
                                               .index = index.used,
                                               .ids = records->memory.used,
                                               .disk = mirror_values_disk(records->values) +
                                                       index.file_bytes};
}

static char *path_of(const struct mirror_records *records, const char *ending)
{
    char *path;

    return asprintf(&path, "%s%s", records->path, ending) < 0 ? NULL : path;
}
