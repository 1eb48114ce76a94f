/* daemon_recycle - Chroma that must be started anew is ended between requests: it has grown above
 * exec.memory_max, or its directory was replaced
 *
 * New requests wait as in a pause, those under way finish, for a time at most; then Chroma is told
 * to end, and the pause ends when the next one is ready. One that is above the limit from the
 * beginning is left alone: it would be no better the next time.
 *
 * Private to app/. Thread: the loop's.
 */
#ifndef APP_DAEMON_RECYCLE_H
#define APP_DAEMON_RECYCLE_H

#include "app/daemon_state.h"

struct daemon_recycle; /* opaque */

/* `end` is called when Chroma may be ended. NULL when out of memory. */
struct daemon_recycle *daemon_recycle_new(struct daemon *daemon, void (*end)(void *ctx), void *ctx);

/* Chroma, which is ready, takes so much memory. */
void daemon_recycle_on_memory(struct daemon_recycle *recycle, uint64_t bytes);

/* End it, which is ready, for another reason. Nothing happens where that is under way. */
void daemon_recycle_begin(struct daemon_recycle *recycle);

/* It has ended, for whatever reason. */
void daemon_recycle_on_ended(struct daemon_recycle *recycle);

/* The next one is ready. */
void daemon_recycle_on_ready(struct daemon_recycle *recycle);

/* NULL is a no-op. */
void daemon_recycle_free(struct daemon_recycle *recycle);

#endif
