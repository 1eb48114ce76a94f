/* http_reader - strict, incremental reader of HTTP/1.1 requests and responses (RFC 9112)
 *
 * Fed with bytes in pieces of any size, it answers with events:
 *
 *   request or response:  HEAD, then BODY any number of times, then END
 *   too large a body:     HEAD, then ERROR: how to refuse it may depend on the request
 *   1xx response:         HEAD, END; after http_reader_reset() the final response follows
 *
 * It is strict because it stands in front of another parser: what two parsers read differently is
 * how requests are smuggled. Anything that RFC 9112 does not allow is an ERROR, and after an ERROR
 * the connection must be closed. Line by line, so that a bad line is refused before the head is
 * complete. The head is copied into the reader's own buffer; body bytes are never copied.
 *
 * Memory: the head's bytes, at most head_bytes_max; given back by http_reader_free(), kept by
 * http_reader_reset().
 */
#ifndef HTTP_HTTP_READER_H
#define HTTP_HTTP_READER_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/memory_account.h"
#include "http/http_head.h"

struct http_reader; /* opaque */

enum http_reader_kind { HTTP_READER_REQUEST, HTTP_READER_RESPONSE };

struct http_reader_limits {
    size_t   start_line_bytes_max; /* beyond it a request gets TARGET_TOO_LONG */
    size_t   head_bytes_max;       /* > 2; start line and fields; trailers likewise */
    uint64_t body_bytes_max;       /* declared or decoded; beyond it TOO_LARGE. UINT64_MAX: none */

    /* What the bytes of a head take is charged to it until the reset; NULL: to nobody. */
    struct memory_account *account;
};

enum http_reader_event {
    HTTP_READER_MORE,  /* all input is consumed; more is needed */
    HTTP_READER_HEAD,  /* http_reader_head() is valid from here to http_reader_reset() */
    HTTP_READER_BODY,  /* *ret_body holds decoded body bytes, a span of the input */
    HTTP_READER_END,   /* the message is complete; what is left of the input belongs to the next */
    HTTP_READER_ERROR, /* http_reader_error() says what is wrong; nothing more is read */
};

/* Create a reader. `limits` is borrowed until the last feed or reset and may change meanwhile, but
 * for its account, which must outlive the reader. NULL when out of memory. */
struct http_reader *http_reader_new(enum http_reader_kind            kind,
                                    const struct http_reader_limits *limits);

/* Free `reader`; NULL is a no-op. */
void http_reader_free(struct http_reader *reader);

/* Forget the message and be ready for the next one. For a response, `answers_head` says that it
 * answers a HEAD request and so has no body whatever its fields declare. */
void http_reader_reset(struct http_reader *reader, bool answers_head);

/* Read on. `*input` is advanced past what was consumed; call again until MORE, END or ERROR.
 * `*ret_body` is written on BODY only, is never empty, and is as long as possible.
 * After END, or ERROR, the call must not be repeated before http_reader_reset(). */
MUST_CHECK enum http_reader_event http_reader_feed(struct http_reader *reader, struct bytes *input,
                                                   struct bytes *ret_body);

/* The input ended (the peer closed). END when that completes the message (a response delimited by
 * close), else ERROR: the message was cut. */
MUST_CHECK enum http_reader_event http_reader_end_of_input(struct http_reader *reader);

/* Has any byte of a message been seen since the reset? (Empty lines before a request line, which
 * RFC 9112 2.2 tells us to ignore, do not count.) */
bool http_reader_has_begun(const struct http_reader *reader);

/* The head, from HEAD on; borrowed until http_reader_reset(). */
const struct http_head *http_reader_head(const struct http_reader *reader);

/* Make the head's field at `index` one that is not forwarded. */
void http_reader_drop_field(struct http_reader *reader, size_t index);

/* Give the head one field more, behind the others: borrowed until http_reader_reset(). False: it
 * has HTTP_FIELDS_MAX, and none of them was dropped to take its place. */
MUST_CHECK bool http_reader_add_field(struct http_reader *reader, struct bytes name,
                                      struct bytes value);

/* What is wrong, after ERROR. For a request the status is what to answer: INVALID (400),
 * TOO_LARGE (413), TARGET_TOO_LONG (414), EXPECTATION_FAILED (417), HEADERS_TOO_LARGE (431),
 * NOT_IMPLEMENTED (501: unknown transfer coding, CONNECT), VERSION_UNSUPPORTED (505), NO_MEMORY
 * (503). For a response it is BACKEND_GARBLED, BACKEND_RESET (cut) or NO_MEMORY. */
const struct error *http_reader_error(const struct http_reader *reader);

#endif
