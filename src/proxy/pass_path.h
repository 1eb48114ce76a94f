/* pass_path - requests that change nothing: streamed both ways, untouched
 *
 * A body of up to pass_kept_max bytes is complete before a connection to Chroma is taken, so a
 * slow client holds none, and the request can be sent again if the connection turns out to be
 * dead. A larger one is streamed with back-pressure, once.
 *
 * Private to proxy/.
 */
#ifndef PROXY_PASS_PATH_H
#define PROXY_PASS_PATH_H

#include "proxy/exchange.h"

extern const struct exchange_path pass_path;

/* Chroma takes more of a streamed body. */
void pass_path_on_writable(struct exchange *exchange);

/* Send the (kept) request once more. */
void pass_path_ask_again(struct exchange *exchange);

/* Nobody waits for Chroma's answer any more: a write goes on by itself, a read is cut. The
 * exchange has no transfer afterwards, unless it is DETACHED. */
void pass_path_drop_transfer(struct exchange *exchange);

#endif
