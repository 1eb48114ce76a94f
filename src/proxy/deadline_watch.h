/* deadline_watch - a request whose client gives it a time (client_deadline.h)
 *
 * One that is not sent is refused when the time left cannot suffice: when no call of its kind was
 * answered in so little lately. A read that is sent is abandoned at the deadline. A write that is
 * sent goes on; its client is told that it may yet be applied. An answer that needs no call is
 * always given.
 *
 * Both ends come through the path's on_deadline, which asks deadline_watch_explain() for the
 * message. For a write in a lane they are the coalescer's, which is told the deadline.
 *
 * Private to proxy/. Thread: event loop only.
 */
#ifndef PROXY_DEADLINE_WATCH_H
#define PROXY_DEADLINE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/exchange.h"

/* A request begins: look for its deadline. exchange_finish() ends it. */
void deadline_watch_begin(struct exchange *exchange);

/* Would it be refused now, since the time left cannot suffice for Chroma? */
bool deadline_watch_is_late(const struct exchange *exchange);

/* It is about to be sent. False: the time left cannot suffice, and it was answered. */
bool deadline_watch_suffices(struct exchange *exchange);

/* A write is about to be handed over: its deadline, if that is earlier. */
void deadline_watch_tell(const struct exchange *exchange, struct write_request *request);

/* Why the request ends, if this deadline ends it; else `message`. `sent`: it was. `room` is what
 * the text is written to. */
enum { DEADLINE_WATCH_TEXT_SIZE = 400 };
const char *deadline_watch_explain(struct exchange *exchange, bool sent, const char *message,
                                   char room[DEADLINE_WATCH_TEXT_SIZE]);

/* Answer 504, since a clock has run out: its client's, or ours with `message`, which is counted in
 * `*ours` (NULL: it is already). */
void deadline_watch_answer(struct exchange *exchange, enum front_executed executed, uint64_t *ours,
                           const char *message);

#endif
