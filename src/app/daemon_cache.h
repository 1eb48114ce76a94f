/* daemon_cache - `ctl cache` of the running program
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_CACHE_H
#define APP_DAEMON_CACHE_H

#include <jansson.h>

#include "app/daemon_state.h"
#include "base/error.h"

/* Set what is kept, and for whom.
 * STATUS_NO_MEMORY  `answer` holds a part. */
MUST_CHECK enum status daemon_cache_list(const struct daemon *daemon, json_t *answer);

/* `words` are `flush` and perhaps a collection.
 * STATUS_INVALID    something else, or no such collection is known: `error` says what to do.
 * STATUS_NO_MEMORY  it is done, and cannot be told. */
MUST_CHECK enum status daemon_cache_flush(const struct daemon *daemon, size_t word_count,
                                          const char *const *words, json_t *answer,
                                          struct error *error);

#endif
