/* coalescer_member - one write from its arrival to its release */
#ifndef WRITES_COALESCER_MEMBER_H
#define WRITES_COALESCER_MEMBER_H

#include "base/compiler.h"
#include "writes/coalescer_state.h"

/* As coalescer_add(), which has found that there is room. */
MUST_CHECK enum status coalescer_member_make(struct coalescer             *coalescer,
                                             const struct coalescer_write *write,
                                             struct coalescer_lane        *lane,
                                             struct coalescer_member     **ret_member);

/* Put it at the end of its lane, in number and in the books. */
void coalescer_member_queue(struct coalescer *coalescer, struct coalescer_member *member,
                            const struct coalescer_write *write);

/* It leaves the lane's `waiting`: to be sent, or because it expired. */
void coalescer_member_unqueue(struct coalescer *coalescer, struct coalescer_member *member);

/* It is done: its answer is that of `answer`, or our own `status` if that is not OK. */
void coalescer_member_answer(struct coalescer *coalescer, struct coalescer_member *member,
                             struct coalescer_batch *answer, enum status status,
                             enum coalescer_executed executed);

/* The member of a lane that goes next, NULL: there is none. */
struct coalescer_member *coalescer_member_head(const struct coalescer_lane *lane);

void coalescer_member_free(struct coalescer *coalescer, struct coalescer_member *member);

#endif
