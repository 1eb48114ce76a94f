/* terminal_hangup - is a HUP the end of the terminal, or the wish for a reload?
 *
 * Whoever starts a server by hand and closes the window expects it to end, unless `nohup` stands in
 * front. A HUP that comes while the terminal is still there is meant otherwise.
 */
#ifndef CHILD_TERMINAL_HANGUP_H
#define CHILD_TERMINAL_HANGUP_H

#include <stdbool.h>

struct terminal_hangup {
    bool can_come; /* there was a terminal, and HUP was not ignored */
};

/* Before HUP is caught. */
void terminal_hangup_init(struct terminal_hangup *hangup);

/* A HUP has come: has the terminal gone? */
bool terminal_hangup_has_come(const struct terminal_hangup *hangup);

#endif
