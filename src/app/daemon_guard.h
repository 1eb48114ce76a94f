/* daemon_guard - the guard as the settings have it, as `ctl guard` and the status page show it
 *
 * Private to app/. Thread: event loop only.
 */
#ifndef APP_DAEMON_GUARD_H
#define APP_DAEMON_GUARD_H

#include <jansson.h>

#include "app/daemon_state.h"

/* STATUS_NO_MEMORY  it is as it was. */
MUST_CHECK enum status daemon_guard_apply(struct daemon *daemon);

/* `words`, those behind `guard`: none, `open NAME DURATION` or `close NAME`. Adds to `answer` what
 * is guarded then. Outcomes as guard_open(). */
MUST_CHECK enum status daemon_guard_verb(struct daemon *daemon, size_t word_count,
                                         const char *const *words, json_t *answer,
                                         struct error *error);

/* A line of the status page; nothing where nothing is guarded. */
MUST_CHECK enum status daemon_guard_print(const struct daemon *daemon, struct byte_buffer *out);

#endif
