/* bytes - a borrowed run of bytes: pointer and length, not NUL-terminated
 *
 * Passed by value. Never freed: the bytes belong to someone else and are valid only as long as
 * that owner says.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct bytes {
    const char *data; /* may be NULL when size is 0 */
    size_t      size;
};

/* A string literal, as an initializer and as a value. */
#define BYTES_INIT(text)                                                                           \
    {                                                                                              \
        .data = (text), .size = sizeof(text) - 1                                                   \
    }
#define BYTES_LITERAL(text) ((struct bytes)BYTES_INIT(text))

/* The bytes of a NUL-terminated string, without the NUL. */
static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){.data = text, .size = strlen(text)};
}

static inline bool bytes_equal(struct bytes left, struct bytes right)
{
    return left.size == right.size &&
           (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

/* Equal but for the case of ASCII letters. */
static inline bool bytes_equal_nocase(struct bytes left, struct bytes right)
{
    return left.size == right.size &&
           (left.size == 0 || strncasecmp(left.data, right.data, left.size) == 0);
}

static inline bool bytes_begin_with(struct bytes bytes, struct bytes prefix)
{
    return bytes.size >= prefix.size &&
           (prefix.size == 0 || memcmp(bytes.data, prefix.data, prefix.size) == 0);
}

/* What is left after the first `count` bytes; `count` must not exceed the size. */
static inline struct bytes bytes_skip(struct bytes bytes, size_t count)
{
    return (struct bytes){.data = count == 0 ? bytes.data : bytes.data + count,
                          .size = bytes.size - count};
}

#endif
