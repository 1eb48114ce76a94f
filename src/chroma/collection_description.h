/* collection_description - what of Chroma's description of a collection may a write change?
 *
 * Chroma's answers to getting a collection, and to creating one that is there, change with writes
 * to its records in two ways only: the dimension is fixed by the first vectors, and the schema
 * grows by each metadata key, and by each type of its values, that was never stored before. So a
 * write all of whose keys and types are in the schema of the last description leaves it as it is.
 *
 * Servers without a schema have only the first. A Chroma that counts versions of its collections
 * (a distributed one, which works on them by itself) is not described.
 *
 * Thread: any. Memory: none; a description is plain data.
 */
#ifndef CHROMA_COLLECTION_DESCRIPTION_H
#define CHROMA_COLLECTION_DESCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/siphash.h"
#include "chroma/chroma_records.h"

/* Of more, those beyond are as if they were not known. */
enum { COLLECTION_DESCRIPTION_PAIRS_MAX = 128 };

enum collection_schema {
    COLLECTION_SCHEMA_NONE, /* this server has none */
    COLLECTION_SCHEMA_KNOWN,
    COLLECTION_SCHEMA_UNKNOWN /* any write may change it */
};

struct collection_description {
    uint8_t                uuid[16];
    bool                   has_dimension;
    enum collection_schema schema;
    unsigned               pair_count;
    uint64_t pairs[COLLECTION_DESCRIPTION_PAIRS_MAX]; /* keyed hashes of a key and a type each */
};

/* Read the body of a 200. `key` is of this process, and secret. False: it is no such description,
 * or one of a Chroma that changes it by itself. */
MUST_CHECK bool collection_description_read(struct bytes                   body,
                                            const unsigned char            key[SIPHASH_KEY_SIZE],
                                            struct collection_description *ret_description);

/* Is the collection certainly described so after this write, too? */
bool collection_description_covers(const struct collection_description *description,
                                   const unsigned char                  key[SIPHASH_KEY_SIZE],
                                   const struct chroma_records         *records);

#endif
