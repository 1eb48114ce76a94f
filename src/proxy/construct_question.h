/* construct_question - what clients ask when they are made, whose answer hardly ever changes
 *
 * Every client that is constructed asks who it is, whether its tenant and database are there, how
 * much it may send at once. These answers are FIXED: they change with the tenants and databases, or
 * with Chroma itself.
 *
 * Then it gets its collection, or creates it if it is not there (`get_or_create`), which changes
 * nothing if it is. These DESCRIPTIONS are kept only of a collection whose UUID was known, and
 * which was therefore there, before the question was sent: what created something is never kept.
 * They change with what collection_description.h names, and by whatever may lead the name to
 * another collection, for that changes the one that bore it.
 *
 * Two questions are the same only if their paths and bodies are, byte for byte: so a body that
 * Chroma would refuse has no answer here. Only in role gateway: elsewhere others may change what is
 * asked for.
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
struct proxy;

/* Of a complete request to v2 without a query string. NONE: it is no such question. */
enum cache_kind construct_question_kind(const struct exchange *exchange);

/* Likewise, whatever Chroma it is and in whatever role: the caller knows whether an answer may be
 * kept. */
enum cache_kind construct_question_shape(const struct exchange *exchange);

/* What is asked, for `ret_key->collection` and `ret_key->digest`. `scratch` is overwritten. False:
 * its answer may not be kept, for it is too long, memory is out, or it is not known which
 * collection it is about. */
bool construct_question_read(const struct exchange *exchange,
                             const unsigned char    digest_key[REQUEST_IDENTITY_KEY_SIZE],
                             struct byte_buffer *scratch, struct query_cache_key *ret_key);

/* Its two parts. Which collection is it about, if its answer is a DESCRIPTION? */
bool construct_question_find_collection(const struct exchange *exchange, uint8_t ret_uuid[16]);
bool construct_question_digest(const struct exchange *exchange,
                               const unsigned char    digest_key[REQUEST_IDENTITY_KEY_SIZE],
                               struct byte_buffer *scratch, unsigned char ret_digest[16]);

/* Moves with whatever may change the answer to the question that was read; 0: it may be changing.
 */
uint64_t construct_question_stamp(const struct proxy *proxy, const struct cache_question *question);

/* The answer is about to be kept. False: it may not be. */
bool construct_question_learn(const struct exchange *exchange, struct bytes body);

#endif
