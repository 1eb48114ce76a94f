/* write_path - requests that may change something
 *
 * The body is complete here before its first byte goes to Chroma, so a client that dies never
 * leaves half a write; and once sent, a write is waited for whatever its client does.
 *
 * Private to proxy/.
 */
#ifndef PROXY_WRITE_PATH_H
#define PROXY_WRITE_PATH_H

#include "proxy/exchange.h"

extern const struct exchange_path write_path;

#endif
