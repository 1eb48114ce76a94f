/* mirror_records - the records of one copied collection: ids, order, values, columns, vectors
 *
 * A record has a *row*: a number from 0 that stays as long as the record does; rows of what was
 * removed are used again. Ids, the order and the columns that filters look at are in memory, texts
 * and metadata in a file (mirror_values.h), vectors in an index (index/vector_index.h), whose
 * record numbers are the rows.
 *
 * The order is that of Chroma's `get`: a record that is changed keeps its place, one that is
 * removed and put again stands at the end.
 *
 * A record is *hollow* while its contents are not known: it has an id and a place, nothing else.
 *
 * Files: PATH.values and PATH.vectors. They are overwritten and removed by mirror_records_free().
 *
 * Thread: one writer, or any number of readers; who owns it keeps the two apart (mirror_copy.h).
 * Memory: counted to the byte; bounded by `memory_max`, the files by `disk_max`.
 */
#ifndef MIRROR_MIRROR_RECORDS_H
#define MIRROR_MIRROR_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/siphash.h"
#include "base/status.h"
#include "chroma/collection_answer.h"
#include "index/vector_search.h"
#include "mirror/mirror_metadata.h"
#include "mirror/mirror_values.h"

struct file_ops;
struct filter;
struct mirror_records;
struct mirror_reader;

struct mirror_records_options {
    const char            *path;        /* without the endings; its folder exists */
    enum collection_space  space;       /* a known one */
    uint32_t               records_max; /* 0: 4 million */
    uint64_t               memory_max;  /* bytes; 0: no limit */
    uint64_t               disk_max;    /* bytes of all files together; 0: 1 TiB */
    unsigned char          secret[SIPHASH_KEY_SIZE];
    const struct file_ops *file_ops; /* NULL: the system's */
};

/* `options` is borrowed for the call. *ret_records is given: mirror_records_free().
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, or what the file system refused: `error` (may be NULL)
 * says which. */
MUST_CHECK enum status mirror_records_new(const struct mirror_records_options *options,
                                          struct mirror_records **ret_records, struct error *error);

/* No reader may be open. NULL is fine. */
void mirror_records_free(struct mirror_records *records);

uint32_t mirror_records_count(const struct mirror_records *records);
uint32_t mirror_records_hollow_count(const struct mirror_records *records);

enum collection_space mirror_records_space(const struct mirror_records *records);

/* Of the vectors; 0: none was put yet. */
uint32_t mirror_records_dimension(const struct mirror_records *records);

/* STATUS_NOT_FOUND */
MUST_CHECK enum status mirror_records_find(const struct mirror_records *records, struct bytes id,
                                           uint32_t *ret_row);

/* Borrowed until the record is removed. */
struct bytes mirror_records_id(const struct mirror_records *records, uint32_t row);

bool mirror_records_is_hollow(const struct mirror_records *records, uint32_t row);

/* A number of the owner's for each record; 0 at first. */
uint64_t mirror_records_mark(const struct mirror_records *records, uint32_t row);
void     mirror_records_set_mark(struct mirror_records *records, uint32_t row, uint64_t mark);

/* Where it stands in the order: lower than those behind it, until the next change. */
uint32_t mirror_records_place(const struct mirror_records *records, uint32_t row);

/* Walk the rows in their order: begin with *position 0, until false. Records may be removed on the
 * way, none may be put. */
bool mirror_records_next(const struct mirror_records *records, size_t *position, uint32_t *ret_row);

/* ---- The writer ----------------------------------------------------------------------------- */

/* Changes stand between these two. What fails between them, or in the end, leaves the records good
 * for nothing but mirror_records_free(): they no longer agree with one another.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (memory_max or disk_max), STATUS_IO_FAILED, STATUS_CORRUPT
 * here and of every function that changes. */
MUST_CHECK enum status mirror_records_begin(struct mirror_records *records);
MUST_CHECK enum status mirror_records_commit(struct mirror_records *records);

/* A hollow record with `id` (copied, not there yet) at the end. */
MUST_CHECK enum status mirror_records_append(struct mirror_records *records, struct bytes id,
                                             uint32_t *ret_row);

MUST_CHECK enum status mirror_records_remove(struct mirror_records *records, uint32_t row);

/* It is no longer hollow. `metadata` is value->metadata, read; NULL or without fields: none. */
MUST_CHECK enum status mirror_records_put_value(struct mirror_records *records, uint32_t row,
                                                const struct mirror_value    *value,
                                                const struct mirror_metadata *metadata);

/* Its contents are not known any more: value and vector go, id and place stay. */
MUST_CHECK enum status mirror_records_hollow(struct mirror_records *records, uint32_t row);

/* `vector` has `dimension` floats. The first one fixes the dimension.
 * STATUS_INVALID  another dimension, or what the index does not take. */
MUST_CHECK enum status mirror_records_put_vector(struct mirror_records *records, uint32_t row,
                                                 const float *vector, uint32_t dimension);

/* The same for many records, which searches are certain to find after mirror_records_link() only.
 * It takes as long as so many of the above, and looks at the whole graph now and then. */
MUST_CHECK enum status mirror_records_put_vectors(struct mirror_records *records,
                                                  const uint32_t *rows, const float *vectors,
                                                  uint32_t count, uint32_t dimension);

/* Between begin and commit, before readers search for what mirror_records_put_vectors() put: every
 * record is found then. Once after many pages, since it looks at the whole graph: 0.2 microseconds
 * per record, and up to a second where it is some 10 000 records that have just got a graph. */
MUST_CHECK enum status mirror_records_link(struct mirror_records *records);

/* As stored, between begin and commit; borrowed until the next change.
 * STATUS_NOT_FOUND  it is hollow. */
MUST_CHECK enum status mirror_records_value(struct mirror_records *records, uint32_t row,
                                            struct mirror_value *ret_value);

/* Idle work: repairs of the index, some milliseconds. Returns whether there is more. */
bool mirror_records_maintain(struct mirror_records *records);

/* ---- Readers -------------------------------------------------------------------------------- */

/* One per thread, kept for many readings; made and freed when no writer is at work. *ret_reader is
 * given: mirror_reader_free(), before the records are freed. STATUS_NO_MEMORY,
 * STATUS_LIMIT_REACHED, STATUS_IO_FAILED. */
MUST_CHECK enum status mirror_reader_new(struct mirror_records *records,
                                         struct mirror_reader **ret_reader);
void                   mirror_reader_free(struct mirror_reader *reader);

/* A reading stands between these two; no writer may begin in between. */
MUST_CHECK enum status mirror_reader_begin(struct mirror_reader *reader);
void                   mirror_reader_end(struct mirror_reader *reader);

/* Borrowed until the next one or the end of the reading. STATUS_NOT_FOUND: it is hollow.
 * STATUS_CORRUPT, STATUS_IO_FAILED, STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (of memory). */
MUST_CHECK enum status mirror_reader_value(struct mirror_reader *reader, uint32_t row,
                                           struct mirror_value *ret_value);

/* The bits that were put (dimension floats). STATUS_NOT_FOUND: it has none. STATUS_CORRUPT. */
MUST_CHECK enum status mirror_reader_vector(struct mirror_reader *reader, uint32_t row,
                                            float *ret_vector);

/* The rows that `filter` takes, as bits: bit r % 64 of (*ret_bitmap)[r / 64] for r < *ret_bits,
 * *ret_count of them. Rows beyond are not there. Borrowed until the next call or the end.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, STATUS_CORRUPT */
MUST_CHECK enum status mirror_reader_filter(struct mirror_reader *reader,
                                            const struct filter  *filter,
                                            const uint64_t **ret_bitmap, uint32_t *ret_bits,
                                            uint32_t *ret_count);

/* As vector_search_run(); no hits where there are no vectors. That those of the hits are what was
 * put is looked at; another one that is damaged may be missing among them.
 * STATUS_CORRUPT, STATUS_NO_MEMORY, STATUS_LIMIT_REACHED */
MUST_CHECK enum status mirror_reader_search(struct mirror_reader             *reader,
                                            const struct vector_search_query *query,
                                            struct vector_search_hit *hits, uint32_t *ret_count);

/* What it holds, to the byte. Any thread that may read. */
struct mirror_records_usage {
    uint64_t memory;
    uint64_t index, columns, ids; /* parts of it; with ids go their places in the files */
    uint64_t disk;                /* of the files together */
    uint64_t expected;            /* `memory` when no record is hollow, about: mirror_estimate.h */
    bool     is_sampled;          /* enough was filled to tell; else `expected` may be too low */
};

void mirror_records_usage(const struct mirror_records *records,
                          struct mirror_records_usage *ret_usage);

#endif
