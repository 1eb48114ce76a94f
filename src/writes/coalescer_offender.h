/* coalescer_offender - whose writes go alone for a while, because they have cost others */
#ifndef WRITES_COALESCER_OFFENDER_H
#define WRITES_COALESCER_OFFENDER_H

#include "writes/coalescer_state.h"

/* A hash of who it is and of the collection; 0 of nobody. */
uint64_t coalescer_offender_hash(const struct coalescer *coalescer, const unsigned char *lane,
                                 struct bytes identity);

/* Does the member go alone? By its sender; by its address only while more than a tenth of the calls
 * are split, as with a sender who comes on a new connection each time. */
bool coalescer_offender_is(const struct coalescer *coalescer, const struct coalescer_member *member,
                           uint64_t now_us);

/* A batch had to be split because of the member. */
void coalescer_offender_add(struct coalescer *coalescer, const struct coalescer_member *member,
                            uint64_t now_us);

/* A call returned. */
void coalescer_offender_count(struct coalescer *coalescer, bool is_split);

void coalescer_offender_free_all(struct coalescer *coalescer);

#endif
