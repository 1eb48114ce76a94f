/* own_flows - places in the queue of turns of the proxy's own questions: no service has them */
#ifndef CALLS_OWN_FLOWS_H
#define CALLS_OWN_FLOWS_H

#include "calls/services.h"

enum { CACHE_VERIFY_FLOW = SERVICES_FLOWS, MIRROR_FLOW, OWN_FLOWS_END };

#endif
