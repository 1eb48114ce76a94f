/* auth_permit - a write keeps to its key as long as it waits, whether its client stays or not
 *
 * As auth_recheck.h for reads: when the write is about to be sent, a key that was revoked meanwhile
 * ends it, and its scope is judged by the name that the collection has then. Where that is not
 * known Chroma is asked for it, and the write is sent later.
 *
 * Private to proxy/. Thread: event loop only. Memory: 200 bytes for each write that was shown a
 * key, charged with it; 5 KiB while Chroma is asked.
 */
#ifndef PROXY_AUTH_PERMIT_H
#define PROXY_AUTH_PERMIT_H

#include <stdbool.h>

#include "base/compiler.h"

struct exchange;
struct write;

/* Put the permit of the exchange, which was just judged, into its write; none where no known key
 * was shown. False: out of memory. */
MUST_CHECK bool auth_permit_give(struct exchange *exchange, struct write *write);

#endif
