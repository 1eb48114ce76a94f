#include "index/vector_file.h"

#include <assert.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crc32c.h"

enum { header_bytes = 4096, header_used = 28, format_version = 1 };

enum segment_state {
    SEGMENT_FREE,    /* may become current */
    SEGMENT_CURRENT, /* rows are appended */
    SEGMENT_FULL,    /* some rows live */
    SEGMENT_DEAD,    /* no row lives; a snapshot may still refer to some */
};

struct vector_segment {
    _Atomic(const char *) base; /* mapped on first use, until the file is closed */
    uint32_t              live;
    uint32_t              claimed; /* of what was loaded: rows up to the last one that counts */
    enum segment_state    state;
};

static const char magic[8] = {'C', 'B', 'V', 'E', 'C', 'T', 'O', 'R'};

static enum status vector_file_start(struct vector_file *file, struct index_memory *memory,
                                     const struct file_ops *ops, uint32_t dim, uint64_t identity,
                                     uint32_t rows_max);
static void        fill_header(const struct vector_file *file, unsigned char *header);
static enum status map_segment(struct vector_file *file, uint32_t number);
static enum status next_segment(struct vector_file *file);
static uint64_t    segment_offset(const struct vector_file *file, uint32_t number);
static size_t      segment_bytes(const struct vector_file *file);
static void        free_segment(struct vector_file *file, uint32_t number);

enum status vector_file_create(struct vector_file *file, struct index_memory *memory,
                               const struct file_ops *ops, const char *path, uint32_t dim,
                               uint64_t identity, uint32_t rows_max)
{
    unsigned char header[header_bytes] = {0};
    enum status   status = vector_file_start(file, memory, ops, dim, identity, rows_max);

    if (status != STATUS_OK)
        return status;
    fill_header(file, header);
    status = file_open(ops, path, O_RDWR | O_CREAT | O_TRUNC, &file->fd);
    if (status == STATUS_OK)
        status = file_write(ops, file->fd, header, sizeof header, 0);
    if (status != STATUS_OK)
        vector_file_done(file);
    return status;
}

static enum status vector_file_start(struct vector_file *file, struct index_memory *memory,
                                     const struct file_ops *ops, uint32_t dim, uint64_t identity,
                                     uint32_t rows_max)
{
    *file = (struct vector_file){.ops = ops,
                                 .memory = memory,
                                 .fd = -1,
                                 .dim = dim,
                                 .stride = vector_file_stride(dim),
                                 .identity = identity,
                                 .current = UINT32_MAX};
    /* Twice the rows, because segments are emptied only when half of them is dead. */
    file->segments_max = (uint32_t)((uint64_t)rows_max * 2 / vector_file_segment_rows + 4);
    return index_memory_alloc(memory, file->segments_max * sizeof *file->table, &file->table);
}

static void fill_header(const struct vector_file *file, unsigned char *header)
{
    uint32_t version = format_version, crc;

    memcpy(header, magic, 8);
    memcpy(header + 8, &version, 4);
    memcpy(header + 12, &file->dim, 4);
    memcpy(header + 16, &file->identity, 8);
    crc = crc32c(0, header, 24);
    memcpy(header + 24, &crc, 4);
}

enum status vector_file_open(struct vector_file *file, struct index_memory *memory,
                             const struct file_ops *ops, const char *path, uint32_t dim,
                             uint64_t identity, uint32_t segments, uint32_t rows_max,
                             struct error *error)
{
    unsigned char header[header_used], wanted[header_used];
    uint64_t      size;
    enum status   status = vector_file_start(file, memory, ops, dim, identity, rows_max);

    if (status != STATUS_OK)
        return error_set(error, status, "%s: %s", path, status_text(status));
    fill_header(file, wanted);
    status = file_open(ops, path, O_RDWR, &file->fd);
    if (status == STATUS_OK)
        status = file_size(file->fd, &size);
    if (status == STATUS_OK)
        status = file_read(ops, file->fd, header, sizeof header, 0);
    if (status == STATUS_OK &&
        (memcmp(header, wanted, sizeof header) != 0 || segments > file->segments_max ||
         size < segment_offset(file, segments)))
        status = STATUS_CORRUPT;
    while (status == STATUS_OK && file->segments < segments) {
        file->table[file->segments].state = SEGMENT_FULL;
        status = map_segment(file, file->segments);
        file->segments += status == STATUS_OK;
    }
    if (status != STATUS_OK)
        vector_file_done(file);
    return status == STATUS_OK
               ? status
               : error_set(error, status, "%s: not the vectors of the snapshot", path);
}

void vector_file_done(struct vector_file *file)
{
    if (file->table == NULL)
        return;
    for (uint32_t i = 0; i < file->segments; i++) {
        mapping_guard_remove(file->table[i].base);
        file_unmap(file->ops, file->table[i].base, segment_bytes(file));
    }
    index_memory_free(file->memory, file->table, file->segments_max * sizeof *file->table);
    file->table = NULL;
    file_close(file->ops, file->fd);
    file->fd = -1;
}

static enum status map_segment(struct vector_file *file, uint32_t number)
{
    const void *base;
    enum status status =
        file_map(file->ops, file->fd, segment_offset(file, number), segment_bytes(file), &base);

    if (status != STATUS_OK)
        return status;
    status = mapping_guard_add(base, segment_bytes(file), &file->is_damaged);
    if (status != STATUS_OK) {
        file_unmap(file->ops, base, segment_bytes(file));
        return status;
    }
    /* Rows are read singly: reading ahead around each would waste the page cache. */
    (void)madvise((void *)(uintptr_t)base, segment_bytes(file), MADV_RANDOM);
    atomic_store_explicit(&file->table[number].base, base, memory_order_release);
    return STATUS_OK;
}

static uint64_t segment_offset(const struct vector_file *file, uint32_t number)
{
    return header_bytes + (uint64_t)number * segment_bytes(file);
}

static size_t segment_bytes(const struct vector_file *file)
{
    return (size_t)vector_file_segment_rows * file->stride;
}

bool vector_file_claim(struct vector_file *file, uint32_t row)
{
    uint32_t number = row / vector_file_segment_rows, within = row % vector_file_segment_rows;

    if (number >= file->segments)
        return false;
    file->table[number].live++;
    file->live_rows++;
    if (within >= file->table[number].claimed)
        file->table[number].claimed = within + 1;
    return true;
}

void vector_file_claimed(struct vector_file *file)
{
    /* The emptiest one is gone on with: else each restart would leave one half empty behind. */
    file->current_used = vector_file_segment_rows;
    for (uint32_t i = 0; i < file->segments; i++)
        if (file->table[i].live == 0) {
            file->table[i].state = SEGMENT_FREE;
        } else if (file->table[i].claimed < file->current_used) {
            file->current = i;
            file->current_used = file->table[i].claimed;
        }
    if (file->current != UINT32_MAX)
        file->table[file->current].state = SEGMENT_CURRENT;
    file->snapshot_exists = true;
}

enum status vector_file_append(struct vector_file *file, const float *vector, uint32_t *ret_row)
{
    enum status status;
    uint32_t    row;

    if (vector_file_is_damaged(file))
        return STATUS_CORRUPT;
    if (file->current == UINT32_MAX || file->current_used == vector_file_segment_rows) {
        status = next_segment(file);
        if (status != STATUS_OK)
            return status;
    }
    row = file->current * vector_file_segment_rows + file->current_used;
    status = file_write(file->ops, file->fd, vector, file->dim * sizeof(float),
                        segment_offset(file, file->current) + file->current_used * file->stride);
    if (status != STATUS_OK)
        return status;
    file->current_used++;
    file->table[file->current].live++;
    file->live_rows++;
    *ret_row = row;
    return STATUS_OK;
}

static enum status next_segment(struct vector_file *file)
{
    uint32_t    number = 0;
    enum status status = STATUS_OK;

    while (number < file->segments && file->table[number].state != SEGMENT_FREE)
        number++;
    if (number == file->segments_max)
        return STATUS_LIMIT_REACHED;
    if (number == file->segments) {
        /* The file must reach the end of what is mapped. */
        status = file_truncate(file->ops, file->fd, segment_offset(file, number + 1));
        if (status == STATUS_OK)
            status = map_segment(file, number);
        if (status != STATUS_OK)
            return status;
        file->segments++;
    }
    if (file->current != UINT32_MAX) {
        file->table[file->current].state = SEGMENT_FULL;
        if (file->table[file->current].live == 0)
            free_segment(file, file->current);
    }
    file->table[number].state = SEGMENT_CURRENT;
    file->current = number;
    file->current_used = 0;
    return STATUS_OK;
}

static void free_segment(struct vector_file *file, uint32_t number)
{
    file->table[number].state = file->snapshot_exists ? SEGMENT_DEAD : SEGMENT_FREE;
    if (!file->snapshot_exists)
        file_punch(file->ops, file->fd, segment_offset(file, number), segment_bytes(file));
}

const float *vector_file_row(const struct vector_file *file, uint32_t row)
{
    const struct vector_segment *segment = &file->table[row / vector_file_segment_rows];
    const char                  *base = atomic_load_explicit(&segment->base, memory_order_acquire);

    return (const float *)(const void *)(base + (row % vector_file_segment_rows) * file->stride);
}

void vector_file_release(struct vector_file *file, uint32_t row)
{
    uint32_t number = row / vector_file_segment_rows;

    assert(file->table[number].live > 0);
    file->live_rows--;
    if (--file->table[number].live == 0 && file->table[number].state == SEGMENT_FULL)
        free_segment(file, number);
}

bool vector_file_find_sparse(const struct vector_file *file, uint32_t *ret_segment)
{
    for (uint32_t i = 0; i < file->segments; i++)
        if (file->table[i].state == SEGMENT_FULL &&
            file->table[i].live < vector_file_segment_rows / 2) {
            *ret_segment = i;
            return true;
        }
    return false;
}

enum status vector_file_sync(struct vector_file *file)
{
    /* The system reports once what it could not write, and then takes it for written. */
    if (!file->is_lost && file_sync(file->ops, file->fd) != STATUS_OK)
        file->is_lost = true;
    return file->is_lost ? STATUS_IO_FAILED : STATUS_OK;
}

void vector_file_reclaim(struct vector_file *file)
{
    file->snapshot_exists = true;
    for (uint32_t i = 0; i < file->segments; i++)
        if (file->table[i].state == SEGMENT_DEAD) {
            file->table[i].state = SEGMENT_FREE;
            file_punch(file->ops, file->fd, segment_offset(file, i), segment_bytes(file));
        }
}

uint64_t vector_file_dead_bytes(const struct vector_file *file)
{
    return (uint64_t)file->segments * segment_bytes(file) -
           (uint64_t)file->live_rows * file->stride;
}

void vector_file_announce(const struct vector_file *file, uint32_t row)
{
    uintptr_t address = (uintptr_t)vector_file_row(file, row);
    uintptr_t page = address / 4096 * 4096;

    (void)madvise((void *)page, address + file->stride - page, MADV_WILLNEED);
}
