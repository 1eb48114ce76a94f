/* coalescer_deadline - whose time is over, or will be before it is answered */
#ifndef WRITES_COALESCER_DEADLINE_H
#define WRITES_COALESCER_DEADLINE_H

#include "writes/coalescer_state.h"

/* Refuse those whose deadline has passed, wherever they are. */
void coalescer_deadline_expire(struct coalescer *coalescer, uint64_t now_us);

/* Refuse the first of those that wait in `lane`, which is to send, and whose deadline passes before
 * its call is likely to be answered: all but the last. With more writes than Chroma can take, every
 * one would else be sent when its time is just over, and none succeed. */
void coalescer_deadline_refuse_late(struct coalescer *coalescer, struct coalescer_lane *lane,
                                    uint64_t now_us);

#endif
