/* http_head - the head of one HTTP/1.1 message: start line and fields, parsed
 *
 * Filled by http_reader, read by everyone, written out again by http_writer. All spans point into
 * the reader's own buffer: they are borrowed and stay valid until http_reader_reset().
 */
#ifndef HTTP_HTTP_HEAD_H
#define HTTP_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "http/http_field.h"

/* How the body is delimited (RFC 9112 section 6.3). */
enum http_framing {
    HTTP_FRAMING_NONE,       /* no body */
    HTTP_FRAMING_LENGTH,     /* content_length bytes; may be 0 */
    HTTP_FRAMING_CHUNKED,    /* Transfer-Encoding: chunked */
    HTTP_FRAMING_UNTIL_CLOSE /* responses only */
};

/* More fields than this are refused with HEADERS_TOO_LARGE; hyper, which serves Chroma, has the
 * same limit. */
enum { HTTP_FIELDS_MAX = 100 };

struct http_head {
    /* Requests. */
    struct bytes method;
    struct bytes target; /* origin-form to forward: absolute-form is reduced to path and query */
    struct bytes path;   /* of target, up to the first '?' */
    struct bytes query;  /* of target, after the first '?'; empty if there is none */
    bool         is_head;
    bool         expects_continue;  /* Expect: 100-continue */
    bool         is_last_hop;       /* Max-Forwards: 0 of OPTIONS: answer it, ask nobody */
    bool         has_forwards_left; /* Max-Forwards of OPTIONS and TRACE: to be forwarded as ... */
    uint32_t     forwards_left;     /* ... this */

    /* Responses. */
    unsigned     status; /* 100..999 */
    struct bytes reason;

    /* Both. */
    unsigned          minor_version; /* 0 or 1: HTTP/1.x; 1 for all that are later */
    bool              keep_alive;    /* the sender lets the connection be used again */
    enum http_framing framing;
    uint64_t          content_length; /* framing LENGTH; for a response to HEAD what it said */
    bool              has_content_length;
    size_t            field_count;
    struct http_field fields[HTTP_FIELDS_MAX];
};

/* The first field with `id`, or NULL. */
const struct http_field *http_head_find(const struct http_head *head, enum http_field_id id);

/* Copy `from` to `to`, its bytes behind what `bytes` holds, which must not change afterwards.
 * False: out of memory; *to is not to be used. */
MUST_CHECK bool http_head_copy(struct http_head *to, const struct http_head *from,
                               struct byte_buffer *bytes);

#endif
