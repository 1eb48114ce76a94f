/* daemon_mirror - copies of collections as the settings have them, as `ctl mirror` and the status
 * page show them
 *
 * Private to app/. Thread: event loop only.
 */
#ifndef APP_DAEMON_MIRROR_H
#define APP_DAEMON_MIRROR_H

#include <jansson.h>

#include "app/daemon_state.h"
#include "base/error.h"

/* daemon_mirror_apply() for the start. Where no folder can be made there are no copies, which is
 * logged, and told by all that follows: a proxy does not fail for them. STATUS_NO_MEMORY. */
MUST_CHECK enum status daemon_mirror_start(struct daemon *daemon, struct error *error);

/* The first time that mirror.mode is not off: make the folder for their files and start threads.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY  they are as they were, `error` says
 *                                                           why; the next call tries again. */
MUST_CHECK enum status daemon_mirror_apply(struct daemon *daemon, struct error *error);

/* Remove the folder. When the proxy is gone. */
void daemon_mirror_done(struct daemon *daemon);

/* `words`, those behind `mirror`: none, `fill NAME`, `drop NAME` or `verify NAME`; adds to `answer`
 * what there is then. `export NAME` and `exported`, of which only the command export knows:
 * daemon_export.h. STATUS_INVALID, STATUS_NOT_FOUND, STATUS_NOT_IMPLEMENTED, STATUS_LIMIT_REACHED,
 * STATUS_NO_MEMORY `error` says what to do. */
MUST_CHECK enum status daemon_mirror_verb(struct daemon *daemon, size_t word_count,
                                          const char *const *words, json_t *answer,
                                          struct error *error);

/* A line of the status page; nothing where nothing is copied. */
MUST_CHECK enum status daemon_mirror_print(const struct daemon *daemon, struct byte_buffer *out);

#endif
