#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *suffix;
    uint64_t    factor;
};

/* Ascending; each divides the next. */
static const struct unit duration_units[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}};
enum { printed_duration_units = 3 };
static const struct unit size_units[] = {
    {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

/* Of a million, in a hundredth, as decimals. */
enum { SHARE_OF_PERCENT = 10000, SHARE_DECIMALS = 4 };

static bool        read_with_unit(struct bytes text, const struct unit *units, size_t count,
                                  uint64_t *ret_value);
static const char *write_with_unit(uint64_t value, const struct unit *units, size_t count,
                                   const char *zero, char *out);
static char        lower(char c);
static unsigned    least(unsigned left, unsigned right);

bool text_to_number(struct bytes text, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *ret_value = value;
    return true;
}

bool text_to_duration(struct bytes text, uint64_t *ret_value_us)
{
    return read_with_unit(text, duration_units, COUNT_OF(duration_units), ret_value_us);
}

bool text_to_size(struct bytes text, uint64_t *ret_value_bytes)
{
    return read_with_unit(text, size_units, COUNT_OF(size_units), ret_value_bytes);
}

static bool read_with_unit(struct bytes text, const struct unit *units, size_t count,
                           uint64_t *ret_value)
{
    size_t       digits = 0;
    struct bytes suffix;
    uint64_t     value;

    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    if (!text_to_number((struct bytes){.data = text.data, .size = digits}, &value))
        return false;
    suffix = bytes_skip(text, digits);
    for (size_t i = 0; i < count; i++)
        if (bytes_equal(suffix, bytes_of(units[i].suffix)) &&
            value <= UINT64_MAX / units[i].factor) {
            *ret_value = value * units[i].factor;
            return true;
        }
    return false;
}

bool text_to_share(struct bytes text, uint64_t *ret_per_million)
{
    const char  *point;
    struct bytes whole, decimals = {0};
    uint64_t     value, rest = 0;

    if (bytes_equal(text, BYTES_LITERAL("0"))) {
        *ret_per_million = 0;
        return true;
    }
    if (text.size == 0 || text.data[text.size - 1] != '%')
        return false;
    whole = (struct bytes){.data = text.data, .size = text.size - 1};
    point = memchr(whole.data, '.', whole.size);
    if (point != NULL) {
        size_t before = (size_t)(point - whole.data);

        decimals = bytes_skip(whole, before + 1);
        whole.size = before;
        if (decimals.size > SHARE_DECIMALS || !text_to_number(decimals, &rest))
            return false;
    }
    if (!text_to_number(whole, &value) || value > UINT64_MAX / SHARE_OF_PERCENT - 1)
        return false;
    for (size_t i = decimals.size; i < SHARE_DECIMALS; i++)
        rest *= 10;
    *ret_per_million = value * SHARE_OF_PERCENT + rest;
    return true;
}

const char *text_of_share(uint64_t per_million, char *out)
{
    int size =
        snprintf(out, TEXT_NUMBER_SIZE, "%" PRIu64 ".%0*" PRIu64, per_million / SHARE_OF_PERCENT,
                 SHARE_DECIMALS, per_million % SHARE_OF_PERCENT);

    while (out[size - 1] == '0')
        size--;
    size -= out[size - 1] == '.';
    out[size] = '%';
    out[size + 1] = '\0';
    return out;
}

const char *text_of_duration(uint64_t value_us, char *out)
{
    return write_with_unit(value_us, duration_units, printed_duration_units, "0s", out);
}

const char *text_of_size(uint64_t value_bytes, char *out)
{
    return write_with_unit(value_bytes, size_units, COUNT_OF(size_units), "0B", out);
}

static const char *write_with_unit(uint64_t value, const struct unit *units, size_t count,
                                   const char *zero, char *out)
{
    size_t i = count - 1;

    while (value % units[i].factor != 0)
        i--;
    if (value == 0)
        snprintf(out, TEXT_NUMBER_SIZE, "%s", zero);
    else
        snprintf(out, TEXT_NUMBER_SIZE, "%llu%s", (unsigned long long)(value / units[i].factor),
                 units[i].suffix);
    return out;
}

size_t text_character(struct bytes text)
{
    const unsigned char *in = (const unsigned char *)text.data;
    size_t               size;
    uint32_t             code;

    if (text.size == 0 || in[0] < ' ' || in[0] == 127)
        return 0;
    if (in[0] < 0x80)
        return 1;
    size = in[0] < 0xc2 ? 0 : in[0] < 0xe0 ? 2 : in[0] < 0xf0 ? 3 : in[0] < 0xf5 ? 4 : 0;
    if (size == 0 || size > text.size)
        return 0;
    code = in[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((in[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (in[i] & 0x3f);
    }
    if ((code < 0xa0) || (size == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
        (size == 4 && (code < 0x10000 || code > 0x10ffff)))
        return 0;
    return size;
}

const char *text_quote(struct bytes text, char *out, size_t size)
{
    size_t room = size - sizeof "'...'";
    size_t used = 1;

    out[0] = '\'';
    while (text.size > 0) {
        size_t take = text_character(text);

        if (used + (take == 0 ? 1 : take) > room + 1)
            break;
        if (take == 0)
            out[used++] = '?';
        memcpy(out + used, text.data, take);
        used += take;
        text = bytes_skip(text, take == 0 ? 1 : take);
    }
    snprintf(out + used, size - used, text.size > 0 ? "...'" : "'");
    return out;
}

unsigned text_distance(const char *left, const char *right, unsigned limit)
{
    enum { LONGEST = 64 };
    unsigned rows[3][LONGEST + 1]; /* the row of the letter before the last, the last, this one */
    size_t   columns = strlen(right);

    if (columns > LONGEST || strlen(left) > LONGEST)
        return limit;
    for (unsigned column = 0; column <= columns; column++)
        rows[0][column] = column;
    for (unsigned row = 1; left[row - 1] != '\0'; row++) {
        const unsigned *before = rows[(row + 1) % 3], *last = rows[(row - 1) % 3];
        unsigned       *now = rows[row % 3];

        now[0] = row;
        for (size_t column = 1; column <= columns; column++) {
            char a = lower(left[row - 1]), b = lower(right[column - 1]);

            now[column] =
                least(last[column - 1] + (a != b), 1 + least(last[column], now[column - 1]));
            if (row > 1 && column > 1 && a == lower(right[column - 2]) && b == lower(left[row - 2]))
                now[column] = least(now[column], before[column - 2] + 1);
        }
    }
    return least(rows[strlen(left) % 3][columns], limit);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned left, unsigned right)
{
    return left < right ? left : right;
}
