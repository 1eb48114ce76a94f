/* mirror_pieces - runs of bytes by row, in a file that is written at its end and kept small
 *
 * A run is cut into pieces of at most 16 KiB, each within one segment of the file
 * (mirror_segments.h), which are put behind the last one. What is removed leaves a hole. When holes
 * are too large a part of the file, the pieces of a segment that has more of them than most are put
 * at the end, too, and the segment is used again or cut off.
 *
 * Where each piece is stands in memory, and nothing of the file is believed: if it is damaged the
 * bytes that are read are others, or there are fewer, and that is all. Checksums are the caller's.
 *
 * The file is new, lasts as long as this does, is never synced and never mapped.
 *
 * Disk: after each commit at most twice what the runs have, and 1 MiB; and `disk_max`, a quarter of
 * which may be holes, and one segment is held back.
 * Memory: 24 bytes for each row, and for each piece but the first of a run; 64 KiB during a change.
 * All is taken from an index_memory, so it is counted and limited.
 * Thread: one that changes it, or any number that read, each with a reader of its own.
 */
#ifndef MIRROR_MIRROR_PIECES_H
#define MIRROR_MIRROR_PIECES_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/status.h"
#include "index/index_memory.h"
#include "io/file.h"

struct mirror_pieces;

/* `path` of the file, which is overwritten. `memory` and `ops` are borrowed; *ret_pieces is given.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, or what the file system refused: `error` (may be NULL)
 * says which. */
MUST_CHECK enum status mirror_pieces_new(struct index_memory *memory, const struct file_ops *ops,
                                         const char *path, uint32_t rows_max,
                                         struct mirror_pieces **ret_pieces, struct error *error);

/* Removes the file. NULL is fine. */
void mirror_pieces_free(struct mirror_pieces *pieces);

/* At first 0. */
void mirror_pieces_set_disk_max(struct mirror_pieces *pieces, uint64_t disk_max);

/* Of whole segments. */
uint64_t mirror_pieces_disk(const struct mirror_pieces *pieces);

/* Of the run; 0: the row has none. */
size_t mirror_pieces_size(const struct mirror_pieces *pieces, uint32_t row);

/* ---- The writer: whatever fails but _make_room(), all is lost but mirror_pieces_free() --------
 */

/* Take the memory that a run of `size` bytes needs. STATUS_LIMIT_REACHED, STATUS_NO_MEMORY. */
MUST_CHECK enum status mirror_pieces_make_room(struct mirror_pieces *pieces, uint32_t row,
                                               size_t size);

/* The run of `row`, instead of the one that it has: `parts` one behind the other, at least a byte.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (of memory or disk), STATUS_IO_FAILED, STATUS_CORRUPT (the
 * file is shorter than it was); so for mirror_pieces_commit(), too. */
MUST_CHECK enum status mirror_pieces_put(struct mirror_pieces *pieces, uint32_t row,
                                         const struct bytes *parts, size_t part_count);

void mirror_pieces_remove(struct mirror_pieces *pieces, uint32_t row);

/* What was changed is there for readers now. */
MUST_CHECK enum status mirror_pieces_commit(struct mirror_pieces *pieces);

/* The same without making the file smaller, to read in between. STATUS_IO_FAILED */
MUST_CHECK enum status mirror_pieces_flush(struct mirror_pieces *pieces);

/* ---- Readers -------------------------------------------------------------------------------- */

/* What was read last, and what stands behind it. Zero-initialised means empty. */
struct mirror_pieces_reader {
    char    *data;
    size_t   room;
    uint32_t segment, start, end; /* where in the file `data` is from; start == end: nowhere */
};

/* The run of `row`, which has one; borrowed until the next call with this reader.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (of memory), STATUS_IO_FAILED, STATUS_CORRUPT (the file is
 * shorter than it was) */
MUST_CHECK enum status mirror_pieces_read(const struct mirror_pieces  *pieces,
                                          struct mirror_pieces_reader *reader, uint32_t row,
                                          struct bytes *ret_run);

/* Before the next change: forget what was read, and give back what a long run took. */
void mirror_pieces_reader_rest(const struct mirror_pieces  *pieces,
                               struct mirror_pieces_reader *reader);

void mirror_pieces_reader_done(const struct mirror_pieces  *pieces,
                               struct mirror_pieces_reader *reader);

#endif
