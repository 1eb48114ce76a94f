/* distance - the inner loops: products of codes and of full vectors, at the best level of the CPU
 *
 * One table of functions per instruction set, chosen once. The environment variable
 * CHROMABOUNCER_KERNEL (scalar, avx2, vnni) forces a level that the processor has. Integer
 * results are bit-identical at every level; floating-point ones differ in rounding only.
 *
 * Thread: any; everything is constant after the choice.
 */
#ifndef INDEX_DISTANCE_H
#define INDEX_DISTANCE_H

#include <stddef.h>
#include <stdint.h>

/* Codes stand `stride` bytes apart, a multiple of 64; code number n begins at codes + n * stride.
 * The query has as many components as a code, and zeros in what is padding there. */
struct distance_kernels {
    const char *name;

    /* raw[i] = sum of query[j] * code[j], with the code slots[i] of one byte per component,
     * 1 .. 255, and query components -127 .. 127. */
    void (*dot_u8)(const int8_t *query, const uint8_t *codes, size_t stride, const uint32_t *slots,
                   uint32_t count, int32_t *raw);

    /* The same with codes of 4 bits: each line of 64 bytes holds 128 components, component b in
     * the low half of byte b, component 64 + b in its high half. */
    void (*dot_u4)(const int8_t *query, const uint8_t *codes, size_t stride, const uint32_t *slots,
                   uint32_t count, int32_t *raw);

    /* A code of one byte per component as a query: out[j] = code[j] - 128 for `size` bytes, a
     * multiple of 64. Returns the sum. */
    int32_t (*centre_u8)(const uint8_t *code, size_t size, int8_t *out);

    /* The same for 4 bits: out[j] = 2 * component - 15, in order, 2 * size of them. */
    int32_t (*centre_u4)(const uint8_t *code, size_t size, int8_t *out);

    float (*dot_f32)(const float *left, const float *right, size_t dim);

    /* Squared Euclidean distance. */
    float (*l2_f32)(const float *left, const float *right, size_t dim);
};

/* How many codes ahead the kernels ask the memory for. */
enum { distance_ahead = 8 };

/* The table in use. */
const struct distance_kernels *distance_kernels(void);

/* The table of that name; NULL when the processor or the build does not have it. */
const struct distance_kernels *distance_named(const char *name);

#endif
