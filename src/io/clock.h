/* clock - the only module that asks the system for the time
 *
 * Everything above takes `now_us` as an argument or asks the loop, so that tests own the clock.
 */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include <stdint.h>

/* Microseconds on the monotonic clock; never go back, say nothing about the time of day. */
uint64_t clock_now_us(void);

/* Microseconds since 1970-01-01 00:00:00 UTC. */
uint64_t clock_wall_us(void);

#endif
