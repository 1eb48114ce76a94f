#include "json/json_print.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The numbers around a float that are read as it. */
struct float_reach {
    float  value; /* positive */
    double low, high;
};

static int    print_float_digits(float value, char *ret_digits);
static double scale_by_ten(double value, int power);
static bool   is_within_reach(const struct float_reach *reach, uint64_t digits, int power);
static bool   take_double_text(double value, const char *text, char *ret_digits, int *ret_point);
static size_t put_special(double value, char *out);
static size_t put_float_text(bool is_negative, const char *digits, int point, int point_max,
                             int zeros_max, char *out);
static char  *put_text(char *at, const char *text, int size);
static void   put_digits(uint64_t digits, char *ret_digits);

size_t json_print_float(float value, char *out)
{
    enum { POINT_MAX = 13, ZEROS_MAX = 5 };
    char digits[JSON_PRINT_DIGITS_ROOM];
    int  point;

    if (value == 0 || !isfinite(value))
        return put_special(value, out);
    point = print_float_digits(fabsf(value), digits);
    return put_float_text(value < 0, digits, point, POINT_MAX, ZEROS_MAX, out);
}

size_t json_print_double(double value, char *out)
{
    enum { POINT_MAX = 16, ZEROS_MAX = 4 };
    char digits[JSON_PRINT_DIGITS_ROOM];
    int  point;

    if (value == 0 || !isfinite(value))
        return put_special(value, out);
    point = json_print_double_digits(fabs(value), digits);
    return put_float_text(value < 0, digits, point, POINT_MAX, ZEROS_MAX, out);
}

static size_t put_special(double value, char *out)
{
    const char *text = !isfinite(value) ? "null" : signbit(value) ? "-0.0" : "0.0";

    return (size_t)snprintf(out, JSON_PRINT_MAX, "%s", text);
}

/* A dot within the first digits, behind zeros, or before zeros if there are few; else an exponent.
 */
static size_t put_float_text(bool is_negative, const char *digits, int point, int point_max,
                             int zeros_max, char *out)
{
    static const char zeros[] = "0000000000000000";
    int               count = (int)strlen(digits);
    char             *at = out;

    if (is_negative)
        *at++ = '-';
    if (point > 0 && point <= point_max && count <= point) {
        at = put_text(put_text(at, digits, count), zeros, point - count);
        at = put_text(at, ".0", 2);
    } else if (point > 0 && point <= point_max) {
        at = put_text(put_text(at, digits, point), ".", 1);
        at = put_text(at, digits + point, count - point);
    } else if (point <= 0 && point >= -zeros_max) {
        at = put_text(put_text(at, "0.", 2), zeros, -point);
        at = put_text(at, digits, count);
    } else {
        at = put_text(at, digits, 1);
        if (count > 1)
            at = put_text(put_text(at, ".", 1), digits + 1, count - 1);
        at += snprintf(at, JSON_PRINT_MAX - (size_t)(at - out), "e%+d", point - 1);
    }
    *at = '\0';
    return (size_t)(at - out);
}

static char *put_text(char *at, const char *text, int size)
{
    memcpy(at, text, (size_t)size);
    return at + size;
}

/* ---- Digits of 32 bits ---------------------------------------------------------------------- */

/* From nine digits, which are always enough, to fewer. Where those that are nearest are no longer
 * read as the float, those above may be: a power of two reaches further up than down. */
static int print_float_digits(float value, char *ret_digits)
{
    enum { DIGITS_MAX = 9 };
    static const uint64_t too_many = 1000000000;
    float                 below = nextafterf(value, 0), above = nextafterf(value, INFINITY);
    struct float_reach    reach = {.value = value, .low = ((double)value + (double)below) / 2};
    int                   point = (int)floor(log10((double)value)) + 1, size = DIGITS_MAX;
    double                nine = scale_by_ten((double)value, DIGITS_MAX - point);
    uint64_t              digits = (uint64_t)llrint(nine), unit = 1;

    reach.high = isinf(above) ? (double)value * 2 - reach.low : ((double)value + (double)above) / 2;
    for (uint64_t more = 10; size > 1; more *= 10, size--) {
        uint64_t fewer = (uint64_t)llrint(nine / (double)more);

        if (!is_within_reach(&reach, fewer * more, point - DIGITS_MAX) &&
            !is_within_reach(&reach, ++fewer * more, point - DIGITS_MAX))
            break;
        digits = fewer;
        unit = more;
    }
    point += digits * unit >= too_many;
    put_digits(digits, ret_digits);
    return point;
}

/* Without zeros at the end. */
static void put_digits(uint64_t digits, char *ret_digits)
{
    int size = 0;

    while (digits % 10 == 0)
        digits /= 10;
    for (uint64_t rest = digits; rest > 0; rest /= 10)
        size++;
    for (ret_digits[size] = '\0'; size > 0; digits /= 10)
        ret_digits[--size] = (char)('0' + digits % 10);
}

/* To some 4e-16 of it. */
static double scale_by_ten(double value, int power)
{
    enum { POWER_MAX = 55 };
    static const double powers[POWER_MAX + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
        1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27,
        1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41,
        1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55};

    return power >= 0 ? value * powers[power] : value / powers[-power];
}

/* Is digits * 10^power read as the float? Near the ends of its reach that is tried. */
static bool is_within_reach(const struct float_reach *reach, uint64_t digits, int power)
{
    static const double margin = 2e-15;
    double              back = scale_by_ten((double)digits, power);
    char                text[JSON_PRINT_MAX];

    if (back > reach->low * (1 + margin) && back < reach->high * (1 - margin))
        return true;
    if (back < reach->low * (1 - margin) || back > reach->high * (1 + margin))
        return false;
    snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, power);
    return strtof(text, NULL) == reach->value;
}

/* ---- Digits of 64 bits ---------------------------------------------------------------------- */

/* What fifteen digits or fewer mean they say again, but for the smallest, which are less precise.
 */
int json_print_double_digits(double value, char ret_digits[JSON_PRINT_DIGITS_ROOM])
{
    enum { PRECISE_DIGITS = 15 };
    int  exponent, point = 0;
    bool is_power = frexp(value, &exponent) == 0.5;
    char text[JSON_PRINT_MAX];

    for (int count = value < DBL_MIN ? 1 : PRECISE_DIGITS; count <= JSON_PRINT_DIGITS_MAX;
         count++) {
        snprintf(text, sizeof text, "%.*e", count - 1, value);
        if (take_double_text(value, text, ret_digits, &point))
            break;
        if (!is_power) /* as above */
            continue;
        snprintf(text, sizeof text, "%llue%d", strtoull(ret_digits, NULL, 10) + 1, point - count);
        if (take_double_text(value, text, ret_digits, &point))
            break;
    }
    return point;
}

/* The digits of `text` without the dot, and where it stands. Is it read as `value`? */
static bool take_double_text(double value, const char *text, char *ret_digits, int *ret_point)
{
    const char *exponent = strchr(text, 'e');
    int         size = 0, before = 0;

    for (const char *at = text; at < exponent; at++)
        if (*at == '.')
            before = size;
        else
            ret_digits[size++] = *at;
    ret_digits[size] = '\0';
    *ret_point = (int)strtol(exponent + 1, NULL, 10) + (before > 0 ? before : size);
    if (strtod(text, NULL) != value)
        return false;
    while (size > 1 && ret_digits[size - 1] == '0')
        ret_digits[--size] = '\0';
    return true;
}
