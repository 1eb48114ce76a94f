#include "mirror/mirror_save.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "mirror/mirror_save_core.h"
#include "mirror/mirror_vectors.h"

/* What is read at a time, if a record has no more. */
enum { load_part = 256 << 10 };

const char *const mirror_save_endings[] = {".records", "", ".vectors", NULL};

struct loading {
    struct mirror_records  *records;
    int                     fd;
    uint64_t                offset, size; /* of the file: what is read, and all */
    char                   *data;
    size_t                  start, end, room; /* of what was read: not looked at yet */
    uint32_t                checksum, vectors;
    struct mirror_save_head head;
    float                  *vector;
};

static enum status load_saved(struct loading *loading, const struct mirror_save_seal *seal);
static enum status open_saved(struct loading *loading, const struct mirror_save_seal *seal);
static enum status load_head(struct loading *loading, const struct mirror_save_seal *seal,
                             char head[MIRROR_SAVE_HEAD_SIZE]);
static enum status load_records(struct loading *loading, uint32_t count);
static enum status load_record(struct loading *loading);
static enum status fill_up(struct loading *loading, size_t size);
static enum status take_record(struct loading *loading, const struct mirror_save_entry *entry,
                               struct bytes texts);
static enum status restore_row(struct mirror_records *records, struct bytes id, uint32_t row);
static enum status restore_value(struct mirror_records *records, uint32_t row,
                                 const struct mirror_value *value);
static enum status check_vector(struct loading *loading, const struct mirror_save_entry *entry);
static void        remove_saved(const struct file_ops *ops, const char *path, const char *ending);

enum status mirror_save_read(const struct mirror_records_options *options,
                             const struct mirror_save_seal       *seal,
                             struct mirror_records              **ret_records)
{
    struct loading loading = {.fd = -1};
    enum status    status = mirror_records_new(options, &loading.records, NULL);

    if (status != STATUS_OK)
        return status;
    status = load_saved(&loading, seal);
    file_close(loading.records->file_ops, loading.fd);
    free(loading.data);
    free(loading.vector);
    if (status != STATUS_OK) {
        mirror_records_free(loading.records);
        return status;
    }
    remove_saved(loading.records->file_ops, options->path, ".records");
    *ret_records = loading.records;
    return STATUS_OK;
}

/* The index first: what its file takes is known when values are put. */
static enum status load_saved(struct loading *loading, const struct mirror_save_seal *seal)
{
    struct mirror_records *records = loading->records;
    char                   head[MIRROR_SAVE_HEAD_SIZE];
    enum status            status = open_saved(loading, seal);

    if (status == STATUS_OK)
        status = load_head(loading, seal, head);
    if (status == STATUS_OK && loading->head.dimension != 0)
        status = mirror_vectors_load(records, loading->head.dimension,
                                     mirror_save_sequence(seal->checksum, seal->records));
    if (status == STATUS_OK) {
        loading->vector = malloc((records->dimension + 1) * sizeof(float));
        status = loading->vector == NULL ? STATUS_NO_MEMORY : mirror_records_begin(records);
    }
    if (status == STATUS_OK)
        status = load_records(loading, seal->records);
    mirror_ids_restored(records->ids);
    if (status == STATUS_OK)
        status = mirror_records_commit(records);
    if (status != STATUS_OK)
        return status;
    return loading->offset == loading->size && loading->start == loading->end &&
                   crc32c(loading->checksum, head, sizeof head) == seal->checksum &&
                   loading->vectors == loading->head.vectors &&
                   (records->index == NULL ||
                    vector_index_count(records->index) == loading->vectors)
               ? STATUS_OK
               : STATUS_CORRUPT;
}

static enum status open_saved(struct loading *loading, const struct mirror_save_seal *seal)
{
    const struct mirror_records *records = loading->records;
    enum status                  status = STATUS_NO_MEMORY;
    char                        *path;

    if (asprintf(&path, "%s.records", records->path) < 0)
        return status;
    status = file_open(records->file_ops, path, O_RDONLY, &loading->fd);
    free(path);
    if (status == STATUS_OK)
        status = file_size(loading->fd, &loading->size);
    return status == STATUS_OK && loading->size != seal->size ? STATUS_CORRUPT : status;
}

static enum status load_head(struct loading *loading, const struct mirror_save_seal *seal,
                             char head[MIRROR_SAVE_HEAD_SIZE])
{
    const struct mirror_records *records = loading->records;
    enum status status = file_read(records->file_ops, loading->fd, head, MIRROR_SAVE_HEAD_SIZE, 0);

    if (status != STATUS_OK)
        return status;
    loading->offset = MIRROR_SAVE_HEAD_SIZE;
    memcpy(&loading->head, head + MIRROR_SAVE_MAGIC_SIZE, sizeof loading->head);
    return memcmp(head, mirror_save_magic, MIRROR_SAVE_MAGIC_SIZE) == 0 &&
                   loading->head.space == (uint32_t)records->space &&
                   loading->head.records == seal->records
               ? STATUS_OK
               : STATUS_CORRUPT;
}

static enum status load_records(struct loading *loading, uint32_t count)
{
    enum status status = STATUS_OK;

    for (uint32_t i = 0; i < count && status == STATUS_OK; i++)
        status = load_record(loading);
    return status;
}

/* Nothing of it is looked at before its checksum is right, but how long it is. */
static enum status load_record(struct loading *loading)
{
    struct mirror_save_entry entry;
    struct bytes             texts;
    uint64_t                 size;
    uint32_t                 checksum;
    enum status              status = fill_up(loading, sizeof entry);

    if (status != STATUS_OK)
        return status;
    memcpy(&entry, loading->data + loading->start, sizeof entry);
    size = (uint64_t)entry.id + entry.metadata + entry.document + entry.uri;
    if (size > MIRROR_VALUES_SIZE_MAX + UINT64_C(0x40000000))
        return STATUS_CORRUPT;
    status = fill_up(loading, sizeof entry + size);
    if (status != STATUS_OK)
        return status;
    texts = (struct bytes){loading->data + loading->start + sizeof entry, size};
    checksum = crc32c(0, &entry, MIRROR_SAVE_SUMMED);
    if (crc32c(checksum, texts.data, texts.size) != entry.checksum)
        return STATUS_CORRUPT;
    loading->checksum =
        crc32c(loading->checksum, loading->data + loading->start, sizeof entry + size);
    loading->start += sizeof entry + size;
    return take_record(loading, &entry, texts);
}

/* Then so many bytes are there. */
static enum status fill_up(struct loading *loading, size_t size)
{
    size_t      here = loading->end - loading->start, room = size > load_part ? size : load_part;
    uint64_t    rest = loading->size - loading->offset;
    char       *data;
    enum status status;

    if (here >= size)
        return STATUS_OK;
    if (size - here > rest)
        return STATUS_CORRUPT;
    if (here > 0)
        memmove(loading->data, loading->data + loading->start, here);
    loading->start = 0;
    loading->end = here;
    if (room > loading->room) {
        data = realloc(loading->data, room);
        if (data == NULL)
            return STATUS_NO_MEMORY;
        loading->data = data;
        loading->room = room;
    }
    if (rest > loading->room - here)
        rest = loading->room - here;
    status = file_read(loading->records->file_ops, loading->fd, loading->data + here, rest,
                       loading->offset);
    loading->offset += rest;
    loading->end += rest;
    return status;
}

static enum status take_record(struct loading *loading, const struct mirror_save_entry *entry,
                               struct bytes texts)
{
    struct mirror_value value = {.has_document = (entry->flags & MIRROR_SAVE_DOCUMENT) != 0,
                                 .has_uri = (entry->flags & MIRROR_SAVE_URI) != 0};
    struct bytes        id = {texts.data, entry->id};
    enum status         status;

    if ((!value.has_document && entry->document > 0) || (!value.has_uri && entry->uri > 0))
        return STATUS_CORRUPT;
    status = restore_row(loading->records, id, entry->row);
    if (status != STATUS_OK)
        return status;
    texts = bytes_skip(texts, entry->id);
    value.metadata = (struct bytes){texts.data, entry->metadata};
    texts = bytes_skip(texts, entry->metadata);
    value.document = (struct bytes){texts.data, entry->document};
    value.uri = bytes_skip(texts, entry->document);
    status = restore_value(loading->records, entry->row, &value);
    return status == STATUS_OK ? check_vector(loading, entry) : status;
}

/* It is hollow then. */
static enum status restore_row(struct mirror_records *records, struct bytes id, uint32_t row)
{
    enum status status = mirror_ids_restore(records->ids, id, row);

    if (status == STATUS_OK)
        status = index_memory_commit(&records->memory, &records->live,
                                     (row / 64 + 1UL) * sizeof(uint64_t));
    if (status == STATUS_OK)
        records->hollow_count++;
    return status;
}

static enum status restore_value(struct mirror_records *records, uint32_t row,
                                 const struct mirror_value *value)
{
    struct mirror_metadata *metadata = NULL;
    const char             *reason;
    enum status             status = STATUS_OK;

    if (value->metadata.size > 0)
        status = mirror_metadata_read(value->metadata, MIRROR_SOURCE_ANSWER, &metadata, &reason);
    if (status == STATUS_OK)
        status = mirror_records_put_value(records, row, value, metadata);
    mirror_metadata_free(metadata);
    return status == STATUS_NOT_IMPLEMENTED ? STATUS_CORRUPT : status;
}

/* One that is damaged could else be missing among those that are near. */
static enum status check_vector(struct loading *loading, const struct mirror_save_entry *entry)
{
    struct mirror_records *records = loading->records;
    bool                   has_vector = (entry->flags & MIRROR_SAVE_VECTOR) != 0;
    enum status            status = STATUS_NOT_FOUND;

    if (records->index != NULL)
        status = vector_index_get(records->index, entry->row, loading->vector);
    if (status == STATUS_NOT_FOUND)
        return has_vector ? STATUS_CORRUPT : STATUS_OK;
    if (status != STATUS_OK)
        return status;
    loading->vectors++;
    mirror_ids_row(records->ids, entry->row)->vector_checksum = entry->vector_checksum;
    return has_vector && mirror_vectors_checksum(entry->row, loading->vector, records->dimension) ==
                             entry->vector_checksum
               ? STATUS_OK
               : STATUS_CORRUPT;
}

void mirror_save_remove(const struct file_ops *ops, const char *path)
{
    for (size_t i = 0; mirror_save_endings[i] != NULL; i++)
        remove_saved(ops == NULL ? &file_ops_system : ops, path, mirror_save_endings[i]);
}

static void remove_saved(const struct file_ops *ops, const char *path, const char *ending)
{
    char *whole;

    if (asprintf(&whole, "%s%s", path, ending) < 0)
        return;
    (void)file_unlink(ops, whole);
    free(whole);
}
