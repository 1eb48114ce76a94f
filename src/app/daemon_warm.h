/* daemon_warm - collections of exec.warm are touched when Chroma has been started
 *
 * Chroma loads the index of a collection with the first question to it, which takes as long as a
 * hundred later ones or more. So each is asked for one record, one after the other; then who
 * watches is told. A collection that does not exist, or a question that fails, is logged and holds
 * nothing up; a minute after the beginning the rest is left out.
 *
 * Private to app/. Thread: the loop's.
 */
#ifndef APP_DAEMON_WARM_H
#define APP_DAEMON_WARM_H

#include "app/daemon_state.h"

struct daemon_warm; /* opaque */

/* `done` is called when it is over. NULL when out of memory. */
struct daemon_warm *daemon_warm_new(struct daemon *daemon, void (*done)(void *ctx), void *ctx);

/* Chroma is ready. `done` may run within the call. */
void daemon_warm_begin(struct daemon_warm *warm);

/* Chroma has ended: `done` is not called. No-op when it is over. */
void daemon_warm_stop(struct daemon_warm *warm);

bool daemon_warm_is_under_way(const struct daemon_warm *warm);

/* At the end also after the backend's watch. NULL is a no-op. */
void daemon_warm_free(struct daemon_warm *warm);

#endif
