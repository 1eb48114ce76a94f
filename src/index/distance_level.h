/* distance_level - the tables of the single instruction sets, for distance.c, and what the files
 * that make them have in common */
#ifndef INDEX_DISTANCE_LEVEL_H
#define INDEX_DISTANCE_LEVEL_H

#include "index/distance.h"

extern const struct distance_kernels distance_scalar_kernels;
#if defined(__x86_64__)
extern const struct distance_kernels distance_avx2_kernels;
extern const struct distance_kernels distance_vnni_kernels;
#endif

/* The functions that a level has, and its table of them. */
#define DISTANCE_LEVEL(level)                                                                      \
    static void    distance_##level##_dot_u8(const int8_t *query, const uint8_t *codes,            \
                                             size_t stride, const uint32_t *slots, uint32_t count, \
                                             int32_t *raw);                                        \
    static void    distance_##level##_dot_u4(const int8_t *query, const uint8_t *codes,            \
                                             size_t stride, const uint32_t *slots, uint32_t count, \
                                             int32_t *raw);                                        \
    static int32_t distance_##level##_centre_u8(const uint8_t *code, size_t size, int8_t *out);    \
    static int32_t distance_##level##_centre_u4(const uint8_t *code, size_t size, int8_t *out);    \
    static float   distance_##level##_dot_f32(const float *left, const float *right, size_t dim);  \
    static float   distance_##level##_l2_f32(const float *left, const float *right, size_t dim);   \
                                                                                                   \
    const struct distance_kernels distance_##level##_kernels = {                                   \
        .name = #level,                                                                            \
        .dot_u8 = distance_##level##_dot_u8,                                                       \
        .dot_u4 = distance_##level##_dot_u4,                                                       \
        .centre_u8 = distance_##level##_centre_u8,                                                 \
        .centre_u4 = distance_##level##_centre_u4,                                                 \
        .dot_f32 = distance_##level##_dot_f32,                                                     \
        .l2_f32 = distance_##level##_l2_f32}

static inline void distance_ask_for(const uint8_t *code, size_t stride)
{
    for (size_t line = 0; line < stride; line += 64)
        __builtin_prefetch(code + line);
}

#endif
