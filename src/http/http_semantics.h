/* http_semantics - what the fields of a complete head mean together
 *
 * Host, Expect, Max-Forwards, the framing of the body (RFC 9112 section 6.3) and the connection
 * (section 9.3): fills in what a head says beside its start line and fields, and marks as
 * hop-by-hop the fields that Connection names or that are forwarded with another value.
 */
#ifndef HTTP_HTTP_SEMANTICS_H
#define HTTP_HTTP_SEMANTICS_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "http/http_head.h"

/* Judge the fields of a request. A non-empty `authority`, which came with an absolute-form target,
 * becomes the value of Host; it is borrowed as long as `head`.
 * STATUS_INVALID, STATUS_NOT_IMPLEMENTED (transfer coding, TRACE that ends here),
 * STATUS_EXPECTATION_FAILED, STATUS_HEADERS_TOO_LARGE (no room for the Host field). */
MUST_CHECK enum status http_semantics_request(struct http_head *head, struct bytes authority,
                                              struct error *error);

/* Judge the fields of a response, to a HEAD request if `answers_head`.
 * STATUS_INVALID, STATUS_NOT_IMPLEMENTED (transfer coding, 101). */
MUST_CHECK enum status http_semantics_response(struct http_head *head, bool answers_head,
                                               struct error *error);

#endif
