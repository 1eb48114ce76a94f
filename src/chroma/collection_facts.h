/* collection_facts - what can be known of a collection, and how much of it is kept
 *
 * Plain data of collection_table.h.
 */
#ifndef CHROMA_COLLECTION_FACTS_H
#define CHROMA_COLLECTION_FACTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "chroma/collection_answer.h"

struct collection_table_options {
    size_t   collections_max; /* > 0 */
    size_t   bytes_max;
    uint64_t lost_us;    /* Chroma waits up to 1000 s for SQLite's lock */
    uint64_t settled_us; /* before that a write of a former process of ours may be under way */
};

/* A database, decoded. Two of them are the same if their bytes are. */
struct scope {
    struct bytes tenant, database;
};

enum collection_existence {
    COLLECTION_EXISTENCE_UNKNOWN,
    COLLECTION_EXISTS, /* was seen, and no deletion that may be its was since */
    COLLECTION_GONE    /* was deleted; its UUID never comes again */
};

struct collection_facts {
    enum collection_existence existence;
    enum collection_space     space; /* never changes */
    uint32_t dimension;              /* 0: not fixed or not known; once fixed it never changes */
    uint32_t writes_in_flight;       /* to it alone */
    uint32_t writes_unknown;         /* of unknown outcome, to it alone */
};

/* What stamp (of some ids, or of all), epoch and incarnation of the records of a collection were.
 */
struct collection_former {
    uint64_t stamp, epoch, incarnation;
};

#endif
