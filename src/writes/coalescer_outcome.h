/* coalescer_outcome - what an outcome means for each member */
#ifndef WRITES_COALESCER_OUTCOME_H
#define WRITES_COALESCER_OUTCOME_H

#include "writes/coalescer_state.h"

/* As coalescer_report(). */
void coalescer_outcome_apply(struct coalescer *coalescer, struct coalescer_batch *batch,
                             const struct coalescer_outcome *outcome, uint64_t now_us);

/* Decide about lost batches for which no end of the backend was told in time. */
void coalescer_outcome_decide(struct coalescer *coalescer, uint64_t now_us);

/* As coalescer_backend_ended(). */
void coalescer_outcome_backend_ended(struct coalescer *coalescer, uint64_t now_us);

#endif
