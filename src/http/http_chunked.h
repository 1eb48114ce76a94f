/* http_chunked - decoder of the chunked transfer coding (RFC 9112 section 7.1)
 *
 *   chunk    size in hex [extensions] CRLF, that many bytes, CRLF
 *   last     0 [extensions] CRLF, trailer fields, CRLF
 *
 * One byte at a time except for the chunks' bytes, which are never copied; nothing is stored, so
 * that lines may be cut anywhere. Extensions and trailer fields are checked and dropped.
 */
#ifndef HTTP_HTTP_CHUNKED_H
#define HTTP_HTTP_CHUNKED_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"

/* All extensions of one message together: nobody uses them, and a flood of them is bytes without
 * a body. */
enum { HTTP_CHUNKED_EXTENSION_BYTES_MAX = 1024 };

enum http_chunked_event {
    HTTP_CHUNKED_MORE,  /* all input is consumed; more is needed */
    HTTP_CHUNKED_BODY,  /* *ret_body holds decoded bytes, a span of the input, never empty */
    HTTP_CHUNKED_END,   /* the body and its trailers are complete */
    HTTP_CHUNKED_ERROR, /* nothing more is read */
};

/* Fields are private to http_chunked.c. */
struct http_chunked {
    unsigned state;
    unsigned digits;         /* of the size that is being read */
    uint64_t left;           /* the size, then what is missing of the chunk */
    uint64_t body_room;      /* body bytes that may still be announced */
    size_t   extension_room; /* extension bytes that may still come */
    size_t   trailer_room;   /* trailer bytes that may still come */
};

/* Begin a body of at most `body_bytes_max` bytes and `trailer_bytes_max` bytes of trailers. */
void http_chunked_init(struct http_chunked *chunked, uint64_t body_bytes_max,
                       size_t trailer_bytes_max);

/* Read on; `*input` is advanced past what was consumed. *ret_body is written on BODY only. `error`
 * is set on ERROR: STATUS_INVALID, STATUS_TOO_LARGE, STATUS_HEADERS_TOO_LARGE (trailers). */
MUST_CHECK enum http_chunked_event http_chunked_feed(struct http_chunked *chunked,
                                                     struct bytes *input, struct bytes *ret_body,
                                                     struct error *error);

#endif
