/* mirror_construct - while Chroma is down, what clients ask when they are made is answered, too
 *
 * Else an application that makes a client for each request would fail although its queries could
 * be answered from copies. What Chroma said last to such a question (construct_question.h) is kept:
 * to the same question, of the same identity, if nothing was under way meanwhile that may have
 * changed it. It is forgotten as soon as anything is sent that may change it, and void when another
 * Chroma is reached or somebody says that it was changed unseen (proxy->distrusts). In role gateway
 * the description of a collection that is copied is asked for anew when a write to its records may
 * have changed it (mirror_describe.h): so who was told the one before, by whatever question, can be
 * made although he did not ask again. In role sidecar others may change it unseen, so there it is
 * given only for `max_age_us`.
 *
 * The heartbeat is not answered: who asks for it wants to know whether Chroma lives.
 *
 * Private to proxy/. Thread: event loop only. Memory: construct_store.h.
 */
#ifndef PROXY_MIRROR_CONSTRUCT_H
#define PROXY_MIRROR_CONSTRUCT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "calls/answer_sink.h"
#include "http/http_head.h"
#include "proxy/construct_store.h"

struct exchange;
struct mirror_construct;
struct proxy;

/* Observes what is sent. NULL when out of memory, or without random numbers. */
struct mirror_construct *mirror_construct_new(struct proxy *proxy);

/* No write that it was told of may be under way. NULL is a no-op. */
void mirror_construct_free(struct mirror_construct *construct);

/* Is it such a question? If so, exchange->mirror says from now on what is asked, and what would
 * tell that its answer may have changed. */
bool mirror_construct_ask(struct mirror_construct *construct, struct exchange *exchange);

/* The answer to what was asked, if there is one and it holds; borrowed until the next event. NULL:
 * there is none. */
const struct construct_answer *mirror_construct_find(const struct mirror_construct *construct,
                                                     const struct exchange         *exchange);

/* Chroma's answer to what was asked begins: who keeps it. NULL: nobody. */
struct answer_sink *mirror_construct_sink(struct exchange *exchange, const struct http_head *head);

/* All of it: keep it if it may be. */
void mirror_construct_keep(struct exchange *exchange, const struct http_head *head,
                           struct bytes body);

/* Forget all answers. */
void mirror_construct_forget(struct mirror_construct *construct);

#endif
