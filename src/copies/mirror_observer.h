/* mirror_observer - writes on their way to the copies of what they change
 *
 * Private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_OBSERVER_H
#define COPIES_MIRROR_OBSERVER_H

#include "copies/mirror_entry.h"

/* Set up keeper->observer; it is not added to any list yet. */
void mirror_observer_init(struct mirror_keeper *keeper);

#endif
