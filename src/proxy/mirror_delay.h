/* mirror_delay - how long Chroma takes for nearly all of its answers
 *
 * Follows the 95th percentile of the times that it is told, in steps that are a share of itself:
 * no table, and what was long ago is forgotten. Of a call that was given up it is told how long
 * that had taken by then, which is a time above the estimate, and that is all that matters.
 *
 * Private to proxy/. Thread: event loop only. Memory: none.
 */
#ifndef PROXY_MIRROR_DELAY_H
#define PROXY_MIRROR_DELAY_H

#include <stdint.h>

/* Zeroes: nothing is known. */
struct mirror_delay {
    double   estimate_us;
    uint64_t count;
};

/* So many times must be known before there is an estimate, and it is within these bounds. */
enum { MIRROR_DELAY_COUNT_MIN = 40, MIRROR_DELAY_MIN_US = 1000, MIRROR_DELAY_MAX_US = 1000000 };

void mirror_delay_note(struct mirror_delay *delay, uint64_t took_us);

/* The most that it may be while too little is known. */
uint64_t mirror_delay_us(const struct mirror_delay *delay);

#endif
