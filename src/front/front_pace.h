/* front_pace - does a client keep up the least rate?
 *
 * Judged at the end of each span: the span's share is FRONT_BYTES_PER_SECOND_MIN times its length.
 * Where bytes are told of in pieces, `advance` shares are granted first, and as many that were
 * brought beyond a span's own count for later ones: so a steady client is never cut, whatever the
 * pieces up to that size, and one that stands still is cut after 1 + `advance` spans.
 */
#ifndef FRONT_FRONT_PACE_H
#define FRONT_FRONT_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct front_pace {
    uint64_t seen;   /* bytes at the beginning of the span */
    uint64_t credit; /* bytes granted or brought beyond the shares of past spans */
};

/* Begin a first span of `span_us` at `bytes`. */
void front_pace_start(struct front_pace *pace, uint64_t bytes, uint64_t span_us, unsigned advance);

/* A span is over, at `bytes` in all. True: fast enough; the next span has begun. */
bool front_pace_is_kept(struct front_pace *pace, uint64_t bytes, uint64_t span_us,
                        unsigned advance);

#endif
