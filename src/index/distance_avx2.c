#include "index/distance_level.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))

DISTANCE_LEVEL(avx2);

AVX2 static inline int32_t distance_avx2_sum_lanes(__m256i sum)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}

AVX2 static inline __m256i distance_avx2_load(const void *data)
{
    return _mm256_loadu_si256((const __m256i *)data);
}

/* maddubs adds pairs of products in 16 bits, which 255 * 127 * 2 overflows. With the code's
 * offset of 128 taken off, and the query's sign moved to the code, both factors are at most 128
 * and 127 and the pair fits: |query| * (code - 128) * sign(query). What the offset
 * contributed, 128 * sum(query), is put back. */
AVX2 static inline __m256i add_u8(__m256i sum, __m256i code, __m256i query, __m256i magnitude)
{
    __m256i centred = _mm256_xor_si256(code, _mm256_set1_epi8(-128));
    __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(centred, query));

    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

AVX2 static int32_t offset_of(const int8_t *query, size_t stride)
{
    __m256i sum = _mm256_setzero_si256();

    for (size_t k = 0; k < stride; k += 32) {
        __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), distance_avx2_load(query + k));

        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    return 128 * distance_avx2_sum_lanes(sum);
}

AVX2 static void distance_avx2_dot_u8(const int8_t *query, const uint8_t *codes, size_t stride,
                                      const uint32_t *slots, uint32_t count, int32_t *raw)
{
    int32_t  offset = offset_of(query, stride);
    uint32_t i = 0;

    for (uint32_t j = 0; j < count && j < distance_ahead; j++)
        distance_ask_for(codes + slots[j] * stride, stride);
    for (; i + 2 <= count; i += 2) {
        const uint8_t *c0 = codes + slots[i] * stride, *c1 = codes + slots[i + 1] * stride;
        __m256i        s0 = _mm256_setzero_si256(), s1 = s0, s2 = s0, s3 = s0;

        for (uint32_t j = i + distance_ahead; j < i + distance_ahead + 2 && j < count; j++)
            distance_ask_for(codes + slots[j] * stride, stride);
        for (size_t k = 0; k < stride; k += 64) {
            __m256i low = distance_avx2_load(query + k), high = distance_avx2_load(query + k + 32);
            __m256i low_size = _mm256_abs_epi8(low), high_size = _mm256_abs_epi8(high);

            s0 = add_u8(s0, distance_avx2_load(c0 + k), low, low_size);
            s1 = add_u8(s1, distance_avx2_load(c1 + k), low, low_size);
            s2 = add_u8(s2, distance_avx2_load(c0 + k + 32), high, high_size);
            s3 = add_u8(s3, distance_avx2_load(c1 + k + 32), high, high_size);
        }
        raw[i] = offset + distance_avx2_sum_lanes(_mm256_add_epi32(s0, s2));
        raw[i + 1] = offset + distance_avx2_sum_lanes(_mm256_add_epi32(s1, s3));
    }
    if (i < count) {
        const uint8_t *code = codes + slots[i] * stride;
        __m256i        sum = _mm256_setzero_si256();

        for (size_t k = 0; k < stride; k += 32) {
            __m256i part = distance_avx2_load(query + k);

            sum = add_u8(sum, distance_avx2_load(code + k), part, _mm256_abs_epi8(part));
        }
        raw[i] = offset + distance_avx2_sum_lanes(sum);
    }
}

/* 15 * 127 * 2 fits 16 bits eight times over, so four products are added before widening. */
AVX2 static inline __m256i distance_avx2_add_u4(__m256i sum, const uint8_t *code,
                                                const int8_t *query)
{
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i       b0 = distance_avx2_load(code), b1 = distance_avx2_load(code + 32);
    __m256i       p0 = _mm256_maddubs_epi16(_mm256_and_si256(b0, mask), distance_avx2_load(query));
    __m256i p1 = _mm256_maddubs_epi16(_mm256_and_si256(b1, mask), distance_avx2_load(query + 32));
    __m256i p2 = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(b0, 4), mask),
                                      distance_avx2_load(query + 64));
    __m256i p3 = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(b1, 4), mask),
                                      distance_avx2_load(query + 96));
    __m256i all = _mm256_add_epi16(_mm256_add_epi16(p0, p1), _mm256_add_epi16(p2, p3));

    return _mm256_add_epi32(sum, _mm256_madd_epi16(all, _mm256_set1_epi16(1)));
}

AVX2 static void distance_avx2_dot_u4(const int8_t *query, const uint8_t *codes, size_t stride,
                                      const uint32_t *slots, uint32_t count, int32_t *raw)
{
    uint32_t i = 0;

    for (uint32_t j = 0; j < count && j < distance_ahead; j++)
        distance_ask_for(codes + slots[j] * stride, stride);
    for (; i < count; i++) {
        const uint8_t *code = codes + slots[i] * stride;
        __m256i        sum = _mm256_setzero_si256();

        if (i + distance_ahead < count)
            distance_ask_for(codes + slots[i + distance_ahead] * stride, stride);
        for (size_t k = 0; k < stride; k += 64)
            sum = distance_avx2_add_u4(sum, code + k, query + 2 * k);
        raw[i] = distance_avx2_sum_lanes(sum);
    }
}

AVX2 static int32_t distance_avx2_centre_u8(const uint8_t *code, size_t size, int8_t *out)
{
    __m256i sum = _mm256_setzero_si256();

    for (size_t i = 0; i < size; i += 32) {
        __m256i bytes = distance_avx2_load(code + i);

        _mm256_storeu_si256((__m256i *)(void *)(out + i),
                            _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)));
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    }
    /* The sums of eight bytes stand in every second lane; the others are zero. */
    return distance_avx2_sum_lanes(sum) - 128 * (int32_t)size;
}

/* Store 2 * half - 15 for each half byte; returns the sums of eight bytes of halves. */
AVX2 static inline __m256i distance_avx2_centre_halves(__m256i halves, int8_t *out)
{
    __m256i centred = _mm256_sub_epi8(_mm256_add_epi8(halves, halves), _mm256_set1_epi8(15));

    _mm256_storeu_si256((__m256i *)(void *)out, centred);
    return _mm256_sad_epu8(halves, _mm256_setzero_si256());
}

AVX2 static int32_t distance_avx2_centre_u4(const uint8_t *code, size_t size, int8_t *out)
{
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i       sum = _mm256_setzero_si256();

    for (size_t i = 0; i < size; i += 32) {
        __m256i bytes = distance_avx2_load(code + i);
        int8_t *low = out + 2 * (i / 64 * 64) + i % 64;

        sum =
            _mm256_add_epi64(sum, distance_avx2_centre_halves(_mm256_and_si256(bytes, mask), low));
        bytes = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), mask);
        sum = _mm256_add_epi64(sum, distance_avx2_centre_halves(bytes, low + 64));
    }
    return 2 * distance_avx2_sum_lanes(sum) - 30 * (int32_t)size;
}

AVX2 static inline float sum_floats(__m256 sum)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));

    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    half = _mm_add_ss(half, _mm_shuffle_ps(half, half, 1));
    return _mm_cvtss_f32(half);
}

AVX2 static float distance_avx2_dot_f32(const float *left, const float *right, size_t dim)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    float  rest = 0;
    size_t i = 0;

    for (; i + 16 <= dim; i += 16) {
        s0 = _mm256_fmadd_ps(_mm256_loadu_ps(left + i), _mm256_loadu_ps(right + i), s0);
        s1 = _mm256_fmadd_ps(_mm256_loadu_ps(left + i + 8), _mm256_loadu_ps(right + i + 8), s1);
    }
    for (; i < dim; i++)
        rest += left[i] * right[i];
    return sum_floats(_mm256_add_ps(s0, s1)) + rest;
}

AVX2 static float distance_avx2_l2_f32(const float *left, const float *right, size_t dim)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;
    float  rest = 0;
    size_t i = 0;

    for (; i + 16 <= dim; i += 16) {
        __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(left + i), _mm256_loadu_ps(right + i));
        __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(left + i + 8), _mm256_loadu_ps(right + i + 8));

        s0 = _mm256_fmadd_ps(d0, d0, s0);
        s1 = _mm256_fmadd_ps(d1, d1, s1);
    }
    for (; i < dim; i++)
        rest += (left[i] - right[i]) * (left[i] - right[i]);
    return sum_floats(_mm256_add_ps(s0, s1)) + rest;
}
#endif
