#include "json/json_number.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "json/json_print.h"

enum {
    SAFE_FLOAT_DIGITS = 38,   /* below 1e38; the largest float is 3.4e38 */
    SAFE_DOUBLE_DIGITS = 288, /* 1e288 times the largest 64-bit integer is finite as a double */
    POWER_OF_TEN_MAX = 308    /* 1e308 is a double */
};

/* Ten of the powers of ten, each rounded to the nearest double. */
#define TEN_POWERS(tens)                                                                           \
    1e##tens##0, 1e##tens##1, 1e##tens##2, 1e##tens##3, 1e##tens##4, 1e##tens##5, 1e##tens##6,     \
        1e##tens##7, 1e##tens##8, 1e##tens##9

/* clang-format off */
static const double powers_of_ten[POWER_OF_TEN_MAX + 1] = {
    TEN_POWERS(),   TEN_POWERS(1),  TEN_POWERS(2),  TEN_POWERS(3),  TEN_POWERS(4),  TEN_POWERS(5),
    TEN_POWERS(6),  TEN_POWERS(7),  TEN_POWERS(8),  TEN_POWERS(9),  TEN_POWERS(10), TEN_POWERS(11),
    TEN_POWERS(12), TEN_POWERS(13), TEN_POWERS(14), TEN_POWERS(15), TEN_POWERS(16), TEN_POWERS(17),
    TEN_POWERS(18), TEN_POWERS(19), TEN_POWERS(20), TEN_POWERS(21), TEN_POWERS(22), TEN_POWERS(23),
    TEN_POWERS(24), TEN_POWERS(25), TEN_POWERS(26), TEN_POWERS(27), TEN_POWERS(28), TEN_POWERS(29),
    1e300, 1e301, 1e302, 1e303, 1e304, 1e305, 1e306, 1e307, 1e308};
/* clang-format on */

/* A number taken apart: as many leading digits as fit, without the dot, times a power of ten. */
struct decimal {
    uint64_t significand;
    int64_t  power;
};

static const char    *skip_digits(const char *at, const char *end);
static const char    *skip_exponent(const char *at, const char *end, ptrdiff_t *ret_power);
static bool           is_finite_double(const char *at, const char *end);
static struct decimal take_decimal(const char *at, const char *end);
static void   add_digits(struct decimal *decimal, const char **at, const char *end, int64_t power);
static double decimal_value(struct decimal decimal);

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
 * decides. */
static bool is_finite_double(const char *at, const char *end)
{
    struct decimal decimal = take_decimal(at, end);

    if (decimal.significand == 0 || decimal.power <= SAFE_DOUBLE_DIGITS)
        return true;
    return decimal.power <= POWER_OF_TEN_MAX && isfinite(decimal_value(decimal));
}

/* The significand is cut where a digit more would overflow. */
static struct decimal take_decimal(const char *at, const char *end)
{
    struct decimal decimal = {0};
    int64_t        exponent = 0;
    bool           is_negative;

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
    return decimal;
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

/* Multiplied or divided by one power of ten; a smaller one first makes it less by 1e308. */
static double decimal_value(struct decimal decimal)
{
    double  value = (double)decimal.significand;
    int64_t power = decimal.power;

    while (power < -POWER_OF_TEN_MAX && value != 0) {
        value /= powers_of_ten[POWER_OF_TEN_MAX];
        power += POWER_OF_TEN_MAX;
    }
    if (value == 0)
        return 0;
    return power < 0 ? value / powers_of_ten[-power] : value * powers_of_ten[power];
}

enum json_number_kind json_number_read(struct json_number number, int64_t *ret_integer,
                                       double *ret_double)
{
    const char    *end = number.raw.data + number.raw.size;
    bool           is_negative = *number.raw.data == '-';
    struct decimal decimal = take_decimal(number.raw.data + is_negative, end);
    double         value = decimal_value(decimal);

    *ret_double = is_negative ? -value : value;
    if (!number.is_integer || decimal.power != 0 || (is_negative && decimal.significand == 0) ||
        (is_negative && decimal.significand > (uint64_t)INT64_MAX + 1))
        return JSON_NUMBER_DOUBLE;
    if (!is_negative && decimal.significand > INT64_MAX)
        return JSON_NUMBER_UNSIGNED;
    *ret_integer = (int64_t)(is_negative ? 0 - decimal.significand : decimal.significand);
    return JSON_NUMBER_INTEGER;
}

/* Digits are told apart from zeros that fill up to the dot: of 1e15 it writes 1000000000000000.0,
 * which is 10^16 divided by ten. */
double json_number_reread(double value)
{
    enum { DIGITS_BEFORE_DOT_MAX = 16 };
    char           digits[JSON_PRINT_DIGITS_ROOM];
    struct decimal decimal;
    int            count, point;

    if (value == 0)
        return value;
    point = json_print_double_digits(fabs(value), digits);
    count = (int)strlen(digits);
    decimal = (struct decimal){.significand = strtoull(digits, NULL, 10), .power = point - count};
    if (decimal.power >= 0 && point <= DIGITS_BEFORE_DOT_MAX)
        for (; decimal.power >= 0; decimal.power--)
            decimal.significand *= 10;
    return copysign(decimal_value(decimal), value);
}
