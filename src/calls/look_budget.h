/* look_budget - whose body is looked at, for what is only counted
 *
 * Looking takes time in proportion to the body's size, some 0.6 ns for a byte (bench_chroma_query,
 * columns "extent" and "hash"): 5 us for a query of 384 dimensions of 17 digits. So it is bounded
 * by time, not by requests: credit grows by a byte in four microseconds, which makes 0.02 % of a
 * core for all looks together, whatever comes. At 300 queries of 8 KiB in a second that is 0.5 us
 * for each, and less at more; up to 30 in a second are all looked at, where time is no matter.
 *
 * A body is looked at when there is any credit at all, which may become a debt: so the size of a
 * body has no part in whether it is chosen, and the chosen ones are a fair sample. What repeats
 * seldom repeats in the sample more seldom yet: repeats are too few there, never too many.
 *
 * Small bodies cost less than half a microsecond and are looked at without credit; large ones would
 * hold the loop and never are.
 *
 * Pure: time is an argument. Memory: none.
 */
#ifndef CALLS_LOOK_BUDGET_H
#define CALLS_LOOK_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOOK_BUDGET_FREE_SIZE = 256,
    LOOK_BUDGET_SIZE_MAX = 128 << 10,
    LOOK_BUDGET_CREDIT_MAX = 256 << 10 /* of a quiet time */
};

/* Zero-initialised begins with all credit, if the clock is beyond two seconds. */
struct look_budget {
    int64_t  credit;
    uint64_t earned_us; /* up to here time is in it */
};

/* May a body of `size` bytes be looked at now? Then it is charged. */
bool look_budget_take(struct look_budget *budget, size_t size, uint64_t now_us);

#endif
