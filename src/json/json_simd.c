#include "json/json_simd.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_X86 1
#define AVX2     __attribute__((target("avx2,bmi,lzcnt,popcnt")))
#define AVX512   __attribute__((target("avx512f,avx512bw,avx512vbmi,bmi,lzcnt,popcnt")))
#define INLINE   static inline __attribute__((always_inline))
#else
#define HAVE_X86 0
#endif

static const char             *skip_plain_scalar(const char *at, const char *end);
static const char             *skip_numbers_scalar(const char *at, const char *end, size_t *count);
static const char             *skip_base64_scalar(const char *at, const char *end, bool *is_finite);
static const struct json_simd *choose(void);
static const struct json_simd *find(const char *name);

static _Atomic(const struct json_simd *) in_use; /* NULL: not chosen yet */

static const struct json_simd scalar = {"scalar", skip_plain_scalar, skip_numbers_scalar,
                                        skip_base64_scalar};

static const char *skip_plain_scalar(const char *at, const char *end)
{
    (void)end;
    return at;
}

static const char *skip_numbers_scalar(const char *at, const char *end, size_t *count)
{
    (void)end;
    (void)count;
    return at;
}

static const char *skip_base64_scalar(const char *at, const char *end, bool *is_finite)
{
    (void)end;
    (void)is_finite;
    return at;
}

#if HAVE_X86

enum { BLOCK = 64 };

/* Which of 64 characters are what: bit i stands for character i. */
struct number_masks {
    uint64_t digit, zero, minus, dot, comma, space;
};

/* How many of the 64 characters, which start where a number should, are `number,number,...,number`
 * and a comma. Returns the index of the last comma, or -1; *ret_count is the number of numbers.
 *
 * Every rule of the grammar is one on neighbours, but for "one dot in a number": there adding the
 * first digit of each fraction to the digits carries to the fraction's end. */
INLINE int last_number_end(struct number_masks is, size_t *ret_count)
{
    uint64_t foreign = ~(is.digit | is.minus | is.dot | is.comma | is.space);
    uint64_t after_comma = is.comma << 1 | 1;
    uint64_t start = (after_comma & ~is.space) | is.space << 1;
    uint64_t after_digit = is.digit << 1;
    uint64_t after_minus = is.minus << 1;
    uint64_t after_dot = is.dot << 1;
    uint64_t fraction_end = (after_dot + is.digit) & ~is.digit;
    uint64_t leading_zero = ((start & is.digit) | after_minus) & is.zero;
    uint64_t wrong = (start & ~(is.digit | is.minus)) | (is.minus & ~start) |
                     (is.space & ~after_comma) | ((after_minus | after_dot) & ~is.digit) |
                     ((is.dot | is.comma) & ~after_digit) | (fraction_end & is.dot) |
                     (leading_zero << 1 & is.digit);
    uint64_t run = is.digit & is.digit >> 1;
    uint64_t commas, taken;
    int      last;

    run &= run >> 2;
    run &= run >> 4;
    run &= run >> 8;
    run &= run >> 16;
    commas = is.comma & (foreign ^ (foreign - 1)); /* before the first foreign character */
    if (UNLIKELY(commas == 0 || run != 0))
        return -1;
    last = 63 - __builtin_clzll(commas);
    taken = UINT64_MAX >> (63 - last);
    if (UNLIKELY((wrong & taken) != 0))
        return -1;
    *ret_count = (size_t)__builtin_popcountll(commas);
    return last;
}

/* AVX2 */

AVX2 INLINE uint64_t movemask_avx2(__m256i low, __m256i high)
{
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(low) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

AVX2 INLINE uint64_t equal_avx2(__m256i low, __m256i high, char c)
{
    __m256i wanted = _mm256_set1_epi8(c);

    return movemask_avx2(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted));
}

AVX2 INLINE __m256i digits_avx2(__m256i text)
{
    __m256i value = _mm256_sub_epi8(text, _mm256_set1_epi8('0'));

    return _mm256_cmpeq_epi8(_mm256_min_epu8(value, _mm256_set1_epi8(9)), value);
}

/* Not plain are '"', '\' and what is below 0x20 as a signed number, that is 0x80 and above too. */
AVX2 static const char *skip_plain_avx2(const char *at, const char *end)
{
    for (; end - at >= 32; at += 32) {
        __m256i text = _mm256_loadu_si256((const __m256i *)(const void *)at);
        __m256i special =
            _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(text, _mm256_set1_epi8('"')),
                                            _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\'))),
                            _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), text));
        uint32_t mask = (uint32_t)_mm256_movemask_epi8(special);

        if (mask != 0)
            return at + __builtin_ctz(mask);
    }
    return at;
}

AVX2 static const char *skip_numbers_avx2(const char *at, const char *end, size_t *count)
{
    const char *reached = at;

    while (end - at >= BLOCK) {
        __m256i             low = _mm256_loadu_si256((const __m256i *)(const void *)at);
        __m256i             high = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32));
        struct number_masks is = {.digit = movemask_avx2(digits_avx2(low), digits_avx2(high)),
                                  .zero = equal_avx2(low, high, '0'),
                                  .minus = equal_avx2(low, high, '-'),
                                  .dot = equal_avx2(low, high, '.'),
                                  .comma = equal_avx2(low, high, ','),
                                  .space = equal_avx2(low, high, ' ')};
        size_t              numbers;
        int                 last = last_number_end(is, &numbers);

        if (last < 0)
            break;
        *count += numbers;
        reached = at + last;
        at = reached + 1;
    }
    return reached;
}

/* 32 characters to 24 bytes. The upper half of a character chooses what to add to get its six bits
 * and, with the lower half, whether it is one of the alphabet (after Mula and Lemire, "Faster
 * Base64 Encoding and Decoding Using AVX2 Instructions", 2018). Each 128-bit lane ends up with
 * three floats and four zero bytes. */
AVX2 static const char *skip_base64_avx2(const char *at, const char *end, bool *is_finite)
{
    const __m256i high_bits =
        _mm256_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10, 0x10, 0x10,
                         0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08,
                         0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
    const __m256i low_bits =
        _mm256_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x13, 0x1a,
                         0x1b, 0x1b, 0x1b, 0x1a, 0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                         0x11, 0x11, 0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
    const __m256i offsets =
        _mm256_setr_epi8(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 19, 4,
                         -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i order = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1,
                                           2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i slash = _mm256_set1_epi8('/');
    const __m256i exponent = _mm256_set1_epi32(0x7f800000);
    __m256i       not_finite = _mm256_setzero_si256();

    for (; end - at >= 32; at += 32) {
        __m256i text = _mm256_loadu_si256((const __m256i *)(const void *)at);
        __m256i high = _mm256_and_si256(_mm256_srli_epi32(text, 4), _mm256_set1_epi8(0x0f));
        __m256i low = _mm256_and_si256(text, _mm256_set1_epi8(0x0f));
        __m256i offset =
            _mm256_shuffle_epi8(offsets, _mm256_add_epi8(high, _mm256_cmpeq_epi8(text, slash)));
        __m256i six = _mm256_add_epi8(text, offset);
        __m256i floats;

        if (!_mm256_testz_si256(_mm256_shuffle_epi8(high_bits, high),
                                _mm256_shuffle_epi8(low_bits, low)))
            break;
        floats = _mm256_maddubs_epi16(six, _mm256_set1_epi32(0x01400140));
        floats = _mm256_madd_epi16(floats, _mm256_set1_epi32(0x00011000));
        floats = _mm256_shuffle_epi8(floats, order);
        not_finite = _mm256_or_si256(
            not_finite, _mm256_cmpeq_epi32(_mm256_and_si256(floats, exponent), exponent));
    }
    if (!_mm256_testz_si256(not_finite, not_finite))
        *is_finite = false;
    return at;
}

static const struct json_simd avx2 = {"avx2", skip_plain_avx2, skip_numbers_avx2, skip_base64_avx2};

/* AVX-512 */

AVX512 static const char *skip_plain_avx512(const char *at, const char *end)
{
    for (; end - at >= BLOCK; at += BLOCK) {
        __m512i  text = _mm512_loadu_si512(at);
        uint64_t mask = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('"')) |
                        _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('\\')) |
                        _mm512_cmplt_epi8_mask(text, _mm512_set1_epi8(0x20));

        if (mask != 0)
            return at + __builtin_ctzll(mask);
    }
    return skip_plain_avx2(at, end);
}

AVX512 static const char *skip_numbers_avx512(const char *at, const char *end, size_t *count)
{
    const char *reached = at;

    while (end - at >= BLOCK) {
        __m512i             text = _mm512_loadu_si512(at);
        __m512i             value = _mm512_sub_epi8(text, _mm512_set1_epi8('0'));
        struct number_masks is = {.digit = _mm512_cmple_epu8_mask(value, _mm512_set1_epi8(9)),
                                  .zero = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('0')),
                                  .minus = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('-')),
                                  .dot = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8('.')),
                                  .comma = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8(',')),
                                  .space = _mm512_cmpeq_epi8_mask(text, _mm512_set1_epi8(' '))};
        size_t              numbers;
        int                 last = last_number_end(is, &numbers);

        if (last < 0)
            break;
        *count += numbers;
        reached = at + last;
        at = reached + 1;
    }
    return reached;
}

/* 64 characters to 48 bytes: one table look-up turns a character into its six bits, 0x80 marking
 * what is not of the alphabet. */
AVX512 static const char *skip_base64_avx512(const char *at, const char *end, bool *is_finite)
{
    static const uint8_t values[128] = {
        128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
        128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
        128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 62,  128, 128, 128, 63,
        52,  53,  54,  55,  56,  57,  58,  59,  60,  61,  128, 128, 128, 128, 128, 128,
        128, 0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14,
        15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  128, 128, 128, 128, 128,
        128, 26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40,
        41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51,  128, 128, 128, 128, 128};
    __m512i   low = _mm512_loadu_si512(values);
    __m512i   high = _mm512_loadu_si512(values + 64);
    __mmask16 not_finite = 0;
    __m512i   order = _mm512_setr_epi32(0x06000102, 0x090a0405, 0x0c0d0e08, -1, 0x06000102,
                                        0x090a0405, 0x0c0d0e08, -1, 0x06000102, 0x090a0405,
                                        0x0c0d0e08, -1, 0x06000102, 0x090a0405, 0x0c0d0e08, -1);

    for (; end - at >= BLOCK; at += BLOCK) {
        __m512i text = _mm512_loadu_si512(at);
        __m512i six = _mm512_permutex2var_epi8(low, text, high);
        __m512i floats;

        if (_mm512_movepi8_mask(_mm512_or_si512(six, text)) != 0)
            break;
        floats = _mm512_maddubs_epi16(six, _mm512_set1_epi32(0x01400140));
        floats = _mm512_madd_epi16(floats, _mm512_set1_epi32(0x00011000));
        floats = _mm512_shuffle_epi8(floats, order);
        floats = _mm512_and_si512(floats, _mm512_set1_epi32(0x7f800000));
        not_finite |= _mm512_cmpeq_epi32_mask(floats, _mm512_set1_epi32(0x7f800000));
    }
    if (not_finite != 0)
        *is_finite = false;
    return skip_base64_avx2(at, end, is_finite);
}

static const struct json_simd avx512 = {"avx512", skip_plain_avx512, skip_numbers_avx512,
                                        skip_base64_avx512};

#endif

const struct json_simd *json_simd(void)
{
    const struct json_simd *table = atomic_load_explicit(&in_use, memory_order_acquire);

    return LIKELY(table != NULL) ? table : choose();
}

/* Two threads that choose at the same time choose the same. */
static const struct json_simd *choose(void)
{
    static const char *const names[] = {"avx512", "avx2", "scalar"};
    const char              *wanted = getenv("CHROMABOUNCER_SIMD");

    if (wanted == NULL || !json_simd_use(wanted))
        for (size_t i = 0; !json_simd_use(names[i]); i++)
            continue;
    return atomic_load_explicit(&in_use, memory_order_acquire);
}

bool json_simd_use(const char *name)
{
    const struct json_simd *table = find(name);

    if (table != NULL)
        atomic_store_explicit(&in_use, table, memory_order_release);
    return table != NULL;
}

static const struct json_simd *find(const char *name)
{
#if HAVE_X86
    if (strcmp(name, "avx2") == 0)
        return __builtin_cpu_supports("avx2") ? &avx2 : NULL;
    if (strcmp(name, "avx512") == 0)
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi") ? &avx512
                                                                                          : NULL;
#endif
    return strcmp(name, "scalar") == 0 ? &scalar : NULL;
}
