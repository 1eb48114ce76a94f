/* answer - what the client gets: Chroma's answer as it arrives, or an error of our own
 *
 * Private to proxy/.
 */
#ifndef PROXY_ANSWER_H
#define PROXY_ANSWER_H

#include "base/status.h"
#include "front/front_error.h"
#include "proxy/exchange.h"

/* The transfer's events; their context is the exchange. */
extern const struct upstream_transfer_events answer_events;

/* Answer with an error and finish the exchange. If a part of an answer is out already, the
 * connection is cut instead: that is how a client learns that it will not be completed.
 * `message` is borrowed; NULL: the status' own text. */
void answer_error(struct exchange *exchange, enum status status, enum front_executed executed,
                  const char *message);

/* Answer with what Chroma answered, all of it at once, and finish. */
void answer_whole(struct exchange *exchange, const struct http_head *head, struct bytes body,
                  enum front_executed executed);

/* Answer 413 with the very bytes that Chroma would send on this route, and finish. */
void answer_too_large(struct exchange *exchange);

/* The client takes bytes again. */
void answer_on_drained(struct exchange *exchange);

#endif
