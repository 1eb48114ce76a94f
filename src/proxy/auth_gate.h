/* auth_gate - every request passes here first, where keys are known
 *
 * Takes the key from the request, lets its service and its path go on or refuses it. What needs the
 * names of a collection that are not known waits, its body unread, once its service lets it ask for
 * them; what needs its body is judged when that is complete, before anything is done with it.
 *
 * Private to proxy/. Thread: event loop only. Memory: auth_ticket.h.
 */
#ifndef PROXY_AUTH_GATE_H
#define PROXY_AUTH_GATE_H

#include <stdbool.h>

struct exchange;

/* Begin the path of the exchange, at once, later, or not at all. */
void auth_gate_begin(struct exchange *exchange);

/* The body of a write is complete. False: the write goes no further on its path. */
bool auth_gate_check_body(struct exchange *exchange);

#endif
