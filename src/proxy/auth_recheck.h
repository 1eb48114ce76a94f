/* auth_recheck - is the key of a request that has waited still known?
 *
 * A request goes by the keys that there were when it came (auth.h). Before it goes on, after it
 * waited for admission, for room or for its body, a key that was revoked meanwhile ends it.
 *
 * Private to proxy/. Thread: event loop only.
 */
#ifndef PROXY_AUTH_RECHECK_H
#define PROXY_AUTH_RECHECK_H

#include <stdbool.h>

struct exchange;

/* False: it is refused, and goes no further. */
bool auth_recheck(struct exchange *exchange);

#endif
