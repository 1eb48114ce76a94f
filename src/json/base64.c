#include "json/base64.h"

#include <stdint.h>
#include <string.h>

#include "json/json_simd.h"

/* 16 characters are 12 bytes are 3 floats: so neither characters nor floats straddle groups. */
enum { GROUP_CHARS = 16, GROUP_BYTES = 12, BAD = 0x80 };

/* Six bits for each character, BAD for what is not of the alphabet. */
static const uint8_t values[256] = {
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, 62,  BAD, BAD, BAD, 63,  52,  53,  54,  55,  56,  57,  58,  59,  60,
    61,  BAD, BAD, BAD, BAD, BAD, BAD, BAD, 0,   1,   2,   3,   4,   5,   6,   7,   8,   9,   10,
    11,  12,  13,  14,  15,  16,  17,  18,  19,  20,  21,  22,  23,  24,  25,  BAD, BAD, BAD, BAD,
    BAD, BAD, 26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,  39,  40,  41,  42,
    43,  44,  45,  46,  47,  48,  49,  50,  51,  BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
    BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD};

static bool take_group(const char *text, size_t size, size_t *ret_floats);
static bool are_finite(const uint8_t *bytes, size_t size);

bool base64_is_finite_floats(struct bytes text, size_t *ret_count)
{
    const char *at = text.data;
    const char *end = at;
    size_t      floats, count = 0;
    bool        is_finite = true;

    if (text.size > 0) {
        end += text.size;
        at = json_simd()->skip_base64(at, end, &is_finite);
        count = (size_t)(at - text.data) / GROUP_CHARS * (GROUP_BYTES / sizeof(float));
    }
    while (is_finite && at < end) {
        size_t size = end - at < GROUP_CHARS ? (size_t)(end - at) : GROUP_CHARS;

        if (!take_group(at, size, &floats))
            return false;
        at += size;
        count += floats;
    }
    *ret_count = count;
    return is_finite;
}

/* A group of 16 characters, or what is left of less: 8 with two of padding, or 12 with one. */
static bool take_group(const char *text, size_t size, size_t *ret_floats)
{
    size_t   padding = size == GROUP_CHARS ? 0 : size == 12 ? 1 : 2;
    size_t   byte_count = size / 4 * 3 - padding;
    uint8_t  bytes[GROUP_BYTES];
    uint8_t  seen = 0;
    uint32_t quad = 0;

    if (size % 4 != 0 || size == 4)
        return false;
    for (size_t i = 0; i < size; i++) {
        bool    is_padding = i >= size - padding;
        uint8_t value = is_padding ? 0 : values[(uint8_t)text[i]];

        if (is_padding && text[i] != '=')
            return false;
        seen |= value;
        quad = quad << 6 | value;
        if (i % 4 == 3) {
            bytes[i / 4 * 3] = (uint8_t)(quad >> 16);
            bytes[i / 4 * 3 + 1] = (uint8_t)(quad >> 8);
            bytes[i / 4 * 3 + 2] = (uint8_t)quad;
        }
    }
    for (size_t i = byte_count; i < byte_count + padding; i++)
        seen |= bytes[i] == 0 ? 0 : BAD;
    *ret_floats = byte_count / sizeof(float);
    return (seen & BAD) == 0 && are_finite(bytes, byte_count);
}

/* The seven upper bits of the exponent are in byte 3 of a float, the lowest in byte 2. */
static bool are_finite(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i + 3 < size; i += 4)
        if ((bytes[i + 3] & 0x7f) == 0x7f && (bytes[i + 2] & 0x80) != 0)
            return false;
    return true;
}

void base64_floats(struct bytes text, float *ret_floats)
{
    uint32_t bits = 0, gathered = 0, word = 0, word_bytes = 0;

    for (size_t i = 0; i < text.size && text.data[i] != '='; i++) {
        gathered = gathered << 6 | values[(unsigned char)text.data[i]];
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        word |= (gathered >> bits & 0xff) << 8 * word_bytes++;
        if (word_bytes == sizeof *ret_floats) {
            memcpy(ret_floats++, &word, sizeof word);
            word = word_bytes = 0;
        }
    }
}
