/* cache_path - requests that are answered without asking Chroma
 *
 * A query, get or count whose body is complete is looked up before it asks for a turn, and so is
 * what clients ask when they are made (construct_question.h). If it is not
 * known, its answer is kept on its way to the client: only if it is a plain 200 and if nothing that
 * might have changed it was under way between the moment when it was first looked for, which is
 * before it is sent, and its last byte.
 *
 * Who asks what another one asks at this moment waits for that answer, if it may (cache_join.h).
 * Where nothing is kept this is looked at only while reads wait for their turn.
 *
 * In role gateway an answer is kept as long as no write comes. In role sidecar there may be others
 * who write, so nothing is kept unless the operator bounds how old an answer may be; while Chroma
 * is down he may allow more. Answers to
 * requests that carry more than the fields of a plain client, which may be credentials, are given
 * for `trust_us` at most, for Chroma may refuse them by now.
 *
 * A write that the process before this one had in flight may be applied yet, and nobody tells:
 * until proxy->settled_us nothing is kept.
 *
 * Private to proxy/. Thread: event loop only. Memory: query_cache.h; answers on their way to it are
 * bounded by CACHE_PATH_OBJECT_MAX each.
 */
#ifndef PROXY_CACHE_PATH_H
#define PROXY_CACHE_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/memory_account.h"
#include "calls/answer_sink.h"
#include "calls/proxy_options.h"
#include "http/http_head.h"
#include "io/loop.h"
#include "proxy/cache_question.h"
#include "reads/cache_usage.h"

struct exchange;
struct proxy;
struct read_cache;

enum { CACHE_PATH_OBJECT_MAX = 512 << 10 };

/* `options` are copied. NULL: there is no cache, which is no error. */
struct read_cache *cache_path_new(const struct proxy_cache_options *options,
                                  struct memory_account *account, struct loop *loop);

/* NULL is a no-op, as everywhere below. */
void cache_path_free(struct read_cache *cache);

/* `is_gateway`: every write to this Chroma comes through here, and another one does not come
 * unnoticed. If it ceases to be so, all goes. */
void cache_path_set(struct read_cache *cache, const struct proxy_cache_options *options,
                    bool is_gateway);

/* Is it on? */
bool cache_path_keeps_answers(const struct read_cache *cache);

/* What kind of question it is, if it is complete and plain; NONE: another one. */
enum cache_kind cache_path_kind(const struct exchange *exchange);

/* How old an answer may be that the client takes, by Cache-Control and Pragma; 0: only Chroma's
 * will do. */
uint64_t cache_path_age_wanted(const struct http_head *head);

/* Has the head nothing that an authenticating proxy might go by? */
bool cache_path_is_plain(const struct http_head *head);

/* The request is complete and was not sent yet. True: it is answered and finished; or it waits for
 * the answer to another, and its path's on_room is called again if that is not for it. */
bool cache_path_answer(struct exchange *exchange);

/* It was not answered, and its call waits for its turn or is sent: others may wait for it. */
void cache_path_lead(struct exchange *exchange);

/* It is over: nobody waits for it. */
void cache_path_leave(struct exchange *exchange);

/* What an answer to the question would be kept under now. */
struct query_validity cache_path_validity(struct proxy                *proxy,
                                          const struct cache_question *question);

/* Has no write to the collection been under way since the answer was looked for, of whichever
 * records? What was read meanwhile may be what Chroma never says again, whatever the write was
 * about: who reads is not alone with its index. True of what depends on no ids: there the validity
 * says it. */
bool cache_path_is_undisturbed(struct proxy *proxy, const struct cache_question *question);

/* Chroma's answer begins: who keeps it. NULL: nobody. */
struct answer_sink *cache_path_sink(struct exchange *exchange, const struct http_head *head);

/* Chroma's answer to a write that was looked for, all of it: keep it, and give it to who waits for
 * it, if that may be. */
void cache_path_keep(struct exchange *exchange, const struct http_head *head, struct bytes body);

/* For who reports; borrowed. */
struct cache_path_state {
    struct query_cache             *answers; /* NULL: it is off */
    const struct query_cache_stats *stats;   /* NULL: there is none at all */
    const struct cache_usage       *usage;   /* NULL: it was never on */
    size_t                          bytes_max;
};
void cache_path_read_state(const struct read_cache *cache, struct cache_path_state *ret_state);

/* Call `fn` with each request that is about to be answered with `hit` (borrowed). */
typedef void cache_path_hit_fn(struct exchange *exchange, const struct query_cache_hit *hit);
void         cache_path_on_hit(struct read_cache *cache, cache_path_hit_fn *fn);

/* Drop all answers, or those of one collection; in the latter case the caller has moved its stamp
 * (collection_table_distrust()). Those under way are not kept. See query_cache_clear(). */
void cache_path_flush(struct read_cache *cache);
void cache_path_flush_collection(struct read_cache *cache, const uint8_t uuid[16]);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status cache_path_print_metrics(const struct read_cache *cache,
                                                struct byte_buffer      *out);

#endif
