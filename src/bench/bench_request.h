/* bench_request - the requests of a load: which operation next, and its bytes
 *
 * A workload says what is asked for; a request is one instance of it, ready for sendmsg(): a head
 * and ids of its own, and pieces of the corpus that all requests share. Building one prints numbers
 * only, so it costs about a microsecond.
 */
#ifndef BENCH_BENCH_REQUEST_H
#define BENCH_BENCH_REQUEST_H

#include <sys/uio.h>

#include "base/byte_buffer.h"
#include "bench/bench_corpus.h"

enum bench_request_op {
    BENCH_REQUEST_ADD,
    BENCH_REQUEST_UPSERT,
    BENCH_REQUEST_UPDATE,
    BENCH_REQUEST_DELETE,
    BENCH_REQUEST_GET,
    BENCH_REQUEST_QUERY,
    BENCH_REQUEST_COUNT,
    BENCH_REQUEST_RAW,
    BENCH_REQUEST_OPS
};

/* "add", "upsert", ... Static storage. */
const char *bench_request_op_name(enum bench_request_op op);

/* What all groups of one run share. */
struct bench_request_source {
    const struct bench_corpus *corpus; /* borrowed; NULL for raw requests alone */
    bool                       has[BENCH_CORPUS_ENCODINGS]; /* of writes; both: by turns */
    bool                       has_documents, has_metadatas;
    const char                *host;        /* borrowed */
    const char                *headers;     /* complete field lines, or "" */
    const char *const         *collections; /* paths, `collection_count` of them; borrowed */
    size_t                     collection_count;
    const char                *raw_path; /* RAW: GET, or POST of raw_body_bytes if > 0 */
    size_t                     raw_body_bytes;
    char                       query_tail[128]; /* of queries, from `],` on */
    double                     reuse;           /* share of writes that name an earlier id */
    bool                       repeat_query;    /* all queries are the same */
    uint32_t                   id_prefix;
    uint64_t                   next_number; /* ids are made of numbers from 0 on */
    size_t                     next_variant;
    uint64_t                   rng;
};

struct bench_request_mix {
    unsigned weights[BENCH_REQUEST_OPS];
    unsigned total;
    size_t   batch; /* records per write, ids per get and delete, 1 at least */
};

struct bench_request {
    enum bench_request_op op;
    struct byte_buffer    text;  /* head, and the body as far as the ids */
    struct iovec         *parts; /* all to be sent, in order */
    size_t                part_count, part_capacity;
    size_t                records;  /* ids in it */
    uint64_t             *numbers;  /* of its ids */
    size_t               *variants; /* of its records */
    size_t                record_capacity;
};

void bench_request_done(struct bench_request *request);

/* Read a mix: op[:weight][+op[:weight]]... False: not understood. */
bool bench_request_parse_mix(struct bench_request_mix *mix, const char *text);

/* Build the next request of `mix` for collection number `collection` (modulo their count).
 * False: out of memory. */
MUST_CHECK bool bench_request_build(struct bench_request           *request,
                                    struct bench_request_source    *source,
                                    const struct bench_request_mix *mix, size_t collection);

enum { BENCH_REQUEST_ID_SIZE = 21 };

/* Write id number `number`, BENCH_REQUEST_ID_SIZE characters and no NUL. */
void bench_request_write_id(const struct bench_request_source *source, uint64_t number, char *out);

#endif
