/* batch_limit_sink - tells clients a larger limit of records than Chroma's own
 *
 * Where larger requests are split (`writes.split_oversize`), the answer to pre-flight-checks is
 * held until it is complete, and one number in it is raised.
 *
 * Private to proxy/.
 */
#ifndef PROXY_BATCH_LIMIT_SINK_H
#define PROXY_BATCH_LIMIT_SINK_H

#include <stdbool.h>

#include "proxy/answer_sink.h"

/* Can this answer be changed? */
bool batch_limit_sink_wants(const struct http_head *head);

/* NULL when out of memory. */
struct answer_sink *batch_limit_sink_new(void);

#endif
