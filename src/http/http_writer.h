/* http_writer - write HTTP/1.1 heads: forwarded ones and our own
 *
 * A forwarded head keeps every end-to-end field in its order with its name and value bytes as they
 * came; hop-by-hop fields are left out, framing and connection fields are written anew.
 */
#ifndef HTTP_HTTP_WRITER_H
#define HTTP_HTTP_WRITER_H

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "http/http_head.h"

/* How the head that is written frames its body and ends. */
struct http_writer_options {
    enum http_framing framing;             /* of what follows the head */
    uint64_t          content_length;      /* framing LENGTH */
    bool              close;               /* say `Connection: close` */
    bool              say_keep_alive;      /* say `Connection: keep-alive`: to an HTTP/1.0 client */
    bool              keep_content_length; /* response to HEAD, 304: repeat what the head said */
    struct bytes      received_by; /* who says so in a Via field after existing ones, or empty; the
                                      version is that in which the head was received */
    struct bytes date;  /* value of a Date field, added where the head has none, or empty */
    struct bytes extra; /* complete field lines of our own, each with CRLF, or empty */
};

/* Append to `out` the head of a request forwarded as HTTP/1.1. `host` replaces an absent Host
 * (an HTTP/1.0 client); existing ones are kept.
 * STATUS_NO_MEMORY  `out` is as before. */
MUST_CHECK enum status http_writer_request(struct byte_buffer *out, const struct http_head *head,
                                           struct bytes                      host,
                                           const struct http_writer_options *options);

/* Append to `out` the head of a response forwarded as HTTP/1.1.
 * STATUS_NO_MEMORY  `out` is as before. */
MUST_CHECK enum status http_writer_response(struct byte_buffer *out, const struct http_head *head,
                                            const struct http_writer_options *options);

/* Append to `out` the head of a response of our own: status line with the standard reason phrase,
 * Content-Type when `content_type` is not empty, and what `options` says.
 * STATUS_NO_MEMORY  `out` is as before. */
MUST_CHECK enum status http_writer_own_response(struct byte_buffer *out, unsigned status,
                                                struct bytes                      content_type,
                                                const struct http_writer_options *options);

/* Enough for the line that opens a chunk. */
enum { HTTP_WRITER_CHUNK_LINE_MAX = 18 };

/* Write the line that opens a chunk of `size` > 0 bytes; returns its length. The chunk's bytes are
 * followed by CRLF, the last chunk by http_writer_last_chunk. */
size_t http_writer_chunk_line(char line[HTTP_WRITER_CHUNK_LINE_MAX], size_t size);

/* "0\r\n\r\n" */
extern const struct bytes http_writer_last_chunk;

/* The standard reason phrase of a status code, or "Unknown". Static storage. */
const char *http_writer_reason(unsigned status);

#endif
