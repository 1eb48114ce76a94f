/* cache_question - what a request asks that changes nothing, for those who look for its answer;
 * part of an exchange
 *
 * Private to proxy/.
 */
#ifndef PROXY_CACHE_QUESTION_H
#define PROXY_CACHE_QUESTION_H

#include "reads/query_cache.h"

enum cache_kind {
    CACHE_KIND_NONE,    /* an answer that is not kept */
    CACHE_KIND_RECORDS, /* of a query, get or count */
    CACHE_KIND_FIXED,   /* construct_question.h, as is the next */
    CACHE_KIND_DESCRIPTION
};

struct cache_question {
    enum cache_kind        kind;
    struct query_cache_key key;
    struct query_validity  asked; /* when it was looked for; stamp 0: do not keep the answer */
    uint8_t                head;  /* of the answer, if it is kept: enum kept_head of cache_path.c */
};

#endif
