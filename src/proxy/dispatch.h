/* dispatch - every request of a client begins here, and takes its path
 *
 * Private to proxy/.
 */
#ifndef PROXY_DISPATCH_H
#define PROXY_DISPATCH_H

#include "front/front_connection.h"
#include "io/timeout_queue.h"

/* What a front calls; its context is the proxy. */
extern const struct front_handler dispatch_handler;

/* The deadline, and the limit on waiting for room or a turn, of an exchange; where reads are
 * refused early, that for room. */
void dispatch_on_deadline(struct timeout *timeout);
void dispatch_on_wait_limit(struct timeout *timeout);
void dispatch_on_shed_wait(struct timeout *timeout);

#endif
