/* coalescer_merge - which members share the next call */
#ifndef WRITES_COALESCER_MERGE_H
#define WRITES_COALESCER_MERGE_H

#include "writes/coalescer_state.h"

/* Form the next batch of a lane that may send and put it in flight. NULL: no memory. */
struct coalescer_batch *coalescer_merge_next(struct coalescer      *coalescer,
                                             struct coalescer_lane *lane, uint64_t now_us);

#endif
