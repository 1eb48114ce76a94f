/* request_head - the head of a request as it leaves for Chroma */
#ifndef CALLS_REQUEST_HEAD_H
#define CALLS_REQUEST_HEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "http/http_head.h"

/* Write the head of `request` to `out` (cleared before), framed as `framing` says. False: out of
 * memory. */
bool request_head_write(const struct http_head *request, enum http_framing framing,
                        uint64_t content_length, struct byte_buffer *out);

/* The head of a GET of `target` with the fields of `request`, but for those about its body and for
 * the encodings that its client takes. Outcomes as request_head_write(). */
bool request_head_write_get(const struct http_head *request, struct bytes target,
                            struct byte_buffer *out);

/* Has the request a method whose body Chroma does not read? */
bool request_head_is_bodiless(const struct http_head *request);

/* Has it passed so many proxies of our name that it must go in a circle? */
bool request_head_is_loop(const struct http_head *request);

#endif
