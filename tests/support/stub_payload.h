/* stub_payload - the body of a write, checked as Chroma checks it
 *
 * A plain reading with jansson, on purpose nothing like the proxy's own scanner: what this refuses
 * or takes is what the proxy's answers are compared with.
 */
#ifndef SUPPORT_STUB_PAYLOAD_H
#define SUPPORT_STUB_PAYLOAD_H

#include <jansson.h>

#include "support/stub_answer.h"
#include "support/stub_route.h"

struct stub_payload {
    json_t *root; /* owns the members below; NULL: empty payload */
    size_t  count;
    json_t *ids, *documents, *uris, *metadatas; /* NULL when absent or null */
    json_t *embeddings;                         /* likewise; arrays or base64 */
    float  *vectors;                            /* count_of(embeddings) x dimension, or NULL */
    bool   *has_vector;                         /* per embedding: false where it is null */
    size_t  vector_count;
    size_t  dimension;
};

void stub_payload_done(struct stub_payload *payload);

/* Parse JSON as Chroma's extractor does. NULL: `answer` holds 400 or 422. The result is given:
 * json_decref(). `known` lists the member names that must not repeat, ending with NULL. */
json_t *stub_payload_json(struct bytes text, const char *const *known, struct stub_answer *answer);

/* First half of the checks: JSON and types. False: `answer` says why. */
bool stub_payload_parse(struct stub_payload *payload, enum stub_op op, struct bytes text,
                        struct stub_answer *answer);

/* Second half, after the collection was found: vectors and metadata keys; fills `vectors`. */
bool stub_payload_decode(struct stub_payload *payload, struct stub_answer *answer);

/* Last checks, made after the dimension was fixed: lengths and empty ids. */
bool stub_payload_check_lengths(const struct stub_payload *payload, struct stub_answer *answer);

#endif
