/* daemon - put everything together, run it, drain it
 *
 * Start: descriptor limit, log, loop, workers, pool, proxy, listeners; then one line with the
 * addresses on standard output. TERM and INT drain: /readyz turns 503 and answers end their
 * connections, but new connections are served until nothing has happened for a moment or
 * drain.timeout has passed. The second TERM or INT, or QUIT, ends at once. HUP reloads settings,
 * USR1 opens the log file again.
 */
#ifndef APP_DAEMON_H
#define APP_DAEMON_H

#include "app/daemon_plan.h"
#include "app/settings.h"
#include "app/settings_sources.h"
#include "io/machine.h"

/* Run until drained. `settings` are checked and resolved; a reload changes them. Problems are
 * told on standard error until the log is open, then logged. Returns the exit status:
 * 0 drained, 70 a bug, 71 the system refused something, 77 not permitted. */
int daemon_run(const struct settings_sources *sources, const struct machine *machine,
               struct settings *settings);

/* Likewise, with a Chroma of our own (daemon_child.h), which is ended last. Also 69: it cannot be
 * started. */
int daemon_run_plan(const struct settings_sources *sources, const struct machine *machine,
                    struct settings *settings, const struct daemon_plan *plan);

#endif
