#include "index/distance_level.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")))

DISTANCE_LEVEL(vnni);

/* The four lane sums of a, b, c, d in one register: a third of the work of four reductions. */
VNNI static inline __m128i distance_vnni_sum_lanes(__m512i a, __m512i b, __m512i c, __m512i d)
{
    __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));

    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

VNNI static void distance_vnni_dot_u8(const int8_t *query, const uint8_t *codes, size_t stride,
                                      const uint32_t *slots, uint32_t count, int32_t *raw)
{
    uint32_t i = 0;

    for (uint32_t j = 0; j < count && j < distance_ahead; j++)
        distance_ask_for(codes + slots[j] * stride, stride);
    for (; i + 4 <= count; i += 4) {
        const uint8_t *c0 = codes + slots[i] * stride, *c1 = codes + slots[i + 1] * stride;
        const uint8_t *c2 = codes + slots[i + 2] * stride, *c3 = codes + slots[i + 3] * stride;
        __m512i        s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;

        for (uint32_t j = i + distance_ahead; j < i + distance_ahead + 4 && j < count; j++)
            distance_ask_for(codes + slots[j] * stride, stride);
        for (size_t k = 0; k < stride; k += 64) {
            __m512i q = _mm512_loadu_si512(query + k);

            s0 = _mm512_dpbusd_epi32(s0, _mm512_loadu_si512(c0 + k), q);
            s1 = _mm512_dpbusd_epi32(s1, _mm512_loadu_si512(c1 + k), q);
            s2 = _mm512_dpbusd_epi32(s2, _mm512_loadu_si512(c2 + k), q);
            s3 = _mm512_dpbusd_epi32(s3, _mm512_loadu_si512(c3 + k), q);
        }
        _mm_storeu_si128((__m128i *)(void *)(raw + i), distance_vnni_sum_lanes(s0, s1, s2, s3));
    }
    for (; i < count; i++) {
        const uint8_t *code = codes + slots[i] * stride;
        __m512i        sum = _mm512_setzero_si512();

        for (size_t k = 0; k < stride; k += 64)
            sum = _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(code + k),
                                      _mm512_loadu_si512(query + k));
        raw[i] = _mm512_reduce_add_epi32(sum);
    }
}

VNNI static inline __m512i distance_vnni_add_u4(__m512i sum, const uint8_t *code, __m512i low,
                                                __m512i high)
{
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i       bytes = _mm512_loadu_si512(code);

    sum = _mm512_dpbusd_epi32(sum, _mm512_and_si512(bytes, mask), low);
    return _mm512_dpbusd_epi32(sum, _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask), high);
}

VNNI static void distance_vnni_dot_u4(const int8_t *query, const uint8_t *codes, size_t stride,
                                      const uint32_t *slots, uint32_t count, int32_t *raw)
{
    uint32_t i = 0;

    for (uint32_t j = 0; j < count && j < distance_ahead; j++)
        distance_ask_for(codes + slots[j] * stride, stride);
    for (; i + 4 <= count; i += 4) {
        const uint8_t *c0 = codes + slots[i] * stride, *c1 = codes + slots[i + 1] * stride;
        const uint8_t *c2 = codes + slots[i + 2] * stride, *c3 = codes + slots[i + 3] * stride;
        __m512i        s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;

        for (uint32_t j = i + distance_ahead; j < i + distance_ahead + 4 && j < count; j++)
            distance_ask_for(codes + slots[j] * stride, stride);
        for (size_t k = 0; k < stride; k += 64) {
            __m512i low = _mm512_loadu_si512(query + 2 * k);
            __m512i high = _mm512_loadu_si512(query + 2 * k + 64);

            s0 = distance_vnni_add_u4(s0, c0 + k, low, high);
            s1 = distance_vnni_add_u4(s1, c1 + k, low, high);
            s2 = distance_vnni_add_u4(s2, c2 + k, low, high);
            s3 = distance_vnni_add_u4(s3, c3 + k, low, high);
        }
        _mm_storeu_si128((__m128i *)(void *)(raw + i), distance_vnni_sum_lanes(s0, s1, s2, s3));
    }
    for (; i < count; i++) {
        const uint8_t *code = codes + slots[i] * stride;
        __m512i        sum = _mm512_setzero_si512();

        for (size_t k = 0; k < stride; k += 64)
            sum = distance_vnni_add_u4(sum, code + k, _mm512_loadu_si512(query + 2 * k),
                                       _mm512_loadu_si512(query + 2 * k + 64));
        raw[i] = _mm512_reduce_add_epi32(sum);
    }
}

VNNI static int32_t distance_vnni_centre_u8(const uint8_t *code, size_t size, int8_t *out)
{
    const __m512i one = _mm512_set1_epi8(1);
    __m512i       sum = _mm512_setzero_si512();

    for (size_t i = 0; i < size; i += 64) {
        __m512i bytes = _mm512_loadu_si512(code + i);

        _mm512_storeu_si512(out + i, _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)));
        sum = _mm512_dpbusd_epi32(sum, bytes, one);
    }
    return _mm512_reduce_add_epi32(sum) - 128 * (int32_t)size;
}

/* Store 2 * half - 15 for each half byte; returns `sum` and the halves. */
VNNI static inline __m512i distance_vnni_centre_halves(__m512i sum, __m512i halves, int8_t *out)
{
    _mm512_storeu_si512(out,
                        _mm512_sub_epi8(_mm512_add_epi8(halves, halves), _mm512_set1_epi8(15)));
    return _mm512_dpbusd_epi32(sum, halves, _mm512_set1_epi8(1));
}

VNNI static int32_t distance_vnni_centre_u4(const uint8_t *code, size_t size, int8_t *out)
{
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i       sum = _mm512_setzero_si512();

    for (size_t i = 0; i < size; i += 64) {
        __m512i bytes = _mm512_loadu_si512(code + i);

        sum = distance_vnni_centre_halves(sum, _mm512_and_si512(bytes, mask), out + 2 * i);
        bytes = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), mask);
        sum = distance_vnni_centre_halves(sum, bytes, out + 2 * i + 64);
    }
    return 2 * _mm512_reduce_add_epi32(sum) - 30 * (int32_t)size;
}

VNNI static float distance_vnni_dot_f32(const float *left, const float *right, size_t dim)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;

    for (; i + 32 <= dim; i += 32) {
        s0 = _mm512_fmadd_ps(_mm512_loadu_ps(left + i), _mm512_loadu_ps(right + i), s0);
        s1 = _mm512_fmadd_ps(_mm512_loadu_ps(left + i + 16), _mm512_loadu_ps(right + i + 16), s1);
    }
    for (; i < dim; i += 16) {
        __mmask16 mask = (__mmask16)(dim - i >= 16 ? 0xffff : (1u << (dim - i)) - 1);

        s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, left + i),
                             _mm512_maskz_loadu_ps(mask, right + i), s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

VNNI static float distance_vnni_l2_f32(const float *left, const float *right, size_t dim)
{
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;
    size_t i = 0;

    for (; i + 32 <= dim; i += 32) {
        __m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(left + i), _mm512_loadu_ps(right + i));
        __m512 d1 = _mm512_sub_ps(_mm512_loadu_ps(left + i + 16), _mm512_loadu_ps(right + i + 16));

        s0 = _mm512_fmadd_ps(d0, d0, s0);
        s1 = _mm512_fmadd_ps(d1, d1, s1);
    }
    for (; i < dim; i += 16) {
        __mmask16 mask = (__mmask16)(dim - i >= 16 ? 0xffff : (1u << (dim - i)) - 1);
        __m512    d = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, left + i),
                                    _mm512_maskz_loadu_ps(mask, right + i));

        s0 = _mm512_fmadd_ps(d, d, s0);
    }
    return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}
#endif
