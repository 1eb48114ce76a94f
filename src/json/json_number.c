#include "json/json_number.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum {
    SAFE_FLOAT_DIGITS = 38,  /* below 1e38; the largest float is 3.4e38 */
    SAFE_DOUBLE_DIGITS = 288 /* 1e288 times the largest 64-bit integer is finite as a double */
};

/* A number taken apart: as many leading digits as fit, without the dot, times a power of ten. */
struct decimal {
    uint64_t significand;
    int64_t  power;
};

static const char *skip_digits(const char *at, const char *end);
static const char *skip_exponent(const char *at, const char *end, ptrdiff_t *ret_power);
static bool        is_finite_double(const char *at, const char *end);
static void add_digits(struct decimal *decimal, const char **at, const char *end, int64_t power);

const char *json_number_end(const char *at, const char *end, struct json_number *ret_number)
{
    const char *start = at;
    const char *digits = at + (*at == '-');
    ptrdiff_t   digit_count, power = 0;
    bool        is_integer = true;

    at = skip_digits(digits, end);
    digit_count = at - digits;
    if (digit_count == 0 || (digit_count > 1 && *digits == '0'))
        return NULL;
    if (at < end && *at == '.') {
        const char *fraction = at + 1;

        is_integer = false;
        at = skip_digits(fraction, end);
        if (at == fraction)
            return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        is_integer = false;
        at = skip_exponent(at + 1, end, &power);
        if (at == NULL)
            return NULL;
    }
    digit_count += power; /* now: the number is below ten to this */
    if (UNLIKELY(digit_count > SAFE_DOUBLE_DIGITS) && !is_finite_double(digits, at))
        return NULL;
    *ret_number = (struct json_number){.raw = {.data = start, .size = (size_t)(at - start)},
                                       .is_integer = is_integer,
                                       .is_safe_float = digit_count <= SAFE_FLOAT_DIGITS};
    return at;
}

/* Eight at a time: a byte is a digit if its upper half is 3 and stays so when 6 is added, which
 * carries into the next byte only from bytes that are none. */
static const char *skip_digits(const char *at, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t threes = 0x3030303030303030, sixes = 0x0606060606060606;
    const uint64_t upper = 0xf0f0f0f0f0f0f0f0;

    for (uint64_t text; end - at >= 8; at += 8) {
        memcpy(&text, at, sizeof text);
        text = ((text & upper) ^ threes) | (((text + sixes) & upper) ^ threes);
        if (text != 0)
            return at + __builtin_ctzll(text) / 8;
    }
#endif
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Behind the 'e'. NULL if there are no digits; else *ret_power is the exponent if it is positive,
 * cut at some thousands, and 0 if not. */
static const char *skip_exponent(const char *at, const char *end, ptrdiff_t *ret_power)
{
    bool        is_negative = at < end && *at == '-';
    const char *digits = at + (at < end && (*at == '-' || *at == '+'));
    ptrdiff_t   power = 0;

    at = skip_digits(digits, end);
    for (const char *digit = digits; digit < at && power <= SAFE_DOUBLE_DIGITS; digit++)
        power = power * 10 + (*digit - '0');
    *ret_power = is_negative ? 0 : power;
    return at == digits ? NULL : at;
}

/* Does serde_json, with its default features, make a finite double of the number from `at` to
 * `end`, whose grammar is right and whose sign was skipped? Its arithmetic, not the exact one,
 * decides: the significand is cut where a digit more would overflow, then multiplied by one power
 * of ten. */
static bool is_finite_double(const char *at, const char *end)
{
    static const double powers[] = {1e288, 1e289, 1e290, 1e291, 1e292, 1e293, 1e294,
                                    1e295, 1e296, 1e297, 1e298, 1e299, 1e300, 1e301,
                                    1e302, 1e303, 1e304, 1e305, 1e306, 1e307, 1e308};
    struct decimal      decimal = {0};
    int64_t             exponent = 0;
    bool                is_negative;

    add_digits(&decimal, &at, end, 1);
    if (at < end && *at == '.') {
        at++;
        add_digits(&decimal, &at, end, 0);
    }
    if (at < end) {
        at++; /* the 'e' */
        is_negative = *at == '-';
        at += *at == '-' || *at == '+';
        for (; at < end && exponent <= INT32_MAX; at++)
            exponent = exponent * 10 + (*at - '0');
        decimal.power += is_negative ? -exponent : exponent;
    }
    if (decimal.significand == 0 || decimal.power <= SAFE_DOUBLE_DIGITS)
        return true;
    if (decimal.power - SAFE_DOUBLE_DIGITS >= (int64_t)COUNT_OF(powers))
        return false;
    return isfinite((double)decimal.significand * powers[decimal.power - SAFE_DOUBLE_DIGITS]);
}

/* Add a run of digits. Each digit that no longer fits counts as `power` powers of ten (1 before the
 * dot, 0 behind it), each that fits behind the dot as one less. */
static void add_digits(struct decimal *decimal, const char **at, const char *end, int64_t power)
{
    bool is_full = false;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
        uint64_t digit = (uint64_t)(**at - '0');

        is_full = is_full || decimal->significand > (UINT64_MAX - digit) / 10;
        if (is_full) {
            decimal->power += power;
        } else {
            decimal->significand = decimal->significand * 10 + digit;
            decimal->power += power - 1;
        }
    }
}
