/* access_log - one line for every request, also for those that were refused or given up
 *
 * Says what was asked (never a field value, token, body or vector), the answer, where the time
 * went, and who ended it. Private to proxy/.
 */
#ifndef PROXY_ACCESS_LOG_H
#define PROXY_ACCESS_LOG_H

#include "base/error.h"
#include "proxy/exchange.h"

/* The client has its answer, or will not get one. */
void access_log_exchange(const struct exchange *exchange, uint64_t now_us);

/* Something that never became a request was refused. */
void access_log_refused(const struct proxy *proxy, const struct front_connection *connection,
                        const struct error *error);

#endif
