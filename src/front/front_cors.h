/* front_cors - which origins Chroma lets read its answers, learned from its answers
 *
 * A browser shows a page an answer of another origin only if fields of the answer allow it (the
 * Fetch standard's CORS protocol). An error of our own must carry what Chroma's answers to that
 * origin carry, or the page sees no error but a failure without a reason.
 *
 * Memory: a fixed table; the origin learned longest ago makes room for a new one.
 */
#ifndef FRONT_FRONT_CORS_H
#define FRONT_FRONT_CORS_H

#include <stddef.h>

#include "base/bytes.h"
#include "http/http_head.h"

enum {
    FRONT_CORS_ORIGINS_MAX = 16,
    FRONT_CORS_ORIGIN_BYTES_MAX = 128, /* longer ones are not learned */
    FRONT_CORS_FIELD_BYTES_MAX = 384   /* all lines of one origin; beyond it: not learned */
};

struct front_cors_entry {
    size_t origin_size, fields_size; /* of the fields 0: none are known */
    char   origin[FRONT_CORS_ORIGIN_BYTES_MAX], fields[FRONT_CORS_FIELD_BYTES_MAX];
};

/* Zero-initialised it knows nothing. Fields are private. */
struct front_cors {
    struct front_cors_entry any; /* Access-Control-Allow-Origin: * */
    struct front_cors_entry origins[FRONT_CORS_ORIGINS_MAX];
    size_t                  next;
};

/* Chroma answered `answer` to a request with `origin` (the value of its Origin field, not empty).
 */
void front_cors_learn(struct front_cors *cors, struct bytes origin, const struct http_head *answer);

/* The field lines, each with CRLF, that allow `origin` to read an answer; empty if it is not known
 * that it may. An empty `origin` is one that is not known. Borrowed until the next learning. */
struct bytes front_cors_fields(const struct front_cors *cors, struct bytes origin);

#endif
