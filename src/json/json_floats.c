#include "json/json_floats.h"

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

enum {
    DIGITS_MAX = 19,     /* 10^19 is below 2^64 */
    POWER_MAX = 64,      /* of ten, either way */
    EXACT_POWER_MAX = 22 /* 10^22 is a double */
};

/* 10^0 .. 10^64, each rounded to the nearest double. */
static const double powers[POWER_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12,
    1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25,
    1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38,
    1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51,
    1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60, 1e61, 1e62, 1e63, 1e64};

/* A number taken apart: `digits` times ten to the `power`. */
struct parts {
    uint64_t digits;
    int      power;
    bool     is_negative;
};

static ptrdiff_t   leading_zeros(const char *at, const char *end);
static const char *take_digits(const char *at, const char *end, uint64_t *digits);
static unsigned    take_eight(const char *at, uint64_t *digits);
static const char *take_exponent(const char *at, const char *end, int *power);
static bool        to_float(struct parts parts, float *ret_float);
static double      to_double(struct parts parts);
static const char *next_number(const char *at, const char *end);

static inline bool is_decimal(char c)
{
    return c >= '0' && c <= '9';
}

/* The end of the number at `at`. NULL: it is none, or not one with few digits. */
static inline const char *take_parts(const char *at, const char *end, struct parts *ret_parts)
{
    struct parts parts = {.is_negative = *at == '-'};
    const char  *first, *start;
    ptrdiff_t    count;

    at += parts.is_negative;
    first = start = at;
    at = take_digits(at, end, &parts.digits);
    count = at - start;
    if (count == 0 || (count > 1 && *start == '0'))
        return NULL;
    if (at < end && *at == '.') {
        start = at + 1;
        at = take_digits(start, end, &parts.digits);
        count += at - start;
        if (at == start || at - start > POWER_MAX)
            return NULL;
        parts.power = -(int)(at - start);
    }
    if (UNLIKELY(count > DIGITS_MAX) && count - leading_zeros(first, at) > DIGITS_MAX)
        return NULL;
    if (at < end && (*at | 0x20) == 'e')
        at = take_exponent(at + 1, end, &parts.power);
    *ret_parts = parts;
    return at;
}

static ptrdiff_t leading_zeros(const char *at, const char *end)
{
    ptrdiff_t count = 0;

    for (; at < end && (*at == '0' || *at == '.'); at++)
        count += *at == '0';
    return count;
}

/* What overflows is noticed by the number of digits. */
static inline const char *take_digits(const char *at, const char *end, uint64_t *digits)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - at >= 8) {
        unsigned count = take_eight(at, digits);

        at += count;
        if (count < 8)
            return at;
    }
#endif
    for (; at < end && is_decimal(*at); at++)
        *digits = *digits * 10 + (uint64_t)(*at - '0');
    return at;
}

/* Up to eight digits without asking each of them. A byte is a digit if its upper half is 3 and
 * stays so when 6 is added, which carries into the next byte only from bytes that are none. The
 * digits are moved up until zeros stand before them, and then added in pairs, pairs of pairs, and
 * those. Little-endian machines only. */
static inline unsigned take_eight(const char *at, uint64_t *digits)
{
    static const uint64_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    const uint64_t        threes = 0x3030303030303030, sixes = 0x0606060606060606;
    const uint64_t        upper = 0xf0f0f0f0f0f0f0f0, pairs = 0x00ff00ff00ff00ff;
    const uint64_t        fours = 0x0000ffff0000ffff;
    uint64_t              text, foreign;
    unsigned              count;

    memcpy(&text, at, sizeof text);
    foreign = ((text & upper) ^ threes) | (((text + sixes) & upper) ^ threes);
    count = foreign == 0 ? 8 : (unsigned)__builtin_ctzll(foreign) / 8;
    if (count == 0)
        return 0;
    text = (text ^ threes) << (64 - 8 * count);
    text = (text * 10 + (text >> 8)) & pairs;
    text = (text * 100 + (text >> 16)) & fours;
    text = (text * 10000 + (text >> 32)) & UINT32_MAX;
    *digits = *digits * tens[count] + text;
    return count;
}

/* Behind the 'e'. NULL: no digits, or more than two. */
static const char *take_exponent(const char *at, const char *end, int *power)
{
    bool        is_negative = at < end && *at == '-';
    const char *start = at + (at < end && (*at == '-' || *at == '+'));
    int         exponent = 0;

    for (at = start; at < end && is_decimal(*at); at++) {
        if (at - start == 2)
            return NULL;
        exponent = exponent * 10 + (*at - '0');
    }
    *power += is_negative ? -exponent : exponent;
    return at == start ? NULL : at;
}

size_t json_floats_take(struct json_scan *scan, float *ret_floats, size_t max)
{
    size_t      count = 0;
    const char *at = scan->at;

    if (json_scan_kind(scan) != JSON_KIND_NUMBER)
        return 0;
    at = scan->at;
    while (at != NULL && count < max) {
        struct parts parts;
        const char  *stop = take_parts(at, scan->end, &parts);

        if (UNLIKELY(stop == NULL) || UNLIKELY(!to_float(parts, &ret_floats[count])))
            break;
        count++;
        scan->at = stop;
        at = next_number(stop, scan->end);
    }
    return count;
}

/* False: servers might not agree, or the float is not finite or not normal. */
static inline bool to_float(struct parts parts, float *ret_float)
{
    const uint64_t middle = UINT64_C(1) << 28, cut = (UINT64_C(1) << 29) - 1, margin = 8;
    const double   smallest = FLT_MIN, largest = 0x1p127;
    double         value;
    uint64_t       bits;

    if (parts.digits == 0) {
        *ret_float = 0;
        return true;
    }
    if (UNLIKELY(parts.power < -POWER_MAX || parts.power > POWER_MAX))
        return false;
    value = to_double(parts);
    memcpy(&bits, &value, sizeof bits);
    if (UNLIKELY((bits & cut) - (middle - margin) <= 2 * margin) || UNLIKELY(value > largest) ||
        UNLIKELY(value < smallest))
        return false;
    *ret_float = (float)(parts.is_negative ? -value : value);
    return true;
}

static inline double to_double(struct parts parts)
{
    return parts.power < 0 ? (double)parts.digits / powers[-parts.power]
                           : (double)parts.digits * powers[parts.power];
}

/* Behind a number: where the next one of the array may begin. NULL: there is none so near. */
static inline const char *next_number(const char *at, const char *end)
{
    if (end - at < 3 || *at != ',')
        return NULL;
    at += at[1] == ' ' ? 2 : 1;
    return *at == '-' || is_decimal(*at) ? at : NULL;
}

bool json_floats_exact(struct json_number number, double *ret_value)
{
    const uint64_t integers_max = UINT64_C(1) << 53;
    const char    *end = number.raw.data + number.raw.size;
    struct parts   parts;
    double         value;

    if (take_parts(number.raw.data, end, &parts) != end || parts.digits > integers_max ||
        parts.power < -EXACT_POWER_MAX || parts.power > EXACT_POWER_MAX ||
        (parts.digits == 0 && parts.is_negative))
        return false;
    value = to_double(parts);
    *ret_value = parts.is_negative ? -value : value;
    return true;
}
