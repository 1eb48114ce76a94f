/* pass_path - requests that change nothing: streamed both ways, untouched
 *
 * A body of up to PASS_PATH_KEPT_MAX bytes is complete before a turn is asked for, so a slow
 * client holds none, and the request can be sent again if the connection turns out to be dead. A
 * larger one is streamed with back-pressure, once. A complete request may be answered from what was
 * kept (cache_path.h); it asks for no turn then.
 *
 * Private to proxy/.
 */
#ifndef PROXY_PASS_PATH_H
#define PROXY_PASS_PATH_H

#include "proxy/exchange.h"

enum { PASS_PATH_KEPT_MAX = 256 * 1024 };

extern const struct exchange_path pass_path;

/* The exchange comes from another path, its body complete, and with what else it waits for: ask
 * Chroma, and give the answer to `sink`, which is not freed. */
void pass_path_take_over(struct exchange *exchange, struct answer_sink *sink);

/* A read may be asked again that Chroma died under. */
void pass_path_on_repeat(struct timeout *timeout);

#endif
