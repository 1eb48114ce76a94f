#include "mirror/mirror_records.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/mirror_budget.h"
#include "mirror/mirror_estimate.h"
#include "mirror/mirror_vectors.h"

enum { text_per_record = 256 /* bytes of address space for ids where memory is not limited */ };

static const uint32_t records_default = 4 << 20;
static const uint64_t disk_default = (uint64_t)1 << 40;

static void        fill_options(struct mirror_records               *records,
                                const struct mirror_records_options *options);
static enum status open_records(struct mirror_records *records, const unsigned char *secret,
                                struct error *error);
static enum status append_row(struct mirror_records *records, struct bytes id, uint32_t *ret_row);
static enum status drop_contents(struct mirror_records *records, uint32_t row);
static enum status check_disk_max(const struct mirror_records *records);

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
    char       *path;
    enum status status;

    if (asprintf(&path, "%s.values", records->path) < 0)
        return error_set(error, STATUS_NO_MEMORY, "%s: no memory", records->path);
    status = mirror_values_new(&records->memory, records->file_ops, path, records->records_max,
                               &records->values, error);
    free(path);
    if (status != STATUS_OK)
        return status;
    if (records->memory_max != 0)
        text_max = records->memory_max;
    status =
        mirror_ids_new(&records->memory, records->records_max, text_max, secret, &records->ids);
    if (status == STATUS_OK)
        status = mirror_columns_new(&records->memory, secret, &records->columns);
    if (status == STATUS_OK)
        status =
            index_memory_reserve(&records->memory, &records->live, records->records_max / 8 + 8);
    return status == STATUS_OK
               ? status
               : error_set(error, status, "%s: %s", records->path, status_text(status));
}

void mirror_records_free(struct mirror_records *records)
{
    if (records == NULL)
        return;
    mirror_vectors_free(records);
    mirror_values_free(records->values);
    mirror_columns_free(records->columns);
    mirror_ids_free(records->ids);
    index_memory_release(&records->memory, &records->live);
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

enum collection_space mirror_records_space(const struct mirror_records *records)
{
    return records->space;
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

uint32_t mirror_records_place(const struct mirror_records *records, uint32_t row)
{
    return mirror_ids_place(records->ids, row);
}

bool mirror_records_next(const struct mirror_records *records, size_t *position, uint32_t *ret_row)
{
    return mirror_ids_next(records->ids, position, ret_row);
}

/* ---- The writer ----------------------------------------------------------------------------- */

/* What the vectors leave of the disk is for the values. */
enum status mirror_records_begin(struct mirror_records *records)
{
    enum status status = check_disk_max(records);

    if (status != STATUS_OK)
        return status;
    mirror_values_set_disk_max(records->values,
                               records->disk_max - mirror_budget_index(records).file_bytes);
    mirror_budget_share(records);
    return STATUS_OK;
}

enum status mirror_records_commit(struct mirror_records *records)
{
    enum status status = mirror_values_commit(records->values);

    if (status != STATUS_OK)
        return status;
    mirror_budget_share_for_readers(records);
    return check_disk_max(records);
}

static enum status check_disk_max(const struct mirror_records *records)
{
    return mirror_budget_disk(records) <= records->disk_max ? STATUS_OK : STATUS_LIMIT_REACHED;
}

enum status mirror_records_append(struct mirror_records *records, struct bytes id,
                                  uint32_t *ret_row)
{
    enum status status;

    do {
        mirror_budget_share(records);
        status = append_row(records, id, ret_row);
    } while (status == STATUS_LIMIT_REACHED && mirror_vectors_make_room(records));
    return status;
}

static enum status append_row(struct mirror_records *records, struct bytes id, uint32_t *ret_row)
{
    uint32_t    words = mirror_ids_row_end(records->ids) / 64 + 1;
    enum status status =
        index_memory_commit(&records->memory, &records->live, words * sizeof(uint64_t));

    if (status == STATUS_OK)
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
    enum status        status = mirror_vectors_remove(records, row);

    if (status != STATUS_OK || entry->seal.size == 0)
        return status;
    mirror_values_remove(records->values, row);
    entry->seal = (struct mirror_seal){0};
    mirror_columns_clear(records->columns, row);
    mirror_records_core_live(records)[row / 64] &= ~((uint64_t)1 << row % 64);
    records->hollow_count++;
    return STATUS_OK;
}

enum status mirror_records_put_value(struct mirror_records *records, uint32_t row,
                                     const struct mirror_value    *value,
                                     const struct mirror_metadata *metadata)
{
    struct mirror_row    *entry = mirror_ids_row(records->ids, row);
    struct filter_subject subject = {
        .metadata = metadata, .document = value->document, .has_document = value->has_document};
    bool        was_hollow = entry->seal.size == 0;
    enum status status;

    do {
        mirror_budget_share(records);
        status = mirror_columns_set(records->columns, row, &subject);
        if (status == STATUS_OK)
            status = mirror_values_make_room(records->values, row, value);
    } while (status == STATUS_LIMIT_REACHED && mirror_vectors_make_room(records));
    if (status == STATUS_OK)
        status = mirror_values_put(records->values, row, value, &entry->seal);
    if (status != STATUS_OK)
        return status;
    mirror_records_core_live(records)[row / 64] |= (uint64_t)1 << row % 64;
    records->hollow_count -= was_hollow;
    return STATUS_OK;
}

enum status mirror_records_put_vector(struct mirror_records *records, uint32_t row,
                                      const float *vector, uint32_t dimension)
{
    return mirror_vectors_put(records, &row, vector, 1, dimension);
}

enum status mirror_records_put_vectors(struct mirror_records *records, const uint32_t *rows,
                                       const float *vectors, uint32_t count, uint32_t dimension)
{
    enum status status = STATUS_OK;

    if (count > 0)
        status = mirror_vectors_put(records, rows, vectors, count, dimension);
    return status == STATUS_OK ? mirror_vectors_link(records, false) : status;
}

enum status mirror_records_link(struct mirror_records *records)
{
    return mirror_vectors_link(records, true);
}

enum status mirror_records_value(struct mirror_records *records, uint32_t row,
                                 struct mirror_value *ret_value)
{
    return mirror_values_get(records->values, row, mirror_ids_row(records->ids, row)->seal,
                             ret_value);
}

bool mirror_records_maintain(struct mirror_records *records)
{
    return mirror_vectors_maintain(records);
}

void mirror_records_usage(const struct mirror_records *records,
                          struct mirror_records_usage *ret_usage)
{
    struct mirror_columns_usage columns;

    mirror_columns_usage(records->columns, &columns);
    *ret_usage = (struct mirror_records_usage){.memory = mirror_budget_used(records),
                                               .index = mirror_budget_index(records).used,
                                               .columns = columns.memory,
                                               .ids = records->memory.used - columns.memory,
                                               .disk = mirror_budget_disk(records)};
    ret_usage->expected = mirror_estimate_of_filling(records, &ret_usage->is_sampled);
}
