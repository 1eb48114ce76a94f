#include "index/distance_level.h"

DISTANCE_LEVEL(scalar);

static void distance_scalar_dot_u8(const int8_t *query, const uint8_t *codes, size_t stride,
                                   const uint32_t *slots, uint32_t count, int32_t *raw)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *code = codes + slots[i] * stride;
        int32_t        sum = 0;

        for (size_t j = 0; j < stride; j++)
            sum += query[j] * code[j];
        raw[i] = sum;
    }
}

static void distance_scalar_dot_u4(const int8_t *query, const uint8_t *codes, size_t stride,
                                   const uint32_t *slots, uint32_t count, int32_t *raw)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *code = codes + slots[i] * stride;
        int32_t        sum = 0;

        for (size_t line = 0; line < stride; line += 64) {
            const int8_t *part = query + 2 * line;

            for (size_t j = 0; j < 64; j++)
                sum += part[j] * (code[line + j] & 15) + part[64 + j] * (code[line + j] >> 4);
        }
        raw[i] = sum;
    }
}

static int32_t distance_scalar_centre_u8(const uint8_t *code, size_t size, int8_t *out)
{
    int32_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        out[i] = (int8_t)(code[i] - 128);
        sum += out[i];
    }
    return sum;
}

static int32_t distance_scalar_centre_u4(const uint8_t *code, size_t size, int8_t *out)
{
    int32_t sum = 0;

    for (size_t line = 0; line < size; line += 64)
        for (size_t i = 0; i < 64; i++) {
            out[2 * line + i] = (int8_t)(2 * (code[line + i] & 15) - 15);
            out[2 * line + 64 + i] = (int8_t)(2 * (code[line + i] >> 4) - 15);
            sum += out[2 * line + i] + out[2 * line + 64 + i];
        }
    return sum;
}

/* Four sums, so that the error grows like that of the vector levels. */
static float distance_scalar_dot_f32(const float *left, const float *right, size_t dim)
{
    float  sum[4] = {0};
    size_t i = 0;

    for (; i + 4 <= dim; i += 4)
        for (size_t j = 0; j < 4; j++)
            sum[j] += left[i + j] * right[i + j];
    for (; i < dim; i++)
        sum[0] += left[i] * right[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static float distance_scalar_l2_f32(const float *left, const float *right, size_t dim)
{
    float  sum[4] = {0};
    size_t i = 0;

    for (; i + 4 <= dim; i += 4)
        for (size_t j = 0; j < 4; j++)
            sum[j] += (left[i + j] - right[i + j]) * (left[i + j] - right[i + j]);
    for (; i < dim; i++)
        sum[0] += (left[i] - right[i]) * (left[i] - right[i]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
