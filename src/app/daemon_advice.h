/* daemon_advice - note finished requests by client and collection, and tell of them
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_ADVICE_H
#define APP_DAEMON_ADVICE_H

#include <jansson.h>

#include "admin/embedded_use.h"
#include "app/daemon_state.h"
#include "calls/finished_request.h"

/* For proxy_on_finished(); its context is the daemon. */
finished_request_fn daemon_advice_note;

/* Process `process` has opened `directory` itself. */
void daemon_advice_note_embedded(struct daemon *daemon, const char *directory,
                                 enum embedded_use_why why, pid_t process);

/* Fill {"clients":[...]}, {"advice":[...]} and {"collections":[...]}, as chromabouncer(1) documents
 * them.
 * STATUS_NO_MEMORY  `answer` holds a part. */
MUST_CHECK enum status daemon_advice_list_clients(const struct daemon *daemon, json_t *answer);
MUST_CHECK enum status daemon_advice_list(const struct daemon *daemon, json_t *answer);
MUST_CHECK enum status daemon_advice_list_collections(const struct daemon *daemon, json_t *answer);

#endif
