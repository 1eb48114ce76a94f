#include "mirror/mirror_segments.h"

#include <assert.h>

enum {
    buffer_size = 64 << 10,
    segments_max = 1 << 20, /* 256 GiB */
    large_parts = 2,        /* a file is too large if it has so many times what lives, */
    large_segments = 4,     /* and these */
    holes_part = 4          /* of a full disk that are worth cleaning */
};

/* All that are neither free nor current. */
struct closed {
    uint64_t live;
    uint32_t count;
};

static bool          is_free(const struct mirror_segments *segments, uint32_t number);
static void          leave_current(struct mirror_segments *segments);
static void          set_free(struct mirror_segments *segments, uint32_t number);
static uint32_t      turns_left(const struct mirror_segments *segments);
static enum status   add_free_segment(struct mirror_segments *segments);
static uint64_t      offset_in_file(uint32_t number, uint32_t offset);
static struct closed closed_ones(const struct mirror_segments *segments);
static uint32_t      next_to_clean(struct mirror_segments *segments, const struct closed *closed);

enum status mirror_segments_init(struct mirror_segments *segments, struct index_memory *memory,
                                 const struct file_ops *ops, int fd)
{
    *segments = (struct mirror_segments){
        .memory = memory, .ops = ops, .fd = fd, .current = mirror_segments_none};
    return index_memory_reserve(memory, &segments->table,
                                (size_t)segments_max * sizeof(struct mirror_segment));
}

void mirror_segments_done(struct mirror_segments *segments)
{
    index_memory_free(segments->memory, segments->buffer, buffer_size);
    index_memory_release(segments->memory, &segments->table);
}

enum status mirror_segments_take_buffer(struct mirror_segments *segments)
{
    return segments->buffer != NULL
               ? STATUS_OK
               : index_memory_alloc(segments->memory, buffer_size, &segments->buffer);
}

bool mirror_segments_fit(const struct mirror_segments *segments, uint32_t size)
{
    return segments->current != mirror_segments_none &&
           mirror_segments_at(segments, segments->current)->fill + size <= MIRROR_SEGMENTS_SIZE;
}

enum status mirror_segments_turn(struct mirror_segments *segments)
{
    enum status status = mirror_segments_flush(segments);

    if (status != STATUS_OK)
        return status;
    leave_current(segments);
    if (segments->free == 0) {
        status = add_free_segment(segments);
        if (status != STATUS_OK)
            return status;
    }
    while (!is_free(segments, segments->lowest))
        segments->lowest++;
    segments->free--;
    segments->current = segments->lowest++;
    *mirror_segments_at(segments, segments->current) =
        (struct mirror_segment){.first = mirror_segments_none};
    return STATUS_OK;
}

static void leave_current(struct mirror_segments *segments)
{
    uint32_t left = segments->current;

    segments->current = mirror_segments_none;
    if (left != mirror_segments_none && is_free(segments, left))
        set_free(segments, left);
}

static bool is_free(const struct mirror_segments *segments, uint32_t number)
{
    return mirror_segments_at(segments, number)->live == 0 && number != segments->current;
}

static void set_free(struct mirror_segments *segments, uint32_t number)
{
    segments->free++;
    if (number < segments->lowest)
        segments->lowest = number;
    for (; segments->end > 0 && is_free(segments, segments->end - 1); segments->free--)
        segments->end--;
}

/* By a free one. */
static enum status add_free_segment(struct mirror_segments *segments)
{
    enum status status;

    if (turns_left(segments) == 0)
        return STATUS_LIMIT_REACHED;
    status = index_memory_commit(segments->memory, &segments->table,
                                 (segments->end + 1UL) * sizeof(struct mirror_segment));
    if (status != STATUS_OK)
        return status;
    segments->lowest = segments->end++;
    segments->free++;
    if (segments->file_end < segments->end)
        segments->file_end = segments->end;
    return STATUS_OK;
}

static uint32_t turns_left(const struct mirror_segments *segments)
{
    uint64_t most = segments->disk_max / MIRROR_SEGMENTS_SIZE;

    if (most > segments_max)
        most = segments_max;
    return segments->free + (most > segments->end ? (uint32_t)most - segments->end : 0);
}

enum status mirror_segments_append(struct mirror_segments *segments, uint32_t size,
                                   uint32_t *ret_offset, char **ret_data)
{
    struct mirror_segment *current;
    enum status            status = STATUS_OK;

    assert(size <= MIRROR_SEGMENTS_APPEND_MAX && mirror_segments_fit(segments, size));
    if (segments->pending + size > buffer_size)
        status = mirror_segments_flush(segments);
    if (status == STATUS_OK)
        status = mirror_segments_take_buffer(segments);
    if (status != STATUS_OK)
        return status;
    current = mirror_segments_at(segments, segments->current);
    *ret_offset = current->fill;
    *ret_data = segments->buffer + segments->pending;
    segments->pending += size;
    current->fill += size;
    current->live += size;
    segments->live += size;
    return STATUS_OK;
}

void mirror_segments_remove(struct mirror_segments *segments, uint32_t number, uint32_t size)
{
    struct mirror_segment *segment = mirror_segments_at(segments, number);

    assert(segment->live >= size);
    segment->live -= size;
    segments->live -= size;
    if (is_free(segments, number))
        set_free(segments, number);
}

/* ---- Which are to be cleaned ----------------------------------------------------------------- */

bool mirror_segments_is_short(const struct mirror_segments *segments)
{
    return turns_left(segments) < 2;
}

enum status mirror_segments_find_holes(struct mirror_segments *segments, uint32_t *ret_number)
{
    struct closed closed = closed_ones(segments);
    uint64_t      size = (uint64_t)closed.count * MIRROR_SEGMENTS_SIZE;

    if (closed.count == 0 || (size - closed.live) * holes_part < size)
        return STATUS_LIMIT_REACHED;
    *ret_number = next_to_clean(segments, &closed);
    return STATUS_OK;
}

static struct closed closed_ones(const struct mirror_segments *segments)
{
    struct closed closed = {.live = segments->live, .count = segments->end - segments->free};

    if (segments->current != mirror_segments_none) {
        closed.live -= mirror_segments_at(segments, segments->current)->live;
        closed.count--;
    }
    return closed;
}

/* The next one in which no more lives than on average. */
static uint32_t next_to_clean(struct mirror_segments *segments, const struct closed *closed)
{
    uint64_t live;

    do {
        segments->hand = segments->hand + 1 < segments->end ? segments->hand + 1 : 0;
        live = mirror_segments_at(segments, segments->hand)->live;
    } while (live == 0 || segments->hand == segments->current ||
             live * closed->count > closed->live);
    return segments->hand;
}

bool mirror_segments_is_large(const struct mirror_segments *segments)
{
    uint64_t most = segments->live * large_parts + large_segments * MIRROR_SEGMENTS_SIZE;

    return (uint64_t)segments->end * MIRROR_SEGMENTS_SIZE > most;
}

/* The last one, if what lives in it has room elsewhere: then the file becomes shorter. (That may be
 * the one that has just become current, if nothing lived in the one before: it is empty.) */
enum status mirror_segments_find_needless(struct mirror_segments *segments, uint32_t *ret_number)
{
    struct closed closed;
    enum status   status = STATUS_OK;

    if (segments->free > 0) {
        if (segments->current == segments->end - 1)
            status = mirror_segments_turn(segments);
        *ret_number = segments->end - 1;
        return status;
    }
    closed = closed_ones(segments);
    *ret_number = next_to_clean(segments, &closed);
    return STATUS_OK;
}

/* ---- The file -------------------------------------------------------------------------------- */

enum status mirror_segments_flush(struct mirror_segments *segments)
{
    uint32_t    fill;
    enum status status;

    if (segments->pending == 0)
        return STATUS_OK;
    fill = mirror_segments_at(segments, segments->current)->fill;
    status = file_write(segments->ops, segments->fd, segments->buffer, segments->pending,
                        offset_in_file(segments->current, fill - segments->pending));
    segments->pending = 0;
    return status;
}

static uint64_t offset_in_file(uint32_t number, uint32_t offset)
{
    return (uint64_t)number * MIRROR_SEGMENTS_SIZE + offset;
}

enum status mirror_segments_commit(struct mirror_segments *segments)
{
    enum status status = mirror_segments_flush(segments);

    index_memory_free(segments->memory, segments->buffer, buffer_size);
    segments->buffer = NULL;
    if (status != STATUS_OK || segments->file_end == segments->end)
        return status;
    segments->file_end = segments->end;
    return file_truncate(segments->ops, segments->fd, offset_in_file(segments->end, 0));
}
