/* mirror_choice - which collections are copied, as far as they fit together
 *
 * Those that somebody asked for, and those whose names the options have; without names, those that
 * are read most. Who does not fit takes the place of what is read clearly less, the coldest first;
 * else it waits until there may be room. What would not fit alone is stopped.
 *
 * Private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_CHOICE_H
#define COPIES_MIRROR_CHOICE_H

#include "copies/mirror_entry.h"

/* Begin the copy of the collection that is wanted most, if one is due and nothing is under way to
 * it. */
void mirror_choice_begin(struct mirror_keeper *keeper);

/* mirror_keeper_obstacle(). */
const char *mirror_choice_obstacle(const struct mirror_keeper *keeper);

/* Does it have a name that the options have, or none yet, or do they have no names? */
bool mirror_choice_takes_name(const struct mirror_entry *entry);

/* Is it to be begun when it is due? */
bool mirror_choice_is_wanted(const struct mirror_entry *entry, uint64_t now_us);

/* It has no copy: one of its space, empty, within that. STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_choice_make_queue(struct mirror_entry *entry);

/* Is a copy on its way out, so that there will be more room soon? */
bool mirror_choice_is_freeing(const struct mirror_keeper *keeper);

/* Its copy has grown: is it going to fit? */
void mirror_choice_check_size(struct mirror_entry *entry);

/* What the copy of a collection of which the records were counted would take of memory, about, or
 * will when it is filled. */
uint64_t mirror_choice_estimate(const struct mirror_entry *entry);

/* It did not fit. */
void mirror_choice_on_full(struct mirror_entry *entry);

#endif
