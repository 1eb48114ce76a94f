/* backend_probe - what the running proxy would find out of the backend, asked once, for commands
 *
 * It blocks for as long as that takes, at most some times backend.health_timeout.
 */
#ifndef APP_BACKEND_PROBE_H
#define APP_BACKEND_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/settings.h"
#include "base/compiler.h"
#include "base/status.h"
#include "upstream/upstream_identity.h"

struct backend_probe_result {
    bool                           is_up;
    char                           reason[320]; /* why it is not up, "" if it is */
    uint64_t                       took_us;     /* of the heartbeat */
    struct upstream_identity_facts facts;
};

/* Ask the backend of `settings`. `with_identity`: also what it is.
 * STATUS_OK         *ret says whether it is up.
 * STATUS_NO_MEMORY  or the system gives no threads. */
MUST_CHECK enum status backend_probe(const struct settings *settings, bool with_identity,
                                     struct backend_probe_result *ret);

#endif
