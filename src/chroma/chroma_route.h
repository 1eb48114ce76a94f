/* chroma_route - what does this request ask of Chroma, and of which collection?
 *
 * Recognises the routes of Chroma's APIs from method and path: v2, and v1, which servers before 1.0
 * have and later ones refuse. Everything else is UNKNOWN, or UNKNOWN_WRITE if its method may change
 * something: passed on, the latter never sent twice, and within a collection never overtaken.
 *
 * Thread: any. Memory: none; spans point into the path. What is encoded is its buffer's.
 */
#ifndef CHROMA_CHROMA_ROUTE_H
#define CHROMA_CHROMA_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"

enum chroma_operation {
#define OPERATION(id, metric_op, class, is_write, is_retry_safe, has_plain_413, reach)             \
    CHROMA_OPERATION_##id,
#include "chroma/chroma_operation.def"
#undef OPERATION
    CHROMA_OPERATION_COUNT_OF
};

enum chroma_class {
    CHROMA_CLASS_OTHER,
    CHROMA_CLASS_READ, /* asks the records */
    CHROMA_CLASS_WRITE /* changes the records */
};

/* What a request may change; each reaches less than the one before it. */
enum chroma_reach {
    CHROMA_REACH_EVERYTHING,
    CHROMA_REACH_SCOPE,      /* the names in one database, and all in it */
    CHROMA_REACH_NAMES,      /* the names in one database, no records */
    CHROMA_REACH_COLLECTION, /* one collection: its records, its description, its name */
    CHROMA_REACH_RECORDS,    /* one collection: its records, and what follows from them in its
                                description (dimension, schema) */
    CHROMA_REACH_TENANTS,    /* tenants and databases, no collection that was there */
    CHROMA_REACH_NOTHING
};

/* A row of chroma_operation.def, which explains the columns. */
struct chroma_operation_info {
    const char *name; /* "TENANT_CREATE", for logs */
    const char *metric_op;
    enum chroma_class class;
    bool              is_write;
    bool              is_retry_safe;
    bool              has_plain_413;
    enum chroma_reach reach;
};

struct chroma_route {
    enum chroma_operation               operation;
    const struct chroma_operation_info *info;  /* static storage */
    bool                                is_v1; /* tenant and database are in the query, if at all */

    /* Segments of the path, borrowed and still percent-encoded; empty where there is none. */
    struct bytes tenant;
    struct bytes database;
    struct bytes collection; /* a name for COLLECTION_GET and COLLECTION_DELETE, else a UUID */

    bool    has_uuid; /* `collection` stands for a UUID and is one, in a spelling Chroma takes */
    uint8_t uuid[16]; /* zeros without it */
};

/* Recognise a request. `path` is the target up to its '?'. Never fails. */
void chroma_route_find(struct bytes method, struct bytes path, struct chroma_route *ret_route);

const struct chroma_operation_info *chroma_route_info(enum chroma_operation operation);

/* Read a UUID in any spelling that Chroma takes: upper or lower case, with or without hyphens, the
 * former in braces or behind `urn:uuid:`, percent-encoded. False, nothing written: it is none. */
bool chroma_route_parse_uuid(struct bytes segment, uint8_t ret_uuid[16]);

/* As Chroma writes it: 8-4-4-4-12 digits, and the NUL. */
enum { CHROMA_ROUTE_UUID_SIZE = 37 };
void chroma_route_print_uuid(const uint8_t uuid[16], char out[CHROMA_ROUTE_UUID_SIZE]);

/* Decode the percent-encoding of a path segment as Chroma does: an escape that is not one stays.
 * Writes at most `capacity` bytes to `ret_text`.
 *
 * true   *ret_size bytes were written.
 * false  the decoded segment is longer than `capacity`. */
bool chroma_route_decode(struct bytes segment, char *ret_text, size_t capacity, size_t *ret_size);

/* Append `text` as one segment of a path: percent-encoded but for what RFC 3986, section 2.3, calls
 * unreserved. STATUS_NO_MEMORY: with part of it appended. */
MUST_CHECK enum status chroma_route_encode(struct bytes text, struct byte_buffer *out);

#endif
