/* cache_join - requests that wait for the answer to another one, which asks the same
 *
 * Who may wait for whom says single_flight.h. A request that waits holds its body and no turn; its
 * own deadlines run. It is given the answer when all of it is there, whatever becomes of the client
 * of the one that asked, which takes it at a pace of its own. Only an answer that may be kept is
 * given to others: a plain 200 of CACHE_PATH_OBJECT_MAX at most.
 *
 * A creation that would create nothing is a read that goes the way of writes. Others wait for it
 * only while it is certain to be one, and get its answer only if it was kept, which says that
 * nothing came in between: what they get is what they would find, if they looked at that moment.
 *
 * A request that has to ask after all begins again where its body was complete, at the end of the
 * loop's turn: when the one that it waited for is gone, one of all that wait; when the answer is
 * for that one only, each. The call of a request ends with it: it does not go on for those who
 * wait.
 *
 * Private to proxy/. Thread: event loop only. Memory: single_flight.h; an answer is copied to as
 * many as wait, if the account of answers has room for all of it.
 */
#ifndef PROXY_CACHE_JOIN_H
#define PROXY_CACHE_JOIN_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/siphash.h"
#include "http/http_head.h"
#include "io/loop.h"

struct cache_join; /* opaque */
struct exchange;

/* `secret` is copied. NULL when out of memory. */
struct cache_join *cache_join_new(struct loop *loop, const unsigned char secret[SIPHASH_KEY_SIZE]);

/* After the requests. NULL is a no-op. */
void cache_join_free(struct cache_join *join);

/* The request is complete, its question keyed and not sent. True: it waits for another's answer,
 * and is answered or begun again. */
bool cache_join_wait(struct cache_join *join, struct exchange *exchange);

/* It asks, its call is waiting or under way: others may wait for it. */
void cache_join_lead(struct cache_join *join, struct exchange *exchange);

/* Chroma's answer to this one begins and may be given to others: does anybody wait for it? It is
 * read then as fast as it comes. */
bool cache_join_is_awaited(struct exchange *exchange);

/* All of the answer is here: those who wait get it. Borrowed. */
void cache_join_answer(struct exchange *exchange, const struct http_head *head, struct bytes body);

/* Its answer is not for others: they ask for themselves, now and for a while. */
void cache_join_refuse(struct cache_join *join, struct exchange *exchange);

/* It is over, by whatever end. */
void cache_join_leave(struct exchange *exchange);

#endif
