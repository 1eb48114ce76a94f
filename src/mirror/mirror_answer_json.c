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
    char              digits[16];
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

/* The fewest that give `value` again, and where the dot stands: 1: behind the first of them. Most
 * floats need eight, so the search begins there. */
static int find_float_digits(float value, char *ret_digits, int *ret_count)
{
    enum { DIGITS_MAX = 9, DIGITS_USUAL = 8 };
    char text[32];
    int  count = DIGITS_USUAL, size = 0;

    snprintf(text, sizeof text, "%.*e", count - 1, (double)value);
    if (strtof(text, NULL) != value) {
        snprintf(text, sizeof text, "%.*e", DIGITS_MAX - 1, (double)value);
    } else {
        char shorter[32];

        while (count > 1) {
            snprintf(shorter, sizeof shorter, "%.*e", count - 2, (double)value);
            if (strtof(shorter, NULL) != value)
                break;
            memcpy(text, shorter, sizeof text);
            count--;
        }
    }
    for (const char *at = text; *at != 'e'; at++)
        if (*at != '.')
            ret_digits[size++] = *at;
    while (size > 1 && ret_digits[size - 1] == '0')
        size--;
    ret_digits[size] = '\0';
    *ret_count = size;
    return (int)strtol(strchr(text, 'e') + 1, NULL, 10) + 1;
}
