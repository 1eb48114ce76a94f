/* construct_question - what clients ask when they are made, whose answer hardly ever changes
 *
 * Every client that is constructed asks who it is, whether its tenant and database are there, how
 * much it may send at once. These answers are FIXED: they change with the tenants and databases, or
 * with Chroma itself.
 *
 * Two questions are the same only if their paths and bodies are, byte for byte. Only in role
 * gateway: elsewhere others may change what is asked for.
 *
 * Private to proxy/. Thread: event loop only. Memory: the caller's.
 */
#ifndef PROXY_CONSTRUCT_QUESTION_H
#define PROXY_CONSTRUCT_QUESTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "chroma/request_identity.h"
#include "proxy/cache_question.h"

struct exchange;

/* Of a complete request to v2 without a query string. NONE: it is no such question. */
enum cache_kind construct_question_kind(const struct exchange *exchange);

/* What is asked, for `ret_key->collection` and `ret_key->digest`. `scratch` is overwritten. False:
 * its answer may not be kept, for it is too long or memory is out. */
bool construct_question_read(const struct exchange *exchange,
                             const unsigned char    digest_key[REQUEST_IDENTITY_KEY_SIZE],
                             struct byte_buffer *scratch, struct query_cache_key *ret_key);

/* Moves with whatever may change the answer; 0: it may be changing. */
uint64_t construct_question_stamp(const struct exchange *exchange);

#endif
