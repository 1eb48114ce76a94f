/* mirror_path - reads that are answered from a copy of their collection, in place of Chroma
 *
 * A plain query, get or count of version 2 whose body is complete may be:
 *
 *   fallback  Chroma is known to be down; or it has not answered, and the read would be refused
 *   hedge     Chroma has not answered for as long as nearly all of its answers take: whoever is
 *             first answers, and the other one is dropped, or compared (mirror_compare.h)
 *   prefer    before it is sent, if nobody knows the answer yet
 *
 * where each mode does what stands above it, too. The copy decides whether it may be read
 * (mirror_keeper_hold()); how long that may take is bounded, and in prefer some 50 milliseconds.
 * Whatever the copy cannot answer is Chroma's to answer, or ends as it would have without a copy.
 *
 * Nobody gets what Chroma might refuse him: a key of our own has allowed the request, or Chroma has
 * served a read of the collection to the same fields of the head lately (mirror_trust.h); to who
 * sends none but those of a plain client, ever.
 *
 * In fallback what clients ask when they are made is answered as well (mirror_construct.h), from
 * what Chroma has told the same identity, lately if that shows more than a plain client does; and
 * that also while some call hangs, before it is sent. A creation that was sent is not answered: it
 * may be carried out after what its client does next, a deletion of what it names.
 *
 * A client may ask for Chroma's answer: Cache-Control: no-store, no-cache.
 *
 * While Chroma is down a few reads a second go there, with the copy at their heels, to see whether
 * it is back.
 *
 * Private to proxy/. Thread: event loop only. Memory: mirror_job.h, mirror_trust.h.
 */
#ifndef PROXY_MIRROR_PATH_H
#define PROXY_MIRROR_PATH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"
#include "calls/answer_sink.h"
#include "http/http_head.h"
#include "proxy/mirror_compare.h"
#include "proxy/mirror_ticket.h"

struct exchange;
struct mirror_path;
struct proxy;

/* NULL when out of memory, or without random numbers. */
struct mirror_path *mirror_path_new(struct proxy *proxy);

/* After the pool of workers. NULL is a no-op, as in all that follows. */
void mirror_path_free(struct mirror_path *path);

/* A read is complete. */
void mirror_path_note_read(struct exchange *exchange);

/* It is about to be sent. True: it is answered and finished, or the copy is asked in place of
 * Chroma, and `otherwise` is called from the loop if it does not answer. */
bool mirror_path_answer(struct exchange *exchange, mirror_path_otherwise_fn *otherwise);

/* It was sent, or waits for its turn: the copy is asked too when it takes long. */
void mirror_path_hedge(struct exchange *exchange);

/* It is about to be refused. True: it is answered and finished, or the copy is asked first, and
 * `otherwise` is called from the loop if it does not answer. What is under way to Chroma goes on
 * meanwhile. */
bool mirror_path_stand_in(struct exchange *exchange, mirror_path_otherwise_fn *otherwise);

/* Chroma's answer begins, and nothing of it was passed on yet. */
void mirror_path_on_head(struct exchange *exchange, const struct http_head *head);

/* Likewise: who keeps it, for while Chroma is down, or to be compared with the copy's. NULL:
 * nobody.
 */
struct answer_sink *mirror_path_sink(struct exchange *exchange, const struct http_head *head);

/* Chroma's answer to a creation, all of it: keep it if it may be. */
void mirror_path_keep(struct exchange *exchange, const struct http_head *head, struct bytes body);

/* Others may have changed what is kept so, or it is not wanted any more. */
void mirror_path_forget(struct mirror_path *path);

/* As mirror_compare_is_asking(). */
bool mirror_path_is_asking(const struct mirror_path *path);

/* What has been compared so far. */
struct mirror_compare_stats mirror_path_compared(const struct mirror_path *path);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status mirror_path_print_metrics(const struct mirror_path *path,
                                                 struct byte_buffer       *out);

#endif
