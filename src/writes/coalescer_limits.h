/* coalescer_limits - how much a batch may take now, and who must go alone */
#ifndef WRITES_COALESCER_LIMITS_H
#define WRITES_COALESCER_LIMITS_H

#include "writes/coalescer_state.h"

/* The most records and bytes of a batch now. */
uint32_t coalescer_limits_records(const struct coalescer *coalescer, uint64_t waiting,
                                  uint64_t now_us);
size_t   coalescer_limits_bytes(const struct coalescer *coalescer, uint64_t now_us);

/* A batch was refused for its size: such a size shall not be met again soon. */
void coalescer_limits_learn(struct coalescer *coalescer, const struct coalescer_batch *batch,
                            bool by_records, uint64_t now_us);

/* Of the lane's collection; 0: not known. */
uint32_t coalescer_limits_dimension(const struct coalescer      *coalescer,
                                    const struct coalescer_lane *lane);

/* Must the member go alone, though it could be merged? `dimension` is its collection's. */
bool coalescer_limits_is_alone(const struct coalescer        *coalescer,
                               const struct coalescer_member *member, uint32_t dimension,
                               uint64_t now_us);

/* Is the member too large for one call, so that it goes in parts? */
bool coalescer_limits_is_parted(const struct coalescer        *coalescer,
                                const struct coalescer_member *member);

/* Does the backend allow that two members of one key share a call? */
bool coalescer_limits_may_share(const struct coalescer        *coalescer,
                                const struct coalescer_member *left,
                                const struct coalescer_member *right);

#endif
