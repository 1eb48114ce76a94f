/* request_identity - on whose behalf, and how, is Chroma asked?
 *
 * Two requests may share an answer or a call only if Chroma cannot tell them apart by anything but
 * what is asked. An authenticating proxy in front of it may go by any field, so the identity is
 * every header field of the request as it leaves for Chroma, but for those that belong to the
 * connection, say how long the body is, how long the client waits, what the client's make is and
 * takes for an answer, or how the call is traced. It is for comparing only: it is never shown,
 * logged or stored.
 *
 * Thread: any.
 */
#ifndef CHROMA_REQUEST_IDENTITY_H
#define CHROMA_REQUEST_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/siphash.h"
#include "http/http_head.h"

enum { REQUEST_IDENTITY_DIGEST_SIZE = 16, REQUEST_IDENTITY_KEY_SIZE = 2 * SIPHASH_KEY_SIZE };

/* Does this field say nothing about who asks and what for? */
bool request_identity_is_ignored(const struct http_field *field);

/* Does it say how old an answer may be that the client takes (Cache-Control, Pragma)? */
bool request_identity_is_of_age(const struct http_field *field);

/* Append the identity to `out`: the fields in their order, names in lower case. Equal bytes, equal
 * identity. Outcomes as byte_buffer_append(), without a limit. */
MUST_CHECK enum status request_identity_write(const struct http_head *head,
                                              struct byte_buffer     *out);

/* The same without what is of age, for who minds that itself. */
MUST_CHECK enum status request_identity_write_ageless(const struct http_head *head,
                                                      struct byte_buffer     *out);

/* A keyed digest, for keys of tables: nobody who lacks the key can aim at another's. `key` is
 * random, of this process, and secret. */
void request_identity_digest(struct bytes        identity,
                             const unsigned char key[REQUEST_IDENTITY_KEY_SIZE],
                             unsigned char       ret_digest[REQUEST_IDENTITY_DIGEST_SIZE]);

#endif
