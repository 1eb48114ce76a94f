/* mirror_values - metadata, documents and uris of records by row, in a file
 *
 * Who puts a value keeps its *seal*, and shows it to have the value again: what is not what was
 * put, to the bit, is STATUS_CORRUPT, whatever has become of the file.
 *
 * The file is new, lasts as long as this does, and is neither synced nor mapped. What it takes on
 * disk and in memory: see mirror_pieces.h; a reader has 16 KiB, or the one value that it has read.
 *
 * Thread: one that changes it, or any number of readers, not both at once.
 */
#ifndef MIRROR_MIRROR_VALUES_H
#define MIRROR_MIRROR_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/status.h"
#include "index/index_memory.h"
#include "io/file.h"

struct mirror_values;
struct mirror_values_reader;

/* What a record holds beside its id and vector. Borrowed where it is given to a function; where a
 * function gives it, see there. */
struct mirror_value {
    struct bytes metadata; /* the JSON object that Chroma answers; size 0: none, Chroma says null */
    struct bytes document, uri;
    bool         has_document, has_uri; /* they may be empty */
};

struct mirror_seal {
    uint32_t checksum;
    uint32_t size; /* 0: there is no value */
};

enum { MIRROR_VALUES_SIZE_MAX = 1 << 30 };

/* `path` of the file, which is overwritten; rows are below `rows_max`. `memory` and `ops` are
 * borrowed; *ret_values is given. STATUS_NO_MEMORY, STATUS_LIMIT_REACHED, or what the file system
 * refused: `error` (may be NULL) says which. */
MUST_CHECK enum status mirror_values_new(struct index_memory *memory, const struct file_ops *ops,
                                         const char *path, uint32_t rows_max,
                                         struct mirror_values **ret_values, struct error *error);

/* Removes the file. No reader may be open. NULL is fine. */
void mirror_values_free(struct mirror_values *values);

/* The file may have that many bytes, at least those that it has; at first none. */
void mirror_values_set_disk_max(struct mirror_values *values, uint64_t disk_max);

uint64_t mirror_values_disk(const struct mirror_values *values);

/* ---- The writer: whatever fails but _make_room(), all is lost but mirror_values_free() --------
 */

/* Take the memory that it needs to put this value. STATUS_LIMIT_REACHED, STATUS_NO_MEMORY. */
MUST_CHECK enum status mirror_values_make_room(struct mirror_values *values, uint32_t row,
                                               const struct mirror_value *value);

/* Put, or put another one. STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (no memory or disk left, or a
 * value that is too large), STATUS_IO_FAILED, STATUS_CORRUPT: of the commit, too. */
MUST_CHECK enum status mirror_values_put(struct mirror_values *values, uint32_t row,
                                         const struct mirror_value *value,
                                         struct mirror_seal        *ret_seal);

/* There may be one. */
void mirror_values_remove(struct mirror_values *values, uint32_t row);

/* What was changed is there for readers now. */
MUST_CHECK enum status mirror_values_commit(struct mirror_values *values);

/* Borrowed until the next call of the writer. STATUS_NOT_FOUND: the seal is that of none.
 * STATUS_CORRUPT, STATUS_IO_FAILED, STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (of memory). */
MUST_CHECK enum status mirror_values_get(struct mirror_values *values, uint32_t row,
                                         struct mirror_seal seal, struct mirror_value *ret_value);

/* ---- Readers -------------------------------------------------------------------------------- */

/* STATUS_NO_MEMORY, STATUS_LIMIT_REACHED */
MUST_CHECK enum status mirror_values_reader_new(struct mirror_values         *values,
                                                struct mirror_values_reader **ret_reader);
void                   mirror_values_reader_free(struct mirror_values_reader *reader);

/* Borrowed until the next one or the end. Outcomes as mirror_values_get(). */
MUST_CHECK enum status mirror_values_reader_get(struct mirror_values_reader *reader, uint32_t row,
                                                struct mirror_seal   seal,
                                                struct mirror_value *ret_value);

/* Before the next change: what was read may become another. */
void mirror_values_reader_end(struct mirror_values_reader *reader);

#endif
