#include "mirror/mirror_values.h"

#include <string.h>

#include "base/crc32c.h"
#include "mirror/mirror_pieces.h"

/* A stored value is a head and then its three texts:
 *
 *   0  1  1: it has a document, 2: it has a uri
 *   1  4  size of the metadata
 *   5  4  size of the document; the uri is the rest
 */
enum { HEAD_SIZE = 9, HAS_DOCUMENT = 1, HAS_URI = 2, PARTS = 4 };

struct mirror_values {
    struct index_memory        *memory;
    struct mirror_pieces       *pieces;
    struct mirror_pieces_reader reader; /* the writer's */
};

struct mirror_values_reader {
    const struct mirror_values *values;
    struct mirror_pieces_reader reader;
};

static size_t      stored_size(const struct mirror_value *value);
static void        fill_head(const struct mirror_value *value, unsigned char head[HEAD_SIZE]);
static enum status read_stored_value(const struct mirror_values  *values,
                                     struct mirror_pieces_reader *reader, uint32_t row,
                                     struct mirror_seal seal, struct mirror_value *ret_value);
static bool        take_apart(struct bytes stored, struct mirror_value *ret_value);

enum status mirror_values_new(struct index_memory *memory, const struct file_ops *ops,
                              const char *path, uint32_t rows_max,
                              struct mirror_values **ret_values, struct error *error)
{
    struct mirror_values *values;
    enum status           status = index_memory_alloc(memory, sizeof *values, &values);

    if (status != STATUS_OK)
        return error_set(error, status, "%s: %s", path, status_text(status));
    values->memory = memory;
    status = mirror_pieces_new(memory, ops, path, rows_max, &values->pieces, error);
    if (status != STATUS_OK) {
        mirror_values_free(values);
        return status;
    }
    *ret_values = values;
    return STATUS_OK;
}

void mirror_values_free(struct mirror_values *values)
{
    if (values == NULL)
        return;
    if (values->pieces != NULL)
        mirror_pieces_reader_done(values->pieces, &values->reader);
    mirror_pieces_free(values->pieces);
    index_memory_free(values->memory, values, sizeof *values);
}

void mirror_values_set_disk_max(struct mirror_values *values, uint64_t disk_max)
{
    mirror_pieces_set_disk_max(values->pieces, disk_max);
}

uint64_t mirror_values_disk(const struct mirror_values *values)
{
    return mirror_pieces_disk(values->pieces);
}

enum status mirror_values_make_room(struct mirror_values *values, uint32_t row,
                                    const struct mirror_value *value)
{
    return mirror_pieces_make_room(values->pieces, row, stored_size(value));
}

static size_t stored_size(const struct mirror_value *value)
{
    return HEAD_SIZE + value->metadata.size + (value->has_document ? value->document.size : 0) +
           (value->has_uri ? value->uri.size : 0);
}

enum status mirror_values_put(struct mirror_values *values, uint32_t row,
                              const struct mirror_value *value, struct mirror_seal *ret_seal)
{
    unsigned char head[HEAD_SIZE];
    struct bytes  parts[PARTS] = {{(const char *)head, HEAD_SIZE}, value->metadata};
    size_t        size = stored_size(value);
    uint32_t      checksum = crc32c(0, &row, sizeof row);
    enum status   status;

    if (size > MIRROR_VALUES_SIZE_MAX)
        return STATUS_LIMIT_REACHED;
    fill_head(value, head);
    if (value->has_document)
        parts[2] = value->document;
    if (value->has_uri)
        parts[3] = value->uri;
    status = mirror_pieces_put(values->pieces, row, parts, PARTS);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < PARTS; i++)
        checksum = crc32c(checksum, parts[i].data, parts[i].size);
    *ret_seal = (struct mirror_seal){.checksum = checksum, .size = (uint32_t)size};
    return STATUS_OK;
}

static void fill_head(const struct mirror_value *value, unsigned char head[HEAD_SIZE])
{
    uint32_t metadata_size = (uint32_t)value->metadata.size;
    uint32_t document_size = value->has_document ? (uint32_t)value->document.size : 0;

    head[0] =
        (unsigned char)((value->has_document ? HAS_DOCUMENT : 0) | (value->has_uri ? HAS_URI : 0));
    memcpy(head + 1, &metadata_size, sizeof metadata_size);
    memcpy(head + 5, &document_size, sizeof document_size);
}

void mirror_values_remove(struct mirror_values *values, uint32_t row)
{
    mirror_pieces_remove(values->pieces, row);
}

enum status mirror_values_commit(struct mirror_values *values)
{
    mirror_pieces_reader_done(values->pieces, &values->reader);
    return mirror_pieces_commit(values->pieces);
}

enum status mirror_values_get(struct mirror_values *values, uint32_t row, struct mirror_seal seal,
                              struct mirror_value *ret_value)
{
    enum status status = mirror_pieces_flush(values->pieces);

    if (status != STATUS_OK)
        return status;
    mirror_pieces_reader_rest(values->pieces, &values->reader);
    return read_stored_value(values, &values->reader, row, seal, ret_value);
}

/* What is read is looked at only when its checksum is right. */
static enum status read_stored_value(const struct mirror_values  *values,
                                     struct mirror_pieces_reader *reader, uint32_t row,
                                     struct mirror_seal seal, struct mirror_value *ret_value)
{
    struct bytes stored;
    enum status  status;

    if (seal.size == 0)
        return STATUS_NOT_FOUND;
    if (mirror_pieces_size(values->pieces, row) != seal.size)
        return STATUS_CORRUPT;
    status = mirror_pieces_read(values->pieces, reader, row, &stored);
    if (status != STATUS_OK)
        return status;
    return crc32c(crc32c(0, &row, sizeof row), stored.data, stored.size) == seal.checksum &&
                   take_apart(stored, ret_value)
               ? STATUS_OK
               : STATUS_CORRUPT;
}

static bool take_apart(struct bytes stored, struct mirror_value *ret_value)
{
    struct mirror_value value = {.has_document = (stored.data[0] & HAS_DOCUMENT) != 0,
                                 .has_uri = (stored.data[0] & HAS_URI) != 0};
    struct bytes        rest = bytes_skip(stored, HEAD_SIZE);
    uint32_t            metadata_size, document_size;

    memcpy(&metadata_size, stored.data + 1, sizeof metadata_size);
    memcpy(&document_size, stored.data + 5, sizeof document_size);
    if (metadata_size > rest.size || document_size > rest.size - metadata_size)
        return false;
    value.metadata = (struct bytes){.data = rest.data, .size = metadata_size};
    rest = bytes_skip(rest, metadata_size);
    value.document = (struct bytes){.data = rest.data, .size = document_size};
    value.uri = bytes_skip(rest, document_size);
    *ret_value = value;
    return true;
}

enum status mirror_values_reader_new(struct mirror_values         *values,
                                     struct mirror_values_reader **ret_reader)
{
    struct mirror_values_reader *reader;
    enum status status = index_memory_alloc(values->memory, sizeof *reader, &reader);

    if (status != STATUS_OK)
        return status;
    reader->values = values;
    *ret_reader = reader;
    return STATUS_OK;
}

void mirror_values_reader_free(struct mirror_values_reader *reader)
{
    struct index_memory *memory;

    if (reader == NULL)
        return;
    memory = reader->values->memory;
    mirror_pieces_reader_done(reader->values->pieces, &reader->reader);
    index_memory_free(memory, reader, sizeof *reader);
}

enum status mirror_values_reader_get(struct mirror_values_reader *reader, uint32_t row,
                                     struct mirror_seal seal, struct mirror_value *ret_value)
{
    return read_stored_value(reader->values, &reader->reader, row, seal, ret_value);
}

void mirror_values_reader_end(struct mirror_values_reader *reader)
{
    mirror_pieces_reader_rest(reader->values->pieces, &reader->reader);
}
