#include "http/http_chars.h"

#include <stdint.h>

/* One row for 16 characters; the unit test writes the classes out and compares. */
/* clang-format off */
const unsigned char http_chars_classes[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0, /* 00 */
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0, /* 10 */
     2, 15,  6,  3, 15, 15, 15, 15, 14, 14, 15, 15, 14, 15, 15,  6, /* 20 */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6, 14,  6, 14,  6,  6, /* 30 */
     6, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 40 */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  6,  6,  7, 15, /* 50 */
     7, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, /* 60 */
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  6,  7,  6, 15,  0, /* 70 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* 80 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* 90 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* a0 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* b0 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* c0 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* d0 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* e0 */
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2, /* f0 */
};
/* clang-format on */

size_t http_chars_span(struct bytes bytes, unsigned classes)
{
    size_t size = 0;

    while (size < bytes.size && http_chars_is(bytes.data[size], classes))
        size++;
    return size;
}

bool http_chars_are_value(struct bytes bytes)
{
    const uint64_t ones = UINT64_MAX / 255;

    for (; bytes.size >= sizeof(uint64_t); bytes = bytes_skip(bytes, sizeof(uint64_t))) {
        uint64_t word, deletes;

        memcpy(&word, bytes.data, sizeof word);
        deletes = word ^ ones * 0x7f;
        /* The high bit of some byte is set if one is below 0x20 or is 0x7f. */
        if ((((word - ones * 0x20) & ~word) | ((deletes - ones) & ~deletes)) & ones * 0x80 &&
            http_chars_span((struct bytes){.data = bytes.data, .size = sizeof word},
                            HTTP_CHARS_VALUE) < sizeof word)
            return false; /* not merely a tab */
    }
    return http_chars_span(bytes, HTTP_CHARS_VALUE) == bytes.size;
}
