/* mirror_modify - what a change of a collection (PUT) means to its copy
 *
 * Most change a name or metadata, which no answer of a copy has: the space in which Chroma searches
 * is fixed when the collection is made, whatever `hnsw:space` its metadata says later. What changes
 * the configuration, or cannot be read, may change everything.
 *
 * Private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_MODIFY_H
#define COPIES_MIRROR_MODIFY_H

#include "copies/mirror_entry.h"

/* Is it a change of the collection that has this UUID, and of no other? */
bool mirror_modify_is_one(const struct write_notice *notice);

/* Is it one that certainly leaves records, and how they are found, as they are? */
bool mirror_modify_is_harmless(const struct write_notice *notice);

/* A harmless one of the entry's collection has this outcome. The entry follows the name; a copy
 * that is not wanted under the new one is given up. */
void mirror_modify_take_name(struct mirror_entry *entry, const struct write_notice *notice,
                             enum write_outcome outcome);

#endif
