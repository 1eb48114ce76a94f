/* collection_answer - what Chroma's description of a collection says
 *
 * Descriptions are the answers to creating, getting and forking a collection and the elements of
 * the list of collections, of servers of every age.
 *
 * Thread: any. Memory: none; spans are decoded into the struct.
 */
#ifndef CHROMA_COLLECTION_ANSWER_H
#define CHROMA_COLLECTION_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "json/json_scan.h"

enum collection_space {
    COLLECTION_SPACE_UNKNOWN,
    COLLECTION_SPACE_L2,
    COLLECTION_SPACE_COSINE,
    COLLECTION_SPACE_IP
};

/* Chroma's names have at most 512 characters; a longer one is not read. */
enum { COLLECTION_ANSWER_TEXT_MAX = 1024 };

struct collection_text {
    size_t size;
    char   data[COLLECTION_ANSWER_TEXT_MAX];
};

struct collection_answer {
    uint8_t                uuid[16];
    struct collection_text name, tenant, database; /* empty where the server does not say */
    uint32_t               dimension;              /* 0: not fixed yet */
    enum collection_space  space;
};

/* Take the next value of `scan`, which must be a description with an id and a name. False: it is
 * none, or not JSON; the scan may stand within it. */
bool collection_answer_take(struct json_scan *scan, struct collection_answer *ret_answer);

#endif
