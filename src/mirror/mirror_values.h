/* mirror_values - metadata, documents and uris of records by row, in an LMDB file
 *
 * Who puts a value keeps its *seal*, and shows it to have the value again: what is not what was
 * put, to the bit, is STATUS_CORRUPT. (LMDB's own pages have no checksums; see mirror_values.c for
 * what damage to them can do.)
 *
 * The file is new, lasts as long as this does, and is never synced.
 *
 * Thread: one that changes it, or any number of readers, not both at once.
 * Memory: MIRROR_VALUES_DIRTY_MAX at most, besides the one value that is put; readers some 500
 * bytes. Mapped, not counted: what was read.
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

enum {
    MIRROR_VALUES_SIZE_MAX = 1 << 30,
    MIRROR_VALUES_DIRTY_MAX = 1 << 20 /* what was put and is not written yet */
};

/* `path` of the file, which is overwritten; *ret_values is given.
 * STATUS_NO_MEMORY, or what the file system refused: `error` (may be NULL) says which. */
MUST_CHECK enum status mirror_values_new(const char *path, uint64_t disk_max,
                                         struct mirror_values **ret_values, struct error *error);

/* Removes the file. No reader may be open. NULL is fine. */
void mirror_values_free(struct mirror_values *values);

/* The file may have that many bytes from the next commit on, at least those that it has. */
void mirror_values_set_disk_max(struct mirror_values *values, uint64_t disk_max);

/* What it takes, and how much more a put may make of it. */
uint64_t mirror_values_memory(const struct mirror_values *values);
uint64_t mirror_values_cost(const struct mirror_values *values, const struct mirror_value *value);

uint64_t mirror_values_disk(const struct mirror_values *values);

/* ---- The writer: whatever fails, all is lost but mirror_values_free() ------------------------ */

/* Put, or put another one. STATUS_NO_MEMORY, STATUS_LIMIT_REACHED (no disk left, or a value that is
 * too large), STATUS_IO_FAILED, STATUS_CORRUPT: of the next two, too. */
MUST_CHECK enum status mirror_values_put(struct mirror_values *values, uint32_t row,
                                         const struct mirror_value *value,
                                         struct mirror_seal        *ret_seal);

/* There is one. */
MUST_CHECK enum status mirror_values_remove(struct mirror_values *values, uint32_t row);

/* What was changed is there for readers now. */
MUST_CHECK enum status mirror_values_commit(struct mirror_values *values);

/* Borrowed until the next change. STATUS_NOT_FOUND: the seal is that of none. STATUS_CORRUPT. */
MUST_CHECK enum status mirror_values_get(struct mirror_values *values, uint32_t row,
                                         struct mirror_seal seal, struct mirror_value *ret_value);

/* ---- Readers -------------------------------------------------------------------------------- */

/* STATUS_NO_MEMORY, STATUS_IO_FAILED */
MUST_CHECK enum status mirror_values_reader_new(struct mirror_values         *values,
                                                struct mirror_values_reader **ret_reader);
void                   mirror_values_reader_free(struct mirror_values_reader *reader);

/* No change between these two. STATUS_IO_FAILED, STATUS_CORRUPT */
MUST_CHECK enum status mirror_values_reader_begin(struct mirror_values_reader *reader);
void                   mirror_values_reader_end(struct mirror_values_reader *reader);

/* Borrowed until the end. Outcomes as mirror_values_get(). */
MUST_CHECK enum status mirror_values_reader_get(struct mirror_values_reader *reader, uint32_t row,
                                                struct mirror_seal   seal,
                                                struct mirror_value *ret_value);

#endif
