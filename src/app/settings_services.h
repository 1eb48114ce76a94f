/* settings_services - the list `services`: do its records fit each other, and what the proxy gets
 *
 * Private to app/.
 */
#ifndef APP_SETTINGS_SERVICES_H
#define APP_SETTINGS_SERVICES_H

#include "app/settings.h"
#include "calls/service_options.h"

/* STATUS_INVALID: `error` names the line of a record that nobody can be recognised by, or that
 * another one takes the requests of. */
MUST_CHECK enum status settings_services_check(const struct settings *settings,
                                               struct error          *error);

/* The services with all that they need, for proxy_set_services(); what is returned borrows from
 * `settings` and from `room`, of SETTINGS_SERVICES_MAX. */
struct proxy_services_options settings_services_options(const struct settings        *settings,
                                                        struct proxy_service_options *room);

#endif
