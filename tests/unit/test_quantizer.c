/* What must hold: a score is never farther from the true distance than its bound, whatever the
 * vectors; what cannot be coded is refused. */
#include "index/quantizer.h"

#include <float.h>
#include <math.h>

#include "support/check_main.h"
#include "support/index_fixture.h"

enum { dim_max = 384 };

static const uint32_t dims[] = {1, 2, 3, 64, 65, 100, 384};

static void fill(struct rng *rng, uint32_t dim, int kind, float *vector)
{
    double scale = kind == 1 ? exp(3 * index_fixture_normal(rng)) : 1;

    for (uint32_t i = 0; i < dim; i++) {
        vector[i] = (float)(scale * index_fixture_normal(rng));
        if (kind == 2 && i % 50 == 0)
            vector[i] *= 100; /* outlying components */
        if (kind == 3)
            vector[i] = 0;
        if (kind == 4)
            vector[i] *= 1e-30f;
    }
}

static void check_pair(const struct quantizer *quantizer, const float *query, const float *vector)
{
    _Alignas(64) uint8_t   code[512];
    _Alignas(64) int8_t    query_code[512];
    float                  scratch[2 * dim_max], error;
    struct code_header     header;
    struct quantizer_query prepared = {.code = query_code};
    uint32_t               slot = 0;
    int32_t                raw;
    double truth = index_fixture_distance(quantizer->metric, query, vector, quantizer->dim);
    double score, bound;

    quantizer_encode(quantizer, vector, scratch, code, &header, &error);
    quantizer_query_vector(quantizer, query, scratch, &prepared);
    if (quantizer->kind == QUANTIZER_Q8)
        distance_kernels()->dot_u8(query_code, code, quantizer->code_bytes, &slot, 1, &raw);
    else
        distance_kernels()->dot_u4(query_code, code, quantizer->code_bytes, &slot, 1, &raw);
    score = (double)quantizer_score(&prepared, &header, raw) + (double)prepared.constant;
    bound = (double)quantizer_bound(quantizer, &prepared, &header, error);
    ck_assert_msg(fabs(score - truth) <= bound, "dim %u: %g is not within %g of %g", quantizer->dim,
                  score, bound, truth);
    ck_assert_double_le(
        fabs((double)quantizer_distance(quantizer, distance_kernels(), query,
                                        distance_kernels()->dot_f32(query, query, quantizer->dim),
                                        vector) -
             truth),
        1e-5 * (1 + fabs(truth)) + bound);
}

START_TEST(a_score_is_within_its_bound)
{
    float      query[dim_max], vector[dim_max];
    struct rng rng;

    rng_init(&rng, 3);
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (int kind = QUANTIZER_Q8; kind <= QUANTIZER_Q4; kind++)
            for (int metric = VECTOR_L2; metric <= VECTOR_COSINE; metric++) {
                struct quantizer quantizer;

                quantizer_init(&quantizer, (enum quantizer_kind)kind, (enum vector_metric)metric,
                               dims[d], 5);
                for (int round = 0; round < 200; round++) {
                    fill(&rng, dims[d], round % 5, query);
                    fill(&rng, dims[d], round / 5 % 5, vector);
                    check_pair(&quantizer, query, vector);
                }
            }
}
END_TEST

START_TEST(a_code_as_query_scores_as_its_vector_does)
{
    _Alignas(64) uint8_t   codes[2][512];
    _Alignas(64) int8_t    query_codes[2][512];
    float                  vectors[2][dim_max], scratch[2 * dim_max], error;
    struct code_header     headers[2];
    struct quantizer_query from_vector = {.code = query_codes[0]};
    struct quantizer_query from_code = {.code = query_codes[1]};
    struct quantizer       quantizer;
    struct rng             rng;
    uint32_t               slot = 1;
    int32_t                raw[2];

    rng_init(&rng, 4);
    quantizer_init(&quantizer, QUANTIZER_Q8, VECTOR_L2, dim_max, 0);
    for (int i = 0; i < 2; i++) {
        fill(&rng, dim_max, 0, vectors[i]);
        quantizer_encode(&quantizer, vectors[i], scratch, codes[i], &headers[i], &error);
    }
    quantizer_query_vector(&quantizer, vectors[0], scratch, &from_vector);
    quantizer_query_code(&quantizer, distance_kernels(), codes[0], &headers[0], &from_code);
    distance_kernels()->dot_u8(query_codes[0], codes[0], sizeof codes[0], &slot, 1, &raw[0]);
    distance_kernels()->dot_u8(query_codes[1], codes[0], sizeof codes[0], &slot, 1, &raw[1]);
    ck_assert_mem_eq(query_codes[0], query_codes[1], dim_max);
    ck_assert_int_eq(from_vector.offset, from_code.offset);
    ck_assert_float_eq_tol(from_vector.factor, from_code.factor, 1e-9f);
}
END_TEST

START_TEST(what_is_not_finite_is_refused)
{
    float vector[3] = {1, 2, 3};

    ck_assert(quantizer_accepts(vector, 3));
    vector[1] = NAN;
    ck_assert(!quantizer_accepts(vector, 3));
    vector[1] = INFINITY;
    ck_assert(!quantizer_accepts(vector, 3));
    vector[1] = FLT_MAX;
    ck_assert(!quantizer_accepts(vector, 3));
    vector[1] = 0;
    ck_assert(quantizer_accepts(vector, 3));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("quantizer");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_score_is_within_its_bound);
    tcase_add_test(tcase, a_code_as_query_scores_as_its_vector_does);
    tcase_add_test(tcase, what_is_not_finite_is_refused);
    return check_main("quantizer", tcase);
}
