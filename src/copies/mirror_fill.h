/* mirror_fill - what Chroma is asked to fill a copy: what the collection is, its ids, its records
 *
 * One question at a time, of the collection that is being filled (keeper->filling), behind all
 * that waits for Chroma. While others ask Chroma too, its time goes to these questions for half at
 * most, and for a tenth where others use it much; none is sent while it is down or its breaker is
 * open, or where memory is short.
 *
 * Private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_FILL_H
#define COPIES_MIRROR_FILL_H

#include "copies/mirror_entry.h"

struct lane_stay;
struct turn;

/* `keeper` is borrowed. NULL: no memory. */
struct mirror_fill *mirror_fill_new(struct mirror_keeper *keeper);

/* What is under way is given up. NULL is a no-op. */
void mirror_fill_free(struct mirror_fill *fill);

/* Ask what is to be asked next, if it may be asked now. */
void mirror_fill_pump(struct mirror_fill *fill);

/* A write to the collection that is filled is about to be sent. True: it stays, until
 * lane_stay_end(), while its last records are asked for, which are written again and again. The
 * granted `turn` may be taken either way. */
bool mirror_fill_ask_in_lane(struct mirror_fill *fill, struct lane_stay *stay, struct turn *turn);

/* No more for the entry that is being filled. */
void mirror_fill_cancel(struct mirror_fill *fill);

/* The write that settles the collection that is filled was answered with this; 0: not at all. */
void mirror_fill_on_settled(struct mirror_entry *entry, unsigned status);

/* When it is to be pumped although nothing happened; UINT64_MAX: never. */
uint64_t mirror_fill_wake_us(const struct mirror_fill *fill);

/* Records were deleted, or more may have changed: a list that is under way says nothing. */
void mirror_fill_cross(struct mirror_fill *fill, struct mirror_entry *entry);

#endif
