#include "mirror/mirror_answer_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/mirror_metadata_write.h"

/* A float as text: sign, nine digits, dot, exponent, and zeros. */
enum { FLOAT_SIZE = 48 };

static void   check_size(struct mirror_answer_json *json, enum status status);
static size_t print_float(float value, char *out);
static int    find_float_digits(float value, char *ret_digits, int *ret_count);

void mirror_answer_json_text(struct mirror_answer_json *json, const char *text)
{
    mirror_answer_json_bytes(json, bytes_of(text));
}

void mirror_answer_json_bytes(struct mirror_answer_json *json, struct bytes bytes)
{
    if (json->status == STATUS_OK)
        check_size(json, byte_buffer_append(json->body, bytes, SIZE_MAX));
}

static void check_size(struct mirror_answer_json *json, enum status status)
{
    if (status != STATUS_OK)
        json->status = STATUS_NO_MEMORY;
    else if (byte_buffer_size(json->body) > json->size_max)
        json->status = STATUS_TOO_LARGE;
}

void mirror_answer_json_string(struct mirror_answer_json *json, bool is_there, struct bytes text)
{
    if (!is_there)
        mirror_answer_json_text(json, "null");
    else if (json->status == STATUS_OK)
        check_size(json, mirror_metadata_write_string(text, json->body));
}

void mirror_answer_json_float(struct mirror_answer_json *json, float value)
{
    char text[FLOAT_SIZE];

    mirror_answer_json_bytes(json, (struct bytes){text, print_float(value, text)});
}

void mirror_answer_json_vector(struct mirror_answer_json *json, const float *vector,
                               uint32_t dimension)
{
    mirror_answer_json_text(json, "[");
    for (uint32_t i = 0; i < dimension && json->status == STATUS_OK; i++) {
        char   text[FLOAT_SIZE + 1] = ",";
        size_t size = print_float(vector[i], text + 1);

        mirror_answer_json_bytes(json, i == 0 ? (struct bytes){text + 1, size}
                                              : (struct bytes){text, size + 1});
    }
    mirror_answer_json_text(json, "]");
}

/* A dot within or beside the first sixteen digits, up to four zeros behind it, else an exponent. */
static size_t print_float(float value, char *out)
{
    enum { POINT_MAX = 16, ZEROS_MAX = 4 };
    static const char zeros[] = "0000000000000000";
    const char       *sign = signbit(value) ? "-" : "";
    char              digits[24];
    int               count, point, size;

    if (!isfinite(value))
        return (size_t)sprintf(out, "null");
    if (value == 0)
        return (size_t)sprintf(out, "%s0.0", sign);
    point = find_float_digits(fabsf(value), digits, &count);
    if (point > 0 && point <= POINT_MAX && count <= point)
        size = sprintf(out, "%s%s%.*s.0", sign, digits, point - count, zeros);
    else if (point > 0 && point <= POINT_MAX)
        size = sprintf(out, "%s%.*s.%s", sign, point, digits, digits + point);
    else if (point <= 0 && point >= -ZEROS_MAX)
        size = sprintf(out, "%s0.%.*s%s", sign, -point, zeros, digits);
    else if (count == 1)
        size = sprintf(out, "%s%se%+d", sign, digits, point - 1);
    else
        size = sprintf(out, "%s%c.%se%+d", sign, digits[0], digits + 1, point - 1);
    return (size_t)size;
}

/* Powers of ten, from the one that makes nine digits of the largest float. */
enum { POWER_LEAST = -31 };
static const double powers[] = {
    1e-31, 1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25, 1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19,
    1e-18, 1e-17, 1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9,  1e-8,  1e-7,  1e-6,
    1e-5,  1e-4,  1e-3,  1e-2,  1e-1,  1e0,   1e1,   1e2,   1e3,   1e4,   1e5,   1e6,   1e7,
    1e8,   1e9,   1e10,  1e11,  1e12,  1e13,  1e14,  1e15,  1e16,  1e17,  1e18,  1e19,  1e20,
    1e21,  1e22,  1e23,  1e24,  1e25,  1e26,  1e27,  1e28,  1e29,  1e30,  1e31,  1e32,  1e33,
    1e34,  1e35,  1e36,  1e37,  1e38,  1e39,  1e40,  1e41,  1e42,  1e43,  1e44,  1e45,  1e46,
    1e47,  1e48,  1e49,  1e50,  1e51,  1e52,  1e53,  1e54};

/* The fewest that give `value` again, and where the dot stands: 1: behind the first of them. All is
 * computed to 1e-15 or better, so what lies that much nearer to the value than the middle between
 * it and the next float means it to every reader. The middle itself means the even one of the two;
 * few digits can be one only where floats have no fraction, or a half, and there it is exact. */
static int find_float_digits(float value, char *ret_digits, int *ret_count)
{
    enum { DIGITS_MAX = 9 };
    static const double margin = 2e-15, ties_from = 1 << 20;
    float               below = nextafterf(value, 0), above = nextafterf(value, INFINITY);
    double              real = (double)value, low = (real + (double)below) / 2;
    double   high = isinf(above) ? real + (real - (double)below) / 2 : (real + (double)above) / 2;
    int      point = (int)floor(log10(real)) + 1, size = DIGITS_MAX;
    double   power = powers[DIGITS_MAX - point - POWER_LEAST];
    uint64_t digits = (uint64_t)llround(real * power), scale = 1;
    uint32_t bits;
    bool     may_tie;

    memcpy(&bits, &value, sizeof bits);
    may_tie = bits % 2 == 0 && real >= ties_from;
    for (uint64_t unit = 10; size > 1; unit *= 10, size--) {
        uint64_t fewer = (uint64_t)llround(real * power / (double)unit);
        double   back = (double)(fewer * unit) / power;

        if ((back <= low * (1 + margin) || back >= high * (1 - margin)) &&
            !(may_tie && (back == low || back == high)))
            break;
        digits = fewer;
        scale = unit;
    }
    point += digits * scale >= UINT64_C(1000000000);
    while (digits % 10 == 0)
        digits /= 10;
    *ret_count = sprintf(ret_digits, "%llu", (unsigned long long)digits);
    return point;
}
