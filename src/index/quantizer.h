/* quantizer - vectors to codes of one byte or half a byte per component, and scores from codes
 *
 * A vector x (for cosine: x divided by its length) becomes step * c + e with whole numbers c:
 *
 *   q8  c = -127 .. 127, stored as c + 128; step = largest component / 127
 *   q4  c = -15, -13 .. 15 after a fixed random rotation, stored as (c + 15) / 2; the step is
 *       searched per vector for the least error
 *
 * A query is coded like q8 (rotated for q4), which leaves
 *
 *   dot(q, x) = query.step * step * (whole-number product) + error
 *   |error|  <= |x - e| * |eq| + |q| * |e|          (Cauchy and Schwarz)
 *
 * so that a score is one fused multiply-add, and exact search knows which scores to distrust.
 * Scores order as distances do: distance = score + query.constant.
 *
 * Thread: a quantizer is constant after quantizer_init().
 */
#ifndef INDEX_QUANTIZER_H
#define INDEX_QUANTIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"
#include "index/distance.h"

enum vector_metric {
    VECTOR_L2,     /* squared Euclidean distance */
    VECTOR_IP,     /* 1 - dot */
    VECTOR_COSINE, /* 1 - cosine; the zero vector is at distance 1 of everything */
};

enum quantizer_kind { QUANTIZER_Q8, QUANTIZER_Q4 };

enum { quantizer_dim_max = 16384 }; /* 16384 * 255 * 127 fits 31 bits */

struct quantizer {
    enum quantizer_kind kind;
    enum vector_metric  metric;
    uint32_t            dim;
    uint32_t            code_bytes;  /* a multiple of 64 */
    uint32_t            query_bytes; /* components of a coded query, padding included */
    uint64_t            seed;        /* of the rotation */
};

/* What a code needs beside its bytes. */
struct code_header {
    float step;  /* of c, >= 0; 0 for the zero vector */
    float norm2; /* squared length of x */
};

struct quantizer_query {
    int8_t *code;   /* borrowed: query_bytes bytes */
    float   factor; /* score = norm_factor * norm2 + factor * step * (scale * raw - offset) */
    float   norm_factor;
    int32_t scale, offset;
    float   constant;    /* distance - score */
    float   norm, error; /* |q| and |q - its code|, both as scored */
};

void quantizer_init(struct quantizer *quantizer, enum quantizer_kind kind,
                    enum vector_metric metric, uint32_t dim, uint64_t seed);

/* Whether every component is finite and the squared length fits a float with room to spare. */
bool quantizer_accepts(const float *vector, uint32_t dim);

/* Code `vector`. `scratch` has room for 2 * dim floats. *ret_error is |x - its code|. */
void quantizer_encode(const struct quantizer *quantizer, const float *vector, float *scratch,
                      uint8_t *code, struct code_header *ret_header, float *ret_error);

/* Prepare a query from a vector; query->code must be set. `scratch` as above. */
void quantizer_query_vector(const struct quantizer *quantizer, const float *vector, float *scratch,
                            struct quantizer_query *query);

/* Prepare a query from a stored code: what the heuristics of the graph compare. */
void quantizer_query_code(const struct quantizer *quantizer, const struct distance_kernels *kernels,
                          const uint8_t *code, const struct code_header *header,
                          struct quantizer_query *query);

static inline float quantizer_score(const struct quantizer_query *query,
                                    const struct code_header *header, int32_t raw)
{
    return query->norm_factor * header->norm2 +
           query->factor * header->step * (float)(query->scale * raw - query->offset);
}

/* How far score + constant may be from the true distance of a vector with that header and coding
 * error. */
float quantizer_bound(const struct quantizer *quantizer, const struct quantizer_query *query,
                      const struct code_header *header, float error);

/* The distance by full precision. `vector` is the stored one, `query` the caller's;
 * `query_norm2` its squared length (used for cosine only). */
float quantizer_distance(const struct quantizer *quantizer, const struct distance_kernels *kernels,
                         const float *query, float query_norm2, const float *vector);

#endif
