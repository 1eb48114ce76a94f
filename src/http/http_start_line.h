/* http_start_line - request line and status line (RFC 9112 sections 3 and 4) */
#ifndef HTTP_HTTP_START_LINE_H
#define HTTP_HTTP_START_LINE_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "http/http_head.h"

/* Fill in what a request line says; the spans of `head` point into the `size` bytes at `line`
 * (without CRLF), which reducing an absolute-form target may change. *ret_authority is the
 * authority of an absolute-form target, which takes the place of Host; else empty.
 * STATUS_INVALID, STATUS_NOT_IMPLEMENTED (CONNECT), STATUS_VERSION_UNSUPPORTED. */
MUST_CHECK enum status http_start_line_request(char *line, size_t size, struct http_head *head,
                                               struct bytes *ret_authority, struct error *error);

/* Fill in what a status line says; the spans of `head` point into `line`.
 * STATUS_INVALID, STATUS_VERSION_UNSUPPORTED. */
MUST_CHECK enum status http_start_line_response(struct bytes line, struct http_head *head,
                                                struct error *error);

/* Is `text` uri-host [":" port] (RFC 9110 section 7.2)? The host may be empty. */
bool http_start_line_is_authority(struct bytes text);

#endif
