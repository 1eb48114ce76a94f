/* guard_gate - what the guard can say of a request by itself, before a write is made of it
 *
 * A reset, the deletion of a database or of a collection by its name, detaching a function with its
 * output, and requests of which nobody knows what they do: refused here. Those that a question to
 * Chroma may be needed for are marked, for guard_look.h. Forks take nothing from what they copy.
 *
 * Private to proxy/. Thread: event loop only.
 */
#ifndef PROXY_GUARD_GATE_H
#define PROXY_GUARD_GATE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "proxy/exchange.h"

/* Take X-Chromabouncer-Confirm out of the request, which is new; Chroma does not get it. Said twice
 * it says nothing. Where nothing is guarded it is a field like others: the next proxy may guard. */
void guard_gate_take_confirm(struct exchange *exchange);

/* The request, whose body is complete, is refused: it was answered. */
MUST_CHECK bool guard_gate_refuses(struct exchange *exchange);

/* Mark its `write` if it is to be looked at. False: out of memory. */
MUST_CHECK bool guard_gate_mark(const struct exchange *exchange, struct write *write);

#endif
