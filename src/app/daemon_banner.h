/* daemon_banner - what is printed when the program is ready: a line for scripts, more on a terminal
 *
 * Private to app/.
 */
#ifndef APP_DAEMON_BANNER_H
#define APP_DAEMON_BANNER_H

#include "app/daemon_state.h"

/* To standard output. */
void daemon_banner_print(const struct daemon *daemon);

#endif
