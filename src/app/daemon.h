/* daemon - the proxy as a whole: put together, run, drained */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "app/settings_sources.h"

/* Serve until told to stop. `settings` are checked and resolved; `sources` is what a reload reads
 * again. Both are borrowed. Returns the exit status of the process (sysexits.h). */
int daemon_run(const struct settings *settings, const struct settings_sources *sources);

#endif
