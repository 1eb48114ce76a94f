/* fake_clock - io/clock.h in simulated time: it stands still until somebody moves it */
#ifndef FLOW_FAKE_CLOCK_H
#define FLOW_FAKE_CLOCK_H

#include <stdint.h>

/* Put the clock to `now_us`; it never goes back. */
void fake_clock_set(uint64_t now_us);

/* Begin a new world at the time at which all worlds begin. */
void fake_clock_reset(void);

#endif
