/* auth_recheck - may a request that has waited still be sent?
 *
 * A request goes by the keys that there were when it came (auth.h), and is judged then. Before it
 * goes on, after it waited for admission, for room, for its body or for its turn, a key that was
 * revoked meanwhile ends it. A read of a collection is judged again, by the names that the
 * collection has now: another may have renamed it. Where those are not known they are asked for,
 * and the read goes on later. A write is judged again when its body is complete (auth_gate.h), and
 * from then on by its permit (auth_permit.h).
 *
 * A name is at most 5 s old when a read is judged by it (auth_look.h); in role sidecar a read that
 * waits longer than that is judged by one that is asked for.
 *
 * Private to proxy/. Thread: event loop only.
 */
#ifndef PROXY_AUTH_RECHECK_H
#define PROXY_AUTH_RECHECK_H

#include <stdbool.h>

struct exchange;

/* False: it is refused, and goes no further; or it waits, and `go_on` is called from the loop,
 * unless it is refused then. `go_on` may be NULL for a write. */
bool auth_recheck(struct exchange *exchange, void (*go_on)(struct exchange *exchange));

/* Would auth_recheck() let it go on at once? Or, of what would have to ask Chroma: is a renaming
 * under way, which may hang, and was it judged less than 5 s ago? Who has his turn is not put back
 * for that. */
bool auth_recheck_holds(const struct exchange *exchange);

/* Rests its scope on a name that was looked at before this turn of the loop? */
bool auth_recheck_is_due(const struct exchange *exchange);

#endif
