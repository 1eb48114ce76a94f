/* mirror_pick - which copy of a collection a reader gets, and when
 *
 * Private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_PICK_H
#define COPIES_MIRROR_PICK_H

#include "copies/mirror_entry.h"

/* mirror_keeper_hold() of this entry. */
MUST_CHECK enum status mirror_pick_copy(struct mirror_hold *hold, struct mirror_entry *entry,
                                        bool is_fallback, const char **ret_reason);

#endif
