/* vector_file - the vectors as they were given, in a file that is mapped and need not be resident
 *
 * The file, all numbers little-endian:
 *
 *   0        8  magic "CBVECTOR"
 *   8        4  version, 1
 *   12       4  dim
 *   16       8  identity: drawn when the index was made; its snapshots carry the same
 *   24       4  CRC-32C of bytes 0 .. 23
 *   28          zeros up to 4096
 *   4096     rows of dim floats, each padded to a multiple of 64 bytes
 *
 * Rows come in segments of 4096. New rows go behind the last one of the current segment; a row is
 * never overwritten while the newest snapshot or a reader may still refer to it. A segment whose
 * rows are all dead is used again: at once when no snapshot exists, else after the next one. Which
 * rows count is written in the snapshot, not here: whatever else the file holds is free space.
 *
 * The loader checks the header and the size. A row that was damaged on disk shows in
 * vector_index_verify(), which compares it with its checksummed code. If the file is cut short
 * while it is mapped, or a block cannot be read, rows are zeros from then on, and
 * vector_file_is_damaged() says so (io/mapping_guard.h).
 *
 * Thread: one writer; vector_file_row() from any reader, for rows that a live slot names.
 */
#ifndef INDEX_VECTOR_FILE_H
#define INDEX_VECTOR_FILE_H

#include <stdbool.h>

#include "base/error.h"
#include "index/index_memory.h"
#include "io/file.h"
#include "io/mapping_guard.h"

enum { vector_file_segment_rows = 4096 };

struct vector_segment; /* see vector_file.c */

struct vector_file {
    const struct file_ops *ops;
    struct index_memory   *memory;
    int                    fd;
    uint32_t               dim;
    size_t                 stride;
    uint64_t               identity;
    uint32_t               segments_max, segments; /* segments 0 .. segments-1 exist in the file */
    struct vector_segment *table;
    uint32_t               current, current_used; /* where the next row goes */
    uint32_t               live_rows;
    bool                   snapshot_exists;
    atomic_bool            is_damaged; /* see vector_file_is_damaged() */
    bool                   is_lost; /* a sync failed: which rows the system dropped is not known */
};

/* Bytes of a row. */
static inline size_t vector_file_stride(uint32_t dim)
{
    return ((size_t)dim * sizeof(float) + 63) / 64 * 64;
}

/* Make a new file at `path`, over an old one. `file` holds no resources after a failure.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, or what the system refused. */
MUST_CHECK enum status vector_file_create(struct vector_file *file, struct index_memory *memory,
                                          const struct file_ops *ops, const char *path,
                                          uint32_t dim, uint64_t identity, uint32_t rows_max);

/* Open the file that a snapshot refers to, which had `segments` segments then. All rows are dead
 * until vector_file_claim().
 * STATUS_CORRUPT  it is not that file, or too short. Else as vector_file_create(). */
MUST_CHECK enum status vector_file_open(struct vector_file *file, struct index_memory *memory,
                                        const struct file_ops *ops, const char *path, uint32_t dim,
                                        uint64_t identity, uint32_t segments, uint32_t rows_max,
                                        struct error *error);
void                   vector_file_done(struct vector_file *file);

/* A live slot of the snapshot refers to `row`; false when there is no such row. */
bool vector_file_claim(struct vector_file *file, uint32_t row);

/* After the last claim: segments without rows are free, and the next row goes behind the last one
 * of the segment that has most room. */
void vector_file_claimed(struct vector_file *file);

/* Store a vector; its row is in *ret_row.
 * STATUS_LIMIT_REACHED  no more segments, or no budget.
 * STATUS_CORRUPT        the file is damaged.
 * STATUS_IO_FAILED, STATUS_NO_MEMORY  the system refused; nothing changed. */
MUST_CHECK enum status vector_file_append(struct vector_file *file, const float *vector,
                                          uint32_t *ret_row);

/* The stored bits: `dim` floats, 64-byte aligned. */
const float *vector_file_row(const struct vector_file *file, uint32_t row);

/* Some of the rows that were read before this was asked may have been zeros. */
static inline bool vector_file_is_damaged(const struct vector_file *file)
{
    return atomic_load(&file->is_damaged);
}

/* Nothing refers to `row` any more and no reader looks at it. */
void vector_file_release(struct vector_file *file, uint32_t row);

/* A full segment of which less than half is live and that is worth emptying: its number in
 * *ret_segment. Rows of a segment are segment * 4096 and up. */
bool vector_file_find_sparse(const struct vector_file *file, uint32_t *ret_segment);

/* Bring all rows to stable storage.
 * STATUS_IO_FAILED  some may never get there; so says every later call, too. */
MUST_CHECK enum status vector_file_sync(struct vector_file *file);

/* A snapshot that refers to the present rows only is durable: dead segments are free now, and
 * their blocks go back to the file system. */
void vector_file_reclaim(struct vector_file *file);

/* Bytes of the file that live rows do not use. */
uint64_t vector_file_dead_bytes(const struct vector_file *file);

/* Ask the system to bring `row` to memory, without waiting. */
void vector_file_announce(const struct vector_file *file, uint32_t row);

#endif
