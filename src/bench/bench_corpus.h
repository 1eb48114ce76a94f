/* bench_corpus - made-up records as JSON text, written once and sent many times
 *
 * Variant v of a record is an embedding, a document and a metadata object, each a piece of JSON
 * with a comma before it, so that any choice of variants becomes the arrays of a request by listing
 * pieces: nothing is printed while load runs. The same options give the same texts.
 */
#ifndef BENCH_BENCH_CORPUS_H
#define BENCH_BENCH_CORPUS_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"

enum bench_corpus_encoding {
    BENCH_CORPUS_BASE64, /* what the Python and JavaScript clients send in writes */
    BENCH_CORPUS_ARRAYS, /* queries are always so */
    BENCH_CORPUS_ENCODINGS
};

struct bench_corpus_options {
    size_t   dimension;
    bool     has[BENCH_CORPUS_ENCODINGS]; /* which encodings are needed */
    size_t   document_bytes;              /* 0: no documents */
    size_t   metadata_keys;               /* 0: no metadatas; 100 at most */
    size_t   variants;                    /* 0: as many as fit in 128 MiB, 16384 at most */
    uint64_t seed;
};

struct bench_corpus; /* opaque */

/* NULL when out of memory. */
struct bench_corpus *bench_corpus_new(const struct bench_corpus_options *options);

void bench_corpus_free(struct bench_corpus *corpus);

size_t bench_corpus_variants(const struct bench_corpus *corpus);

/* The pieces of a variant, each with its comma before it. Borrowed. */
struct bytes bench_corpus_vector(const struct bench_corpus *corpus, size_t variant,
                                 enum bench_corpus_encoding encoding);
struct bytes bench_corpus_document(const struct bench_corpus *corpus, size_t variant);
struct bytes bench_corpus_metadata(const struct bench_corpus *corpus, size_t variant);

/* 64-bit FNV-1a of what the variant says, as a server can compute it from what it has applied:
 * `v` and the embedding as little-endian f32, `d` and the document, `m` and the metadata as compact
 * JSON with sorted keys. */
uint64_t bench_corpus_sum(const struct bench_corpus *corpus, size_t variant);

#endif
