#include "mirror/mirror_pieces.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/mirror_segments.h"

enum { piece_max = MIRROR_SEGMENTS_APPEND_MAX };

/* Numbers of pieces: the first of a run has its row's, others have this bit. */
static const uint32_t further_bit = UINT32_C(1) << 31;
static const uint32_t no_piece = UINT32_MAX;

struct piece {
    uint32_t size; /* 0: there is none */
    uint32_t segment, offset;
    uint32_t before, after; /* in its segment, in no order */
    uint32_t more;          /* the next one of the run; of one that is not used the next such */
};

struct mirror_pieces {
    struct index_memory   *memory;
    const struct file_ops *ops;
    char                  *path; /* not counted */
    int                    fd;
    struct mirror_segments segments;

    struct index_region first;   /* by row */
    struct index_region further; /* by number without the bit */
    uint32_t            further_end, further_free;
};

static enum status   open_pieces(struct mirror_pieces *pieces, const char *path, uint32_t rows_max,
                                 struct error *error);
static struct piece *piece_of(const struct mirror_pieces *pieces, uint32_t number);
static enum status   make_piece_room(struct mirror_pieces *pieces, uint32_t size);
static enum status   put_piece(struct mirror_pieces *pieces, uint32_t number, uint32_t size,
                               char **ret_data);
static void          fill_piece(char *data, size_t size, const struct bytes **part, size_t *at);
static uint32_t      take_further(struct mirror_pieces *pieces);
static void          remove_piece(struct mirror_pieces *pieces, const struct piece *piece);
static enum status   clean(struct mirror_pieces *pieces, uint32_t segment);
static enum status   move_piece(struct mirror_pieces *pieces, uint32_t number);
static enum status   read_short_run(const struct mirror_pieces  *pieces,
                                    struct mirror_pieces_reader *reader, const struct piece *piece);
static uint32_t      size_ahead(const struct mirror_pieces *pieces, const struct piece *piece);
static enum status   read_long_run(const struct mirror_pieces  *pieces,
                                   struct mirror_pieces_reader *reader, uint32_t row, size_t size);
static enum status   fit_reader(const struct mirror_pieces  *pieces,
                                struct mirror_pieces_reader *reader, size_t size);
static enum status   read_from_file(const struct mirror_pieces *pieces, const struct piece *piece,
                                    size_t size, char *data);

enum status mirror_pieces_new(struct index_memory *memory, const struct file_ops *ops,
                              const char *path, uint32_t rows_max,
                              struct mirror_pieces **ret_pieces, struct error *error)
{
    struct mirror_pieces *pieces;
    enum status           status = index_memory_alloc(memory, sizeof *pieces, &pieces);

    if (status != STATUS_OK)
        return error_set(error, status, "%s: %s", path, status_text(status));
    pieces->memory = memory;
    pieces->ops = ops;
    pieces->fd = -1;
    pieces->further_free = no_piece;
    status = open_pieces(pieces, path, rows_max, error);
    if (status != STATUS_OK) {
        mirror_pieces_free(pieces);
        return status;
    }
    *ret_pieces = pieces;
    return STATUS_OK;
}

static enum status open_pieces(struct mirror_pieces *pieces, const char *path, uint32_t rows_max,
                               struct error *error)
{
    size_t      size = rows_max * sizeof(struct piece);
    enum status status = index_memory_reserve(pieces->memory, &pieces->first, size);

    if (status == STATUS_OK)
        status = index_memory_reserve(pieces->memory, &pieces->further, size);
    if (status == STATUS_OK)
        status = file_unlink(pieces->ops, path);
    if (status == STATUS_OK)
        status = file_open(pieces->ops, path, O_RDWR | O_CREAT | O_EXCL, &pieces->fd);
    if (status == STATUS_OK) {
        pieces->path = strdup(path);
        status = pieces->path == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    if (status == STATUS_OK)
        status = mirror_segments_init(&pieces->segments, pieces->memory, pieces->ops, pieces->fd);
    return status == STATUS_OK
               ? status
               : error_set(error, status, "%s: cannot be created: %s", path, status_text(status));
}

void mirror_pieces_free(struct mirror_pieces *pieces)
{
    struct index_memory *memory;

    if (pieces == NULL)
        return;
    memory = pieces->memory;
    if (pieces->segments.memory != NULL)
        mirror_segments_done(&pieces->segments);
    file_close(pieces->ops, pieces->fd);
    if (pieces->path != NULL)
        file_unlink(pieces->ops, pieces->path);
    free(pieces->path);
    index_memory_release(memory, &pieces->first);
    index_memory_release(memory, &pieces->further);
    index_memory_free(memory, pieces, sizeof *pieces);
}

void mirror_pieces_set_disk_max(struct mirror_pieces *pieces, uint64_t disk_max)
{
    pieces->segments.disk_max = disk_max;
}

uint64_t mirror_pieces_disk(const struct mirror_pieces *pieces)
{
    return (uint64_t)pieces->segments.file_end * MIRROR_SEGMENTS_SIZE;
}

size_t mirror_pieces_size(const struct mirror_pieces *pieces, uint32_t row)
{
    size_t size = 0;

    if (row >= pieces->first.committed / sizeof(struct piece) || piece_of(pieces, row)->size == 0)
        return 0;
    for (uint32_t number = row; number != no_piece; number = piece_of(pieces, number)->more)
        size += piece_of(pieces, number)->size;
    return size;
}

static struct piece *piece_of(const struct mirror_pieces *pieces, uint32_t number)
{
    struct piece *first = (struct piece *)(void *)pieces->first.base;
    struct piece *further = (struct piece *)(void *)pieces->further.base;

    return (number & further_bit) == 0 ? first + number : further + (number & ~further_bit);
}

/* ---- Changes --------------------------------------------------------------------------------- */

/* Of further pieces more than are needed, if some can be used again. */
enum status mirror_pieces_make_room(struct mirror_pieces *pieces, uint32_t row, size_t size)
{
    size_t      further = pieces->further_end + (size - 1) / piece_max;
    enum status status = mirror_segments_take_buffer(&pieces->segments);

    if (status == STATUS_OK)
        status =
            index_memory_commit(pieces->memory, &pieces->first, (row + 1UL) * sizeof(struct piece));
    if (status == STATUS_OK)
        status =
            index_memory_commit(pieces->memory, &pieces->further, further * sizeof(struct piece));
    return status;
}

enum status mirror_pieces_put(struct mirror_pieces *pieces, uint32_t row, const struct bytes *parts,
                              size_t part_count)
{
    size_t      left = 0, at = 0;
    uint32_t    number = row;
    char       *data;
    enum status status;

    for (size_t i = 0; i < part_count; i++)
        left += parts[i].size;
    assert(left > 0);
    status = mirror_pieces_make_room(pieces, row, left);
    if (status != STATUS_OK)
        return status;
    mirror_pieces_remove(pieces, row);
    while (true) {
        uint32_t size = left < piece_max ? (uint32_t)left : piece_max;

        status = make_piece_room(pieces, size);
        if (status == STATUS_OK)
            status = put_piece(pieces, number, size, &data);
        if (status != STATUS_OK)
            return status;
        fill_piece(data, size, &parts, &at);
        left -= size;
        if (left == 0)
            return STATUS_OK;
        number = piece_of(pieces, number)->more = take_further(pieces);
    }
}

/* Others may have to go elsewhere. */
static enum status make_piece_room(struct mirror_pieces *pieces, uint32_t size)
{
    enum status status = STATUS_OK;
    uint32_t    segment;

    while (status == STATUS_OK && !mirror_segments_fit(&pieces->segments, size)) {
        if (!mirror_segments_is_short(&pieces->segments))
            return mirror_segments_turn(&pieces->segments);
        status = mirror_segments_find_holes(&pieces->segments, &segment);
        if (status == STATUS_OK)
            status = clean(pieces, segment);
    }
    return status;
}

/* There is room for it; *ret_data is where it is to be filled in. */
static enum status put_piece(struct mirror_pieces *pieces, uint32_t number, uint32_t size,
                             char **ret_data)
{
    struct piece          *piece = piece_of(pieces, number);
    uint32_t               current = pieces->segments.current, offset;
    struct mirror_segment *segment = mirror_segments_at(&pieces->segments, current);
    enum status status = mirror_segments_append(&pieces->segments, size, &offset, ret_data);

    if (status != STATUS_OK)
        return status;
    *piece = (struct piece){.size = size,
                            .segment = current,
                            .offset = offset,
                            .before = no_piece,
                            .after = segment->first,
                            .more = no_piece};
    if (segment->first != no_piece)
        piece_of(pieces, segment->first)->before = number;
    segment->first = number;
    return STATUS_OK;
}

static void fill_piece(char *data, size_t size, const struct bytes **part, size_t *at)
{
    while (size > 0) {
        size_t more = (*part)->size - *at < size ? (*part)->size - *at : size;

        if (more > 0)
            data = mempcpy(data, (*part)->data + *at, more);
        size -= more;
        *at += more;
        if (*at == (*part)->size) {
            ++*part;
            *at = 0;
        }
    }
}

static uint32_t take_further(struct mirror_pieces *pieces)
{
    uint32_t number = pieces->further_free;

    if (number == no_piece)
        return further_bit | pieces->further_end++;
    pieces->further_free = piece_of(pieces, number)->more;
    return number;
}

void mirror_pieces_remove(struct mirror_pieces *pieces, uint32_t row)
{
    uint32_t number = row, more;

    if (mirror_pieces_size(pieces, row) == 0)
        return;
    for (; number != no_piece; number = more) {
        struct piece *piece = piece_of(pieces, number);

        more = piece->more;
        remove_piece(pieces, piece);
        piece->size = 0;
        if ((number & further_bit) != 0) {
            piece->more = pieces->further_free;
            pieces->further_free = number;
        }
    }
}

/* From its segment. */
static void remove_piece(struct mirror_pieces *pieces, const struct piece *piece)
{
    if (piece->before != no_piece)
        piece_of(pieces, piece->before)->after = piece->after;
    else
        mirror_segments_at(&pieces->segments, piece->segment)->first = piece->after;
    if (piece->after != no_piece)
        piece_of(pieces, piece->after)->before = piece->before;
    mirror_segments_remove(&pieces->segments, piece->segment, piece->size);
}

enum status mirror_pieces_flush(struct mirror_pieces *pieces)
{
    return mirror_segments_flush(&pieces->segments);
}

enum status mirror_pieces_commit(struct mirror_pieces *pieces)
{
    enum status status = STATUS_OK;
    uint32_t    segment;

    while (status == STATUS_OK && mirror_segments_is_large(&pieces->segments)) {
        status = mirror_segments_find_needless(&pieces->segments, &segment);
        if (status == STATUS_OK)
            status = clean(pieces, segment);
    }
    return status == STATUS_OK ? mirror_segments_commit(&pieces->segments) : status;
}

/* All that lives in it goes to the end. */
static enum status clean(struct mirror_pieces *pieces, uint32_t segment)
{
    enum status status = STATUS_OK;
    uint32_t    number;

    while (status == STATUS_OK) {
        number = mirror_segments_at(&pieces->segments, segment)->first;
        if (number == no_piece)
            break;
        status = move_piece(pieces, number);
    }
    return status;
}

static enum status move_piece(struct mirror_pieces *pieces, uint32_t number)
{
    struct piece old = *piece_of(pieces, number);
    char        *data;
    enum status  status = STATUS_OK;

    if (!mirror_segments_fit(&pieces->segments, old.size))
        status = mirror_segments_turn(&pieces->segments);
    if (status != STATUS_OK)
        return status;
    remove_piece(pieces, &old);
    status = put_piece(pieces, number, old.size, &data);
    if (status != STATUS_OK)
        return status;
    piece_of(pieces, number)->more = old.more;
    return read_from_file(pieces, &old, old.size, data);
}

/* ---- Readers --------------------------------------------------------------------------------- */

enum status mirror_pieces_read(const struct mirror_pieces  *pieces,
                               struct mirror_pieces_reader *reader, uint32_t row,
                               struct bytes *ret_run)
{
    const struct piece *piece = piece_of(pieces, row);
    size_t              size = mirror_pieces_size(pieces, row), at = 0;
    enum status         status = STATUS_OK;

    assert(size > 0);
    if (piece->more != no_piece)
        status = read_long_run(pieces, reader, row, size);
    else if (piece->segment != reader->segment || piece->offset < reader->start ||
             piece->offset + piece->size > reader->end)
        status = read_short_run(pieces, reader, piece);
    if (status != STATUS_OK)
        return status;
    if (piece->more == no_piece)
        at = piece->offset - reader->start;
    *ret_run = (struct bytes){.data = reader->data + at, .size = size};
    return STATUS_OK;
}

/* Who wants one that stands behind the last one will want more of them: what follows is read, too.
 */
static enum status read_short_run(const struct mirror_pieces  *pieces,
                                  struct mirror_pieces_reader *reader, const struct piece *piece)
{
    uint32_t    size = piece->size;
    enum status status = fit_reader(pieces, reader, piece_max);

    if (status != STATUS_OK)
        return status;
    if (reader->start < reader->end && piece->segment == reader->segment &&
        piece->offset == reader->end)
        size = size_ahead(pieces, piece);
    reader->start = reader->end = 0;
    status = read_from_file(pieces, piece, size, reader->data);
    if (status != STATUS_OK)
        return status;
    reader->segment = piece->segment;
    reader->start = piece->offset;
    reader->end = piece->offset + size;
    return STATUS_OK;
}

static uint32_t size_ahead(const struct mirror_pieces *pieces, const struct piece *piece)
{
    uint32_t size = mirror_segments_at(&pieces->segments, piece->segment)->fill - piece->offset;

    return size < piece_max ? size : piece_max;
}

static enum status read_long_run(const struct mirror_pieces  *pieces,
                                 struct mirror_pieces_reader *reader, uint32_t row, size_t size)
{
    enum status status = fit_reader(pieces, reader, size);
    char       *at = reader->data;

    reader->start = reader->end = 0;
    for (uint32_t number = row; status == STATUS_OK && number != no_piece;) {
        const struct piece *piece = piece_of(pieces, number);

        status = read_from_file(pieces, piece, piece->size, at);
        at += piece->size;
        number = piece->more;
    }
    return status;
}

static enum status fit_reader(const struct mirror_pieces  *pieces,
                              struct mirror_pieces_reader *reader, size_t size)
{
    enum status status;

    if (size <= reader->room)
        return STATUS_OK;
    mirror_pieces_reader_done(pieces, reader);
    status = index_memory_alloc(pieces->memory, size, &reader->data);
    if (status == STATUS_OK)
        reader->room = size;
    return status;
}

static enum status read_from_file(const struct mirror_pieces *pieces, const struct piece *piece,
                                  size_t size, char *data)
{
    return file_read(pieces->ops, pieces->fd, data, size,
                     (uint64_t)piece->segment * MIRROR_SEGMENTS_SIZE + piece->offset);
}

void mirror_pieces_reader_rest(const struct mirror_pieces  *pieces,
                               struct mirror_pieces_reader *reader)
{
    reader->start = reader->end = 0;
    if (reader->room > piece_max)
        mirror_pieces_reader_done(pieces, reader);
}

void mirror_pieces_reader_done(const struct mirror_pieces  *pieces,
                               struct mirror_pieces_reader *reader)
{
    index_memory_free(pieces->memory, reader->data, reader->room);
    *reader = (struct mirror_pieces_reader){.data = NULL};
}
