/* write_path - requests that may change something
 *
 * The body is complete here before its first byte goes to Chroma, so a client that dies never
 * leaves half a write. Then a write is made of it (write.h), for which the exchange only waits;
 * but a creation of what is there already may be answered from what was kept (cache_path.h).
 *
 * Private to proxy/.
 */
#ifndef PROXY_WRITE_PATH_H
#define PROXY_WRITE_PATH_H

#include "proxy/exchange.h"

extern const struct exchange_path write_path;

#endif
