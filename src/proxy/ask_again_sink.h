/* ask_again_sink - holds an error back that goes away when Chroma is asked again
 *
 * `Error finding id` is what reads get while others delete (metadata and index are changed one
 * after the other); asked again, they succeed. Any other answer goes on when it is complete.
 *
 * Private to proxy/.
 */
#ifndef PROXY_ASK_AGAIN_SINK_H
#define PROXY_ASK_AGAIN_SINK_H

#include <stdbool.h>

#include "proxy/answer_sink.h"

/* Might this be such an error? (Chroma's errors are some hundred bytes.) */
bool ask_again_sink_wants(const struct http_head *head);

/* `again` is called instead of handing on. NULL when out of memory. */
struct answer_sink *ask_again_sink_new(void (*again)(void *ctx), void *ctx);

#endif
