/* time_floor - the least time that calls of a kind have taken lately
 *
 * For who asks whether a time can suffice: what was never enough for anybody in the last minute,
 * or up to three, is not. A mean would refuse what a lucky call can do. Few calls, which may have
 * met a cold Chroma, say nothing: who is refused by them would never show that they were wrong.
 *
 * Thread: event loop only. Memory: the struct; zero-initialised means that nothing is known.
 */
#ifndef LIMITS_TIME_FLOOR_H
#define LIMITS_TIME_FLOOR_H

#include <stdint.h>

struct time_floor {
    uint64_t began_us;          /* of the span that `least_us` is of */
    uint64_t least_us;          /* in it; 0: none */
    uint64_t last_least_us;     /* in the span before; 0: none */
    uint32_t calls, last_calls; /* in both */
};

/* So many calls say something. */
enum { TIME_FLOOR_CALLS = 16 };

/* A call took so long. */
void time_floor_note(struct time_floor *floor, uint64_t took_us, uint64_t now_us);

/* 0: not known, or of too few calls. */
uint64_t time_floor_get(const struct time_floor *floor, uint64_t now_us);

#endif
