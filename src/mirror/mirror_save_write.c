#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_buffer.h"
#include "base/crc32c.h"
#include "mirror/mirror_budget.h"
#include "mirror/mirror_save.h"
#include "mirror/mirror_save_core.h"
#include "mirror/mirror_vectors.h"

/* What is written at a time. */
enum { save_part = 256 << 10 };

struct saving {
    struct mirror_records *records;
    int                    fd;
    struct byte_buffer     buffer; /* not written yet */
    uint64_t               offset, bytes_max;
    uint32_t               checksum, vectors;
    float                 *vector;
};

static enum status save_records(struct saving *saving, struct mirror_save_seal *ret_seal);
static enum status save_record(struct saving *saving, uint32_t row);
static enum status look_at_vector(struct saving *saving, uint32_t row,
                                  struct mirror_save_entry *entry);
static enum status put_saved(struct saving *saving, struct bytes bytes);
static enum status flush_saved(struct saving *saving);
static enum status save_head(struct saving *saving, struct mirror_save_seal *ret_seal);

enum status mirror_save_write(struct mirror_records *records, uint64_t bytes_max,
                              struct mirror_save_seal *ret_seal)
{
    struct saving saving = {.records = records, .fd = -1, .offset = MIRROR_SAVE_HEAD_SIZE};
    struct mirror_save_seal seal;
    uint64_t                index = mirror_budget_index(records).used;
    enum status             status = STATUS_NO_MEMORY;
    char                   *path;

    if (records->hollow_count > 0)
        return STATUS_NOT_IMPLEMENTED;
    if (index > bytes_max)
        return STATUS_LIMIT_REACHED;
    saving.bytes_max = bytes_max - index;
    if (asprintf(&path, "%s.records", records->path) < 0)
        return status;
    saving.vector = malloc((records->dimension + 1) * sizeof(float));
    if (saving.vector != NULL)
        status = file_open(records->file_ops, path, O_RDWR | O_CREAT | O_TRUNC, &saving.fd);
    if (status == STATUS_OK)
        status = save_records(&saving, &seal);
    if (status == STATUS_OK)
        status = file_sync(records->file_ops, saving.fd);
    if (status == STATUS_OK && records->index != NULL)
        status = mirror_vectors_save(records, mirror_save_sequence(seal.checksum, seal.records));
    file_close(records->file_ops, saving.fd);
    byte_buffer_done(&saving.buffer);
    free(saving.vector);
    free(path);
    if (status == STATUS_OK)
        *ret_seal = seal;
    return status;
}

static enum status save_records(struct saving *saving, struct mirror_save_seal *ret_seal)
{
    size_t      position = 0;
    uint32_t    row;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && mirror_records_next(saving->records, &position, &row))
        status = save_record(saving, row);
    if (status == STATUS_OK)
        status = flush_saved(saving);
    /* Nothing may be lost in silence: a vector of nobody would be one. */
    if (status == STATUS_OK && saving->records->index != NULL &&
        vector_index_count(saving->records->index) != saving->vectors)
        status = STATUS_CORRUPT;
    return status == STATUS_OK ? save_head(saving, ret_seal) : status;
}

static enum status save_record(struct saving *saving, uint32_t row)
{
    struct bytes             id = mirror_records_id(saving->records, row);
    struct mirror_save_entry entry = {.row = row, .id = (uint32_t)id.size};
    struct mirror_value      value;
    struct bytes             parts[5] = {{(const char *)&entry, sizeof entry}, id};
    enum status              status = mirror_records_value(saving->records, row, &value);

    if (status == STATUS_OK)
        status = look_at_vector(saving, row, &entry);
    if (status != STATUS_OK)
        return status;
    entry.flags |=
        (value.has_document ? MIRROR_SAVE_DOCUMENT : 0) | (value.has_uri ? MIRROR_SAVE_URI : 0);
    entry.metadata = (uint32_t)value.metadata.size;
    entry.document = (uint32_t)value.document.size;
    entry.uri = (uint32_t)value.uri.size;
    parts[2] = value.metadata;
    parts[3] = value.document;
    parts[4] = value.uri;
    entry.checksum = crc32c(0, &entry, MIRROR_SAVE_SUMMED);
    for (size_t i = 1; i < COUNT_OF(parts); i++)
        entry.checksum = crc32c(entry.checksum, parts[i].data, parts[i].size);
    for (size_t i = 0; i < COUNT_OF(parts) && status == STATUS_OK; i++)
        status = put_saved(saving, parts[i]);
    return status;
}

static enum status look_at_vector(struct saving *saving, uint32_t row,
                                  struct mirror_save_entry *entry)
{
    struct mirror_records *records = saving->records;
    enum status            status = STATUS_NOT_FOUND;

    if (records->index != NULL)
        status = vector_index_get(records->index, row, saving->vector);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    entry->flags |= MIRROR_SAVE_VECTOR;
    entry->vector_checksum = mirror_vectors_checksum(row, saving->vector, records->dimension);
    saving->vectors++;
    return entry->vector_checksum == mirror_ids_row(records->ids, row)->vector_checksum
               ? STATUS_OK
               : STATUS_CORRUPT;
}

static enum status put_saved(struct saving *saving, struct bytes bytes)
{
    enum status status = STATUS_OK;

    if (bytes.size == 0)
        return STATUS_OK;
    if (byte_buffer_size(&saving->buffer) + bytes.size > save_part)
        status = flush_saved(saving);
    return status == STATUS_OK ? byte_buffer_append(&saving->buffer, bytes, SIZE_MAX) : status;
}

static enum status flush_saved(struct saving *saving)
{
    struct bytes part = byte_buffer_bytes(&saving->buffer);
    enum status  status;

    if (part.size == 0)
        return STATUS_OK;
    if (saving->offset + part.size > saving->bytes_max)
        return STATUS_LIMIT_REACHED;
    status =
        file_write(saving->records->file_ops, saving->fd, part.data, part.size, saving->offset);
    saving->checksum = crc32c(saving->checksum, part.data, part.size);
    saving->offset += part.size;
    byte_buffer_clear(&saving->buffer);
    return status;
}

/* In the end, for only then it is known how many have a vector. */
static enum status save_head(struct saving *saving, struct mirror_save_seal *ret_seal)
{
    const struct mirror_records *records = saving->records;
    struct mirror_save_head      numbers = {.space = records->space,
                                            .dimension = records->dimension,
                                            .records = mirror_records_count(records),
                                            .vectors = saving->vectors};
    char                         head[MIRROR_SAVE_HEAD_SIZE];

    memcpy(head, mirror_save_magic, MIRROR_SAVE_MAGIC_SIZE);
    memcpy(head + MIRROR_SAVE_MAGIC_SIZE, &numbers, sizeof numbers);
    *ret_seal = (struct mirror_save_seal){.size = saving->offset,
                                          .checksum = crc32c(saving->checksum, head, sizeof head),
                                          .records = numbers.records};
    return file_write(records->file_ops, saving->fd, head, sizeof head, 0);
}
