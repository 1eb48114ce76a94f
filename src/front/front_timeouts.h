/* front_timeouts - clients that are too slow, idle for too long or gone; private to front/
 *
 * One queue of timeouts for each reason, shared by all connections of a front. Who changes a
 * connection's state starts and stops its `timeout`; what runs out is dealt with here.
 */
#ifndef FRONT_FRONT_TIMEOUTS_H
#define FRONT_FRONT_TIMEOUTS_H

#include <stdbool.h>

#include "base/compiler.h"
#include "front/front_shared.h"

struct front_connection;

/* Make the queues; front_shared_done() frees them. False: out of memory. */
MUST_CHECK bool front_timeouts_init(struct front_shared *shared);

/* Bytes were given to be sent, or taken: a client that takes too few of them is cut off. */
void front_timeouts_watch_sending(struct front_connection *connection);

#endif
