/* whole_sink - holds an answer until it is complete
 *
 * Of a Chroma that may die at any time and is then started again: as long as nothing of an answer
 * was passed on, its read can be asked again.
 *
 * Private to proxy/.
 */
#ifndef PROXY_WHOLE_SINK_H
#define PROXY_WHOLE_SINK_H

#include <stdbool.h>

#include "proxy/answer_sink.h"

/* Is this answer small enough to be held? (1 MiB) */
bool whole_sink_wants(const struct http_head *head);

/* NULL when out of memory. */
struct answer_sink *whole_sink_new(void);

#endif
