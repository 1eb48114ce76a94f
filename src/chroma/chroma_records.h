/* chroma_records - would Chroma take this write if it came alone?
 *
 * Scans the body of an add, upsert or update and says yes only where that is certain from the body
 * alone: valid JSON of known fields, each once and of the right type, columns of equal length, ids
 * not empty, vectors of one dimension and one encoding that are finite as 32-bit floats, metadata
 * of scalars or lists of one type under keys that Chroma lets users have, no more than it can
 * store. What only the collection
 * knows (its dimension, its schema) is not looked at. Everything else is STATUS_INVALID, which is
 * not to say that Chroma would refuse it: just do not merge it.
 *
 * Nothing is copied but ids with escapes: spans point into the body, which the caller keeps as
 * long as the records are in use.
 *
 * Thread: any; to be called on a worker for large bodies (json_scan.h). Memory: 16 bytes for each
 * record, and 4 bytes for each value of each column if there are several.
 */
#ifndef CHROMA_CHROMA_RECORDS_H
#define CHROMA_CHROMA_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "chroma/chroma_route.h"
#include "chroma/metadata_keys.h"

enum chroma_column {
    CHROMA_COLUMN_IDS,
    CHROMA_COLUMN_EMBEDDINGS,
    CHROMA_COLUMN_METADATAS,
    CHROMA_COLUMN_DOCUMENTS,
    CHROMA_COLUMN_URIS,
    CHROMA_COLUMN_COUNT
};

enum chroma_encoding {
    CHROMA_ENCODING_NONE, /* no vector at all: an update may do without */
    CHROMA_ENCODING_ARRAYS,
    CHROMA_ENCODING_BASE64
};

/* What a server of another family than the newest may refuse or spoil (chroma_family.h). */
enum chroma_trait {
    CHROMA_TRAIT_EXTREME_NUMBER = 1, /* in metadata: an integer that might not fit 63 bits, a number
                                        that might not be finite as a 32-bit float */
    CHROMA_TRAIT_LIST = 2,           /* a metadata value that is a list */
    CHROMA_TRAIT_NULL_VECTOR = 4     /* null among the vectors of an update */
};

struct chroma_records {
    size_t               count; /* records, at least 1 */
    enum chroma_encoding encoding;
    size_t               dimension;  /* 0 with ENCODING_NONE */
    struct bytes        *ids;        /* `count` of them, decoded */
    unsigned             column_set; /* 1 << column for each that is there and not null */
    unsigned             traits;     /* enum chroma_trait */
    struct metadata_keys metadata;   /* of all records */

    /* The text between the brackets of each column: values and commas. data is NULL where the
     * column is absent or null. */
    struct bytes columns[CHROMA_COLUMN_COUNT];

    /* Private. */
    char     *decoded;                     /* the ids that had escapes */
    uint32_t *starts[CHROMA_COLUMN_COUNT]; /* where values 1, 2, .. begin in their column */
};

/* Scan `body`, which is borrowed until chroma_records_done().
 *
 * STATUS_OK         it would pass alone; *ret_records is filled, chroma_records_done() frees it.
 * STATUS_INVALID    it might not, `operation` is none of ADD, UPSERT and UPDATE, or there are more
 *                   than `count_max` records; *ret_reason says why, static storage.
 * STATUS_NO_MEMORY  */
MUST_CHECK enum status chroma_records_scan(enum chroma_operation operation, struct bytes body,
                                           size_t count_max, struct chroma_records *ret_records,
                                           const char **ret_reason);

/* Harmless on zeroes and a second time. */
void chroma_records_done(struct chroma_records *records);

/* Do two of them have one id? Also true where there is no memory to find out. */
bool chroma_records_repeat_an_id(const struct chroma_records *records);

/* The text of `count` values of a column from value `first` on, without a comma around it. The
 * column must be there, the range within it and not empty. */
struct bytes chroma_records_slice(const struct chroma_records *records, enum chroma_column column,
                                  size_t first, size_t count);

/* "ids". Static storage. */
const char *chroma_records_column_name(enum chroma_column column);

#endif
