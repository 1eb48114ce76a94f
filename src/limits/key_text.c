#include "limits/key_text.h"

#include <stdint.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/text.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char prefix[] = "cbk_";

enum { PREFIX = 4, RANDOM_DIGITS = 43, CHECK_DIGITS = 6, CHECK_AT = PREFIX + RANDOM_DIGITS };

static unsigned divide_by_62(unsigned char *number, size_t size);
static void     format_checksum(const char *key, char out[CHECK_DIGITS]);

void key_text_format(const unsigned char random[KEY_TEXT_RANDOM_BYTES], char out[KEY_TEXT_SIZE])
{
    unsigned char number[KEY_TEXT_RANDOM_BYTES];

    memcpy(number, random, sizeof number);
    memcpy(out, prefix, PREFIX);
    for (size_t i = RANDOM_DIGITS; i > 0; i--)
        out[PREFIX + i - 1] = digits[divide_by_62(number, sizeof number)];
    format_checksum(out, out + CHECK_AT);
    out[KEY_TEXT_LENGTH] = '\0';
}

/* Divide a number, most significant byte first, in place; returns the remainder. */
static unsigned divide_by_62(unsigned char *number, size_t size)
{
    unsigned rest = 0;

    for (size_t i = 0; i < size; i++) {
        rest = rest << 8 | number[i];
        number[i] = (unsigned char)(rest / 62);
        rest %= 62;
    }
    return rest;
}

static void format_checksum(const char *key, char out[CHECK_DIGITS])
{
    uint32_t crc = crc32c(0, key, CHECK_AT);

    for (size_t i = CHECK_DIGITS; i > 0; i--, crc /= 62)
        out[i - 1] = digits[crc % 62];
}

bool key_text_is_valid(struct bytes text)
{
    char check[CHECK_DIGITS];

    if (text.size != KEY_TEXT_LENGTH || memcmp(text.data, prefix, PREFIX) != 0)
        return false;
    for (size_t i = PREFIX; i < text.size; i++)
        if (!text_is_alnum(text.data[i]))
            return false;
    format_checksum(text.data, check);
    return memcmp(text.data + CHECK_AT, check, CHECK_DIGITS) == 0;
}
