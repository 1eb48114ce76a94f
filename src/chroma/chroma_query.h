/* chroma_query - what does this read ask, and when do two ask the same?
 *
 * Reads the body of a query or a get in one pass and boils it down to a digest: bodies with equal
 * digests get the same answer from the same records. It says so only where the whole body is
 * understood: known fields, each once and of the right type; vectors of numbers that are finite as
 * 32-bit floats; filters of any JSON, which Chroma may refuse. Everything else is STATUS_INVALID,
 * which is not to say that Chroma would refuse it: just keep no answer to it.
 *
 * Into the digest go the operation, tenant and database as the path spells them, and of the body
 * all that an answer may depend on, in an order of its own: what is to be included (Chroma echoes
 * it in the order asked), numbers of results, limit and offset, ids in their order, filters with
 * integers and floats kept apart, vectors as 32-bit floats with -0 as 0. A number that servers
 * might read differently (json_floats.h) stands there as its text. Identity and collection do not:
 * they are compared in full by who keeps answers.
 *
 * Nothing is copied: spans point into the body.
 *
 * Thread: any; vectors take some 1.5 ms for a MiB. Memory: none but 4 KiB of stack.
 */
#ifndef CHROMA_CHROMA_QUERY_H
#define CHROMA_CHROMA_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/keyed_digest.h"
#include "base/status.h"
#include "chroma/chroma_route.h"

enum chroma_query_field {
    CHROMA_QUERY_EMBEDDINGS,
    CHROMA_QUERY_IDS,
    CHROMA_QUERY_WHERE,
    CHROMA_QUERY_WHERE_DOCUMENT,
    CHROMA_QUERY_INCLUDE,
    CHROMA_QUERY_N_RESULTS,
    CHROMA_QUERY_LIMIT,
    CHROMA_QUERY_OFFSET,
    CHROMA_QUERY_FIELD_COUNT
};

enum chroma_query_include {
    CHROMA_QUERY_INCLUDE_DOCUMENTS = 1,
    CHROMA_QUERY_INCLUDE_METADATAS = 2,
    CHROMA_QUERY_INCLUDE_DISTANCES = 4,
    CHROMA_QUERY_INCLUDE_EMBEDDINGS = 8,
    CHROMA_QUERY_INCLUDE_URIS = 16
};

struct chroma_query {
    unsigned char digest[KEYED_DIGEST_SIZE];
    unsigned      field_set; /* 1 << field for each that is there and not null */
    struct bytes  spans[CHROMA_QUERY_FIELD_COUNT]; /* the values, as in the body */
    size_t        vector_count;
    size_t        dimension;   /* 0: no vector, or not all of the same */
    size_t        id_count;    /* 0 if there are none */
    unsigned      include_set; /* enum chroma_query_include; the default if it is not there */
    uint64_t      n_results;   /* the default if it is not there */
    uint64_t      limit, offset;
};

/* Read `body`, borrowed as long as the spans are in use. `key` is borrowed for the call.
 * `null_is_default`: the server takes null, absence and the documented default for the same;
 * otherwise these three are kept apart. The body of a count is empty and so must this one be.
 *
 * STATUS_OK       *ret_query is filled.
 * STATUS_INVALID  it is not understood, or `route` is none of QUERY, GET and COUNT in version 2;
 *                 *ret_reason says why, static storage. */
MUST_CHECK enum status chroma_query_read(const struct chroma_route *route, bool null_is_default,
                                         struct bytes         body,
                                         const unsigned char  key[KEYED_DIGEST_KEY_SIZE],
                                         struct chroma_query *ret_query, const char **ret_reason);

#endif
