/* mirror_metadata - the metadata of one record, read from JSON into typed fields
 *
 * Reads a metadata object as the Rust server does (doc/mirror-filters.md): integers and floats are
 * two types; an integer that does not fit 64 bits with a sign is a float, and so is -0; a list has
 * items of one type; of a key that stands there twice the last value counts.
 *
 * The fields are sorted by their keys, as bytes. All of it is one piece of memory.
 *
 * Thread: any; what was read is not changed any more. Memory: 40 bytes for each field, 16 for each
 * value, and its texts.
 */
#ifndef MIRROR_MIRROR_METADATA_H
#define MIRROR_MIRROR_METADATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"

/* Fields and items of lists together. Chroma cannot apply records of some 5000. */
enum { MIRROR_METADATA_VALUES_MAX = 1000 };

/* Where the JSON comes from: the way decides how its floats are to be read. */
enum mirror_source {
    MIRROR_SOURCE_ANSWER, /* of Chroma to a `get`: they are what they say */
    /* The body of a write: Chroma reads them, writes them into its log, and reads them again. */
    MIRROR_SOURCE_WRITE
};

enum mirror_type {
    MIRROR_TYPE_NULL, /* only in what an update says: the key is to be deleted */
    MIRROR_TYPE_BOOL,
    MIRROR_TYPE_INTEGER,
    MIRROR_TYPE_DOUBLE,
    MIRROR_TYPE_STRING
};

union mirror_scalar {
    bool         flag;
    int64_t      integer;
    double       real;
    struct bytes text;
};

struct mirror_field {
    struct bytes     key;
    enum mirror_type type; /* of the items, if it is a list */
    bool             is_list;
    uint32_t         count; /* of the items, at least 1; 1 if it is no list */
    /* The items of a list, or the one value. */
    const union mirror_scalar *items;
};

struct mirror_metadata {
    size_t               count;
    struct mirror_field *fields;
};

/* STATUS_OK               *ret_metadata is given; of null it has no fields.
 * STATUS_NOT_IMPLEMENTED  Chroma may take it or not: this does not know it, *ret_reason says why
 *                         (static storage).
 * STATUS_NO_MEMORY        */
MUST_CHECK enum status mirror_metadata_read(struct bytes json, enum mirror_source source,
                                            struct mirror_metadata **ret_metadata,
                                            const char             **ret_reason);

void mirror_metadata_free(struct mirror_metadata *metadata);

/* The field of `key`; NULL: there is none. `metadata` may be NULL. */
const struct mirror_field *mirror_metadata_find(const struct mirror_metadata *metadata,
                                                struct bytes                  key);

/* The order of keys, as memcmp() has it. */
int mirror_metadata_compare(struct bytes left, struct bytes right);

#endif
