/* mirror_applied - what becomes of a copy when a worker has applied changes to it, or failed to
 *
 * Private to the keeper of copies (mirror_state.h).
 */
#ifndef COPIES_MIRROR_APPLIED_H
#define COPIES_MIRROR_APPLIED_H

struct mirror_queue;

/* For keeper->on_applied. */
void mirror_applied_take(struct mirror_queue *queue);

#endif
