/* mirror_segments - the space of a file that is written at its end: which parts of it are used
 *
 * Segments of 256 KiB, one of which is *current*: bytes are appended to it, and when it is full
 * another one takes its place, the lowest that is free, or a new one at the end of the file. One in
 * which nothing lives any more is free; free ones at the end are cut off.
 *
 * Which segments are worth *cleaning* is decided here: their owner appends what lives in them anew
 * and removes it there. Cleaning takes at most one segment more while it goes on, so one is held
 * back.
 *
 * Thread: the owner's. Memory: 12 bytes for each segment, 64 KiB from an append to a flush.
 */
#ifndef MIRROR_MIRROR_SEGMENTS_H
#define MIRROR_MIRROR_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "index/index_memory.h"
#include "io/file.h"

enum {
    MIRROR_SEGMENTS_SIZE = 256 << 10,     /* of one */
    MIRROR_SEGMENTS_APPEND_MAX = 16 << 10 /* a 16th is lost at most where one ends */
};

static const uint32_t mirror_segments_none = UINT32_MAX;

struct mirror_segment {
    uint32_t fill;  /* bytes that were appended */
    uint32_t live;  /* of them */
    uint32_t first; /* the owner's; mirror_segments_none at first */
};

struct mirror_segments {
    struct index_memory   *memory;
    const struct file_ops *ops;
    int                    fd;
    uint64_t               disk_max;

    struct index_region table;
    uint64_t            live;         /* bytes of all */
    uint32_t            end;          /* all are below it */
    uint32_t            free, lowest; /* how many are free, and none of them is below */
    uint32_t            file_end;     /* in segments: where the file ends, at most */
    uint32_t            current;      /* mirror_segments_none: there is none */
    uint32_t            hand;         /* the one that was cleaned last */

    char    *buffer;  /* NULL: nothing was appended since the last flush */
    uint32_t pending; /* bytes of it: the last ones of the current segment */
};

/* `fd` is borrowed. STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_segments_init(struct mirror_segments *segments,
                                            struct index_memory *memory, const struct file_ops *ops,
                                            int fd);
void                   mirror_segments_done(struct mirror_segments *segments);

static inline struct mirror_segment *mirror_segments_at(const struct mirror_segments *segments,
                                                        uint32_t                      number)
{
    return (struct mirror_segment *)(void *)segments->table.base + number;
}

/* Take the memory of the buffer. STATUS_NO_MEMORY, STATUS_LIMIT_REACHED. */
MUST_CHECK enum status mirror_segments_take_buffer(struct mirror_segments *segments);

/* Can so many bytes, MIRROR_SEGMENTS_APPEND_MAX at most, be appended to the current one? */
bool mirror_segments_fit(const struct mirror_segments *segments, uint32_t size);

/* Make another one the current one.
 * STATUS_LIMIT_REACHED (of disk or memory), STATUS_NO_MEMORY, STATUS_IO_FAILED */
MUST_CHECK enum status mirror_segments_turn(struct mirror_segments *segments);

/* Where `size` bytes that fit are to be filled in, in *ret_data: they live then, in the current
 * segment at *ret_offset. STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (of memory), STATUS_IO_FAILED */
MUST_CHECK enum status mirror_segments_append(struct mirror_segments *segments, uint32_t size,
                                              uint32_t *ret_offset, char **ret_data);

/* They live no more. */
void mirror_segments_remove(struct mirror_segments *segments, uint32_t number, uint32_t size);

/* Must one be cleaned before there is another turn? Which one, in *ret_number, if that is worth it.
 * STATUS_LIMIT_REACHED  it is not: the disk is full. */
bool                   mirror_segments_is_short(const struct mirror_segments *segments);
MUST_CHECK enum status mirror_segments_find_holes(struct mirror_segments *segments,
                                                  uint32_t               *ret_number);

/* Is the file too large for what lives? Which one is to be cleaned, then. It is not the current one
 * any more. Outcomes as mirror_segments_turn(). */
bool                   mirror_segments_is_large(const struct mirror_segments *segments);
MUST_CHECK enum status mirror_segments_find_needless(struct mirror_segments *segments,
                                                     uint32_t               *ret_number);

/* Write what is pending. STATUS_IO_FAILED */
MUST_CHECK enum status mirror_segments_flush(struct mirror_segments *segments);

/* That, give the buffer back, and cut the file off where it ends. STATUS_IO_FAILED */
MUST_CHECK enum status mirror_segments_commit(struct mirror_segments *segments);

#endif
