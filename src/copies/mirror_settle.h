/* mirror_settle - have Chroma show all that it holds of a collection, before that is copied
 *
 * A write whose connection ends after it is in Chroma's log, and before it is applied, is durable
 * and seen by no read until the next write to that collection, however long that takes (Chroma
 * 1.5.9; tests/e2e/test_mirror.py makes one). Such writes may be from before this process. A copy
 * that was read meanwhile would lack what the next write brings. So one is sent first that changes
 * nothing: an update of an id that nobody has, without columns. It made all of them visible.
 *
 * It is a write to all who want to know of writes, and is never cut. That its outcome is unknown
 * means what it means of others: applied later, it would show then what was hidden until then, and
 * what was answered and kept before (read_cache) would be old. Each of them is an object of
 * its own: one that hangs holds up its own collection only, of which no copy is begun meanwhile.
 *
 * Private to the keeper of copies (mirror_state.h). Thread: event loop only. Memory: some hundred
 * bytes and a head each.
 */
#ifndef COPIES_MIRROR_SETTLE_H
#define COPIES_MIRROR_SETTLE_H

#include "copies/mirror_entry.h"

/* One is sent for the collection that is filled (keeper->filling), in the last place of the queue
 * of turns: entry->settling says which. When it is answered, or was not within deadline.write,
 * keeper->on_settled() is called, from the loop, unless entry->settling is another one by then.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_settle_start(struct mirror_entry *entry);

/* At the end of the program: all that are under way are forgotten. */
void mirror_settle_free_all(struct mirror_keeper *keeper);

#endif
