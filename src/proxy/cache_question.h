/* cache_question - what a request asks that changes nothing, for those who look for its answer;
 * part of an exchange
 *
 * Private to proxy/.
 */
#ifndef PROXY_CACHE_QUESTION_H
#define PROXY_CACHE_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "chroma/record_ids.h"
#include "reads/query_cache.h"
#include "reads/single_flight.h"

struct cache_join;
struct exchange_path;

enum cache_kind {
    CACHE_KIND_NONE,    /* an answer that is not kept */
    CACHE_KIND_RECORDS, /* of a query, get or count */
    CACHE_KIND_FIXED,   /* construct_question.h, as is the next */
    CACHE_KIND_DESCRIPTION
};

struct cache_question {
    enum cache_kind        kind;
    struct query_cache_key key;
    bool                   is_keyed; /* `key` is set */
    bool                   has_ids;  /* the answer depends on these records alone: */
    struct record_ids      ids;
    struct query_validity  asked; /* when it was looked for; stamp 0: do not keep the answer */
    uint64_t               quiet; /* of what depends on ids: the stamp of all records then */
    uint8_t                head;  /* of the answer, if it is kept: kept_head.h */

    /* Of one that waits for the answer to another, or that others may wait for; cache_join.h. */
    struct cache_join          *join; /* NULL: it never did */
    struct flight_member        flight;
    const struct exchange_path *path; /* its own, while it waits */
    uint64_t                    waits_since_us;
};

#endif
