#include "index/quantizer.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"

static const float squares_min = 1e-25f;

static double   squared_norm(const float *vector, uint32_t dim);
static float    normalise(const struct quantizer *quantizer, const float *vector, float *out);
static void     rotate(const struct quantizer *quantizer, float *vector);
static void     hadamard(float *vector, uint32_t size);
static float    encode_q8(const struct quantizer *quantizer, const float *vector, int8_t *code,
                          float *ret_step, int32_t *ret_sum);
static int      level_q8(float scaled);
static float    encode_q4(const struct quantizer *quantizer, const float *vector, uint8_t *code,
                          float *ret_step);
static float    best_step_q4(const float *vector, uint32_t dim);
static float    largest(const float *vector, uint32_t dim);
static int      half_q4(float value, float inverse_step);
static void     set_factors(const struct quantizer *quantizer, float step, int32_t sum,
                            struct quantizer_query *query);
static uint32_t quantizer_round_up(uint32_t value, uint32_t unit);
static float    tiny_cosine(const float *left, const float *right, uint32_t dim);

void quantizer_init(struct quantizer *quantizer, enum quantizer_kind kind,
                    enum vector_metric metric, uint32_t dim, uint64_t seed)
{
    assert(dim >= 1 && dim <= quantizer_dim_max);
    *quantizer = (struct quantizer){.kind = kind, .metric = metric, .dim = dim, .seed = seed};
    quantizer->query_bytes = quantizer_round_up(dim, kind == QUANTIZER_Q8 ? 64 : 128);
    quantizer->code_bytes =
        kind == QUANTIZER_Q8 ? quantizer->query_bytes : quantizer->query_bytes / 2;
}

static uint32_t quantizer_round_up(uint32_t value, uint32_t unit)
{
    return (value + unit - 1) / unit * unit;
}

bool quantizer_accepts(const float *vector, uint32_t dim)
{
    /* A distance is at most four times the larger squared length. */
    return squared_norm(vector, dim) <= (double)FLT_MAX / 8; /* false for NaN too */
}

static double squared_norm(const float *vector, uint32_t dim)
{
    double sum[4] = {0};

    for (uint32_t i = 0; i < dim; i++)
        sum[i % 4] += (double)vector[i] * (double)vector[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

void quantizer_encode(const struct quantizer *quantizer, const float *vector, float *scratch,
                      uint8_t *code, struct code_header *ret_header, float *ret_error)
{
    ret_header->norm2 = normalise(quantizer, vector, scratch);
    if (quantizer->kind == QUANTIZER_Q8) {
        int32_t sum;

        *ret_error = encode_q8(quantizer, scratch, (int8_t *)code, &ret_header->step, &sum);
        for (uint32_t i = 0; i < quantizer->code_bytes; i++)
            code[i] ^= 128; /* what is 128 more, with the padding */
    } else {
        rotate(quantizer, scratch);
        *ret_error = encode_q4(quantizer, scratch, code, &ret_header->step);
    }
}

/* Copy `vector`, divided by its length for cosine; returns the squared length of the copy. */
static float normalise(const struct quantizer *quantizer, const float *vector, float *out)
{
    double norm2 = squared_norm(vector, quantizer->dim);
    double factor = 1;

    if (quantizer->metric == VECTOR_COSINE && norm2 > 0)
        factor = 1 / sqrt(norm2);
    for (uint32_t i = 0; i < quantizer->dim; i++)
        out[i] = (float)((double)vector[i] * factor);
    return (float)(norm2 * factor * factor);
}

/* Signs and Hadamard transforms over the first and the last power of two, twice: orthogonal, and
 * enough to spread any single component over all of them. */
static void rotate(const struct quantizer *quantizer, float *vector)
{
    uint32_t   size = 1;
    struct rng rng;

    while (size * 2 <= quantizer->dim)
        size *= 2;
    rng_init(&rng, quantizer->seed);
    for (int round = 0; round < 4; round++) {
        uint64_t signs = 0;

        for (uint32_t i = 0; i < quantizer->dim; i++, signs >>= 1) {
            if (i % 64 == 0)
                signs = rng_next(&rng);
            if (signs & 1)
                vector[i] = -vector[i];
        }
        hadamard(round % 2 == 0 ? vector : vector + quantizer->dim - size, size);
    }
}

static void hadamard(float *vector, uint32_t size)
{
    float factor = 1 / sqrtf((float)size);

    for (uint32_t half = 1; half < size; half *= 2)
        for (uint32_t i = 0; i < size; i += 2 * half)
            for (uint32_t j = i; j < i + half; j++) {
                float left = vector[j], right = vector[j + half];

                vector[j] = left + right;
                vector[j + half] = left - right;
            }
    for (uint32_t i = 0; i < size; i++)
        vector[i] *= factor;
}

/* Code `vector` with levels -127 .. 127; returns the error. */
static float encode_q8(const struct quantizer *quantizer, const float *vector, int8_t *code,
                       float *ret_step, int32_t *ret_sum)
{
    float   step = largest(vector, quantizer->dim) / 127;
    float   inverse = step >= FLT_MIN ? 1 / step : 0;
    double  error2 = 0;
    int32_t sum = 0;

    if (inverse == 0)
        step = 0; /* too small to divide by: the zero code, and all of it is error */
    for (uint32_t i = 0; i < quantizer->dim; i++) {
        int    level = level_q8(vector[i] * inverse);
        double miss = (double)vector[i] - (double)step * level;

        error2 += miss * miss;
        sum += level;
        code[i] = (int8_t)level;
    }
    memset(code + quantizer->dim, 0, quantizer->query_bytes - quantizer->dim);
    *ret_step = step;
    *ret_sum = sum;
    return (float)(sqrt(error2) * (1 + 1e-6));
}

/* The nearest whole number within -127 .. 127. Casting rounds what is positive down, and needs no
 * call as lrintf() does. */
static int level_q8(float scaled)
{
    int level = (int)(scaled + 128.5f) - 128;

    return level > 127 ? 127 : level < -127 ? -127 : level;
}

static float largest(const float *vector, uint32_t dim)
{
    float most = 0;

    for (uint32_t i = 0; i < dim; i++)
        most = fabsf(vector[i]) > most ? fabsf(vector[i]) : most;
    return most;
}

static float encode_q4(const struct quantizer *quantizer, const float *vector, uint8_t *code,
                       float *ret_step)
{
    float  step = best_step_q4(vector, quantizer->dim);
    float  inverse = step >= FLT_MIN ? 1 / step : 0;
    double error2 = 0;

    if (inverse == 0)
        step = 0;
    memset(code, 0, quantizer->code_bytes);
    for (uint32_t i = 0; i < quantizer->dim; i++) {
        int    half = half_q4(vector[i], inverse);
        double miss = (double)vector[i] - (double)step * (2 * half - 15);

        error2 += miss * miss;
        code[i / 128 * 64 + i % 64] |= (uint8_t)(i % 128 < 64 ? half : half << 4);
    }
    *ret_step = step;
    return (float)(sqrt(error2) * (1 + 1e-6));
}

/* Rotated components are nearly normal: cutting the rare large ones off buys finer steps for the
 * rest. The range that errs least lies between 0.6 and 1 of the largest component; the step is
 * then the least-squares one for the chosen levels. */
static float best_step_q4(const float *vector, uint32_t dim)
{
    float  most = largest(vector, dim);
    float  best = most / 15;
    double best_gain = 0;

    for (int tenth = 0; tenth <= 4 && most > 0; tenth++) {
        float  inverse = 15 / (most * (0.6f + 0.1f * (float)tenth));
        double product = 0, square = 0;

        if (!isfinite(inverse))
            return 0;
        for (uint32_t i = 0; i < dim; i++) {
            float level = (float)(2 * half_q4(vector[i], inverse) - 15);

            product += (double)(vector[i] * level);
            square += (double)(level * level);
        }
        /* |x - s c|^2 = |x|^2 - product^2 / square at the best s. */
        if (product * product / square > best_gain) {
            best_gain = product * product / square;
            best = (float)(product / square);
        }
    }
    return best;
}

/* The nearest odd number within -15 .. 15, as it is stored: 0 .. 15. */
static int half_q4(float value, float inverse_step)
{
    float half = value * inverse_step * 0.5f + 8;

    return half > 15 ? 15 : half < 0 ? 0 : (int)half;
}

void quantizer_query_vector(const struct quantizer *quantizer, const float *vector, float *scratch,
                            struct quantizer_query *query)
{
    float   norm2 = normalise(quantizer, vector, scratch);
    float   step;
    int32_t sum;

    if (quantizer->kind == QUANTIZER_Q4)
        rotate(quantizer, scratch);
    query->error = encode_q8(quantizer, scratch, query->code, &step, &sum);
    set_factors(quantizer, step, sum, query);
    query->norm = sqrtf(norm2);
    query->constant = quantizer->metric == VECTOR_L2 ? norm2 : 1;
}

static void set_factors(const struct quantizer *quantizer, float step, int32_t sum,
                        struct quantizer_query *query)
{
    bool l2 = quantizer->metric == VECTOR_L2;

    query->norm_factor = l2 ? 1 : 0;
    query->factor = l2 ? -2 * step : -step;
    query->scale = quantizer->kind == QUANTIZER_Q8 ? 1 : 2;
    query->offset = (quantizer->kind == QUANTIZER_Q8 ? 128 : 15) * sum;
}

void quantizer_query_code(const struct quantizer *quantizer, const struct distance_kernels *kernels,
                          const uint8_t *code, const struct code_header *header,
                          struct quantizer_query *query)
{
    int32_t sum = 0;

    if (quantizer->kind == QUANTIZER_Q8) {
        sum = kernels->centre_u8(code, quantizer->query_bytes, query->code);
    } else {
        uint32_t padding = quantizer->query_bytes - quantizer->dim;

        sum = kernels->centre_u4(code, quantizer->code_bytes, query->code);
        sum += 15 * (int32_t)padding; /* stored as zeros, which stand for -15 */
        memset(query->code + quantizer->dim, 0, padding);
    }
    set_factors(quantizer, header->step, sum, query);
    query->norm = sqrtf(header->norm2);
    query->error = 0;
    query->constant = quantizer->metric == VECTOR_L2 ? header->norm2 : 1;
}

float quantizer_bound(const struct quantizer *quantizer, const struct quantizer_query *query,
                      const struct code_header *header, float error)
{
    /* Rounding of floats: of the score's terms here, and of the full distance later, whose kernels
     * add up to a quarter of the terms one after the other, each time off by 2^-24 at most. */
    float rounding = 4e-6f + (float)quantizer->dim * 0x1p-26f;
    float norm = sqrtf(header->norm2);
    float bound = (norm + error) * query->error + query->norm * error;

    if (quantizer->metric == VECTOR_L2)
        return 2 * bound + rounding * (query->norm + norm) * (query->norm + norm) + FLT_MIN;
    return bound + rounding * (query->norm * norm + 1);
}

/* Squares of very small components are lost in floats. */
static float tiny_cosine(const float *left, const float *right, uint32_t dim)
{
    double product = 0, norms = squared_norm(left, dim) * squared_norm(right, dim);

    for (uint32_t i = 0; i < dim; i++)
        product += (double)left[i] * (double)right[i];
    return norms > 0 ? (float)(1 - product / sqrt(norms)) : 1;
}

float quantizer_distance(const struct quantizer *quantizer, const struct distance_kernels *kernels,
                         const float *query, float query_norm2, const float *vector)
{
    float product, norm2;

    if (quantizer->metric == VECTOR_L2)
        return kernels->l2_f32(query, vector, quantizer->dim);
    product = kernels->dot_f32(query, vector, quantizer->dim);
    if (quantizer->metric == VECTOR_IP)
        return 1 - product;
    norm2 = kernels->dot_f32(vector, vector, quantizer->dim);
    if (norm2 < squares_min || query_norm2 < squares_min)
        return tiny_cosine(query, vector, quantizer->dim);
    return (float)(1 - (double)product / sqrt((double)norm2 * (double)query_norm2));
}
