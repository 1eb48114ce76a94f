/* mirror_lane - what is asked in the lane of a copied collection, before a write there is sent
 *
 * Which records a delete by a filter takes, where the copy cannot tell: while records are hollow,
 * or by a filter that it does not read. Chroma is asked by a `get` with the same filter and limit,
 * and what it says goes to the copy with the delete (mirror_observer.h).
 *
 * And the last records of one that is filled, if they are written again and again (mirror_fill.h).
 *
 * The write waits for it, for a second at most (lanes/lane_stay.h). Without an answer it is sent
 * all the same, and the copy does without.
 *
 * Private to the keeper of copies (mirror_state.h). Memory: the answers, charged to
 * MEMORY_ACCOUNT_MIRROR.
 */
#ifndef COPIES_MIRROR_LANE_H
#define COPIES_MIRROR_LANE_H

#include "copies/mirror_entry.h"

struct lane_stay;
struct turn;

/* proxy->on_lane, with a keeper. */
bool mirror_lane_on_write(void *ctx, struct lane_stay *stay, struct turn *turn);

/* At the end of the program: nobody waits any more. */
void mirror_lane_free_all(struct mirror_keeper *keeper);

#endif
