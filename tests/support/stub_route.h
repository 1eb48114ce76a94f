/* stub_route - which call of Chroma's API v2, or of the stub's own, a request is */
#ifndef SUPPORT_STUB_ROUTE_H
#define SUPPORT_STUB_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* What faults and statistics tell apart. */
enum stub_op {
    STUB_OP_ADD,
    STUB_OP_UPSERT,
    STUB_OP_UPDATE,
    STUB_OP_DELETE,
    STUB_OP_GET,
    STUB_OP_QUERY,
    STUB_OP_COUNT,
    STUB_OP_COLLECTION,
    STUB_OP_ADMIN,
    STUB_OP_RAW,   /* /bench/... */
    STUB_OP_STUB,  /* /stub/...: never subject to faults or cost */
    STUB_OP_OTHER, /* unknown routes */
    STUB_OPS
};

/* Which handler answers. */
enum stub_call {
    STUB_CALL_NONE, /* 404 */
    STUB_CALL_WRONG_METHOD,
    STUB_CALL_V1,
    STUB_CALL_HEARTBEAT,
    STUB_CALL_HEALTHCHECK,
    STUB_CALL_VERSION,
    STUB_CALL_PREFLIGHT,
    STUB_CALL_IDENTITY,
    STUB_CALL_RESET,
    STUB_CALL_TENANT_GET,
    STUB_CALL_DATABASE_LIST,
    STUB_CALL_DATABASE_GET,
    STUB_CALL_CREATED, /* tenant or database: accepted, not kept */
    STUB_CALL_COLLECTION_LIST,
    STUB_CALL_COLLECTION_COUNT,
    STUB_CALL_COLLECTION_CREATE,
    STUB_CALL_COLLECTION_GET,
    STUB_CALL_COLLECTION_BY_ID,
    STUB_CALL_COLLECTION_DELETE,
    STUB_CALL_COLLECTION_MODIFY,
    STUB_CALL_WRITE, /* add, upsert, update */
    STUB_CALL_DELETE,
    STUB_CALL_GET,
    STUB_CALL_QUERY,
    STUB_CALL_COUNT,
    STUB_CALL_RAW_BYTES, /* GET: `size` bytes */
    STUB_CALL_RAW_POST,  /* body read and dropped, small answer */
    STUB_CALL_STATS,
    STUB_CALL_LOG,
    STUB_CALL_FAULT
};

enum { STUB_ROUTE_NAME_MAX = 512 };

struct stub_route {
    enum stub_call call;
    enum stub_op   op;
    size_t         size; /* RAW_BYTES */
    char           tenant[STUB_ROUTE_NAME_MAX + 1];
    char           database[STUB_ROUTE_NAME_MAX + 1];
    char           collection[STUB_ROUTE_NAME_MAX + 1]; /* name or UUID as sent, decoded */
    uint8_t        uuid[16];
    bool           has_uuid; /* `collection` is a UUID in any of its spellings */
};

/* Find out what `method` on `path` is; `path` is without query string. */
void stub_route_parse(struct stub_route *route, struct bytes method, struct bytes path);

/* Is it one of add, upsert, update, delete? */
static inline bool stub_route_is_write(enum stub_op op)
{
    return op <= STUB_OP_DELETE;
}

/* Is it one of get, query, count? */
static inline bool stub_route_is_read(enum stub_op op)
{
    return op >= STUB_OP_GET && op <= STUB_OP_COUNT;
}

/* "add", "upsert", ... Static storage. */
const char *stub_route_op_name(enum stub_op op);

/* Parse a UUID in the forms that Chroma takes: dashed, undashed, braced, urn:uuid:, any case. */
bool stub_route_parse_uuid(const char *text, uint8_t ret_uuid[16]);

#endif
