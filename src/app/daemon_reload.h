/* daemon_reload - change the settings of the running program, all or nothing
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_RELOAD_H
#define APP_DAEMON_RELOAD_H

#include "app/daemon_state.h"

/* Read all sources again and hand what changed to the running parts. Logs each difference, and the
 * outcome, which /metrics shows, too.
 * Outcomes as settings_sources_load(); on failure nothing is changed. */
MUST_CHECK enum status daemon_reload(struct daemon *daemon, struct error *error);

/* Change one setting until the next reload. `key` may name a column of a record.
 * STATUS_INVALID  unknown, not allowed, does not fit the others, or takes a restart. */
MUST_CHECK enum status daemon_reload_set(struct daemon *daemon, struct bytes key,
                                         struct bytes value, struct error *error);

/* As many descriptors as the settings may need, if the hard limit allows. */
void daemon_reload_raise_descriptor_limit(const struct settings *settings);

#endif
