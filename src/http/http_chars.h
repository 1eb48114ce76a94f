/* http_chars - the character classes of HTTP, as bits in one table
 *
 * RFC 9110 section 5 (token, field-value) and RFC 3986 (target, host). Characters of no class are
 * what the grammar allows nowhere: control characters but HTAB.
 */
#ifndef HTTP_HTTP_CHARS_H
#define HTTP_HTTP_CHARS_H

#include <stdbool.h>

#include "base/bytes.h"

enum {
    HTTP_CHARS_TOKEN = 1,  /* tchar */
    HTTP_CHARS_VALUE = 2,  /* HTAB, SP, VCHAR, obs-text */
    HTTP_CHARS_TARGET = 4, /* VCHAR but '#': a target has no fragment, and hyper, which serves
                              Chroma, would cut it off and so route another path than we see */
    HTTP_CHARS_HOST = 8    /* of a reg-name: unreserved, sub-delims, '%' */
};

extern const unsigned char http_chars_classes[256];

/* Is `c` in one of `classes`? */
static inline bool http_chars_is(char c, unsigned classes)
{
    return (http_chars_classes[(unsigned char)c] & classes) != 0;
}

/* How many of the first bytes are in one of `classes`. */
size_t http_chars_span(struct bytes bytes, unsigned classes);

/* Are all bytes in HTTP_CHARS_VALUE? Eight at a time. */
bool http_chars_are_value(struct bytes bytes);

#endif
