/* mirror_flow - the place of the keeper of copies in the queue of turns, which no service has */
#ifndef PROXY_MIRROR_FLOW_H
#define PROXY_MIRROR_FLOW_H

#include "proxy/cache_verify.h"

enum { MIRROR_FLOW = CACHE_VERIFY_FLOW + 1 };

#endif
