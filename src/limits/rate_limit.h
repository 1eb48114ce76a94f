/* rate_limit - may this service have so much more now?
 *
 * The generic cell rate algorithm in whole nanoseconds: a bucket that holds `burst` units and fills
 * at `rate` units per second, kept as the one point in time at which it will be full again. Units
 * are what the caller counts: requests, bytes, microseconds of Chroma's time.
 *
 * What costs more than the burst needs a full bucket and is paid off afterwards, so that nothing is
 * refused for ever. Costs that are known only later are charged as expected and settled; the debt
 * from that is at most one burst, unless `owes_all`.
 *
 * Thread: event loop only. Memory: the struct.
 */
#ifndef LIMITS_RATE_LIMIT_H
#define LIMITS_RATE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/status.h"

enum rate_limit_over {
    RATE_LIMIT_REFUSE,
    RATE_LIMIT_DELAY, /* wait for it, delay_max_us at most; else refuse */
    RATE_LIMIT_SHADOW /* let it pass and count */
};

struct rate_limit_options {
    uint64_t             rate;  /* units per second, 1 .. RATE_LIMIT_RATE_MAX; 0: no limit */
    uint64_t             burst; /* units, >= 1; as much as 30 years of the rate at most */
    enum rate_limit_over over;
    uint64_t             delay_max_us;
    bool                 owes_all; /* whatever is settled is paid off, however long that takes */
};

/* 1024 GiB, the most that a setting takes. */
#define RATE_LIMIT_RATE_MAX (UINT64_C(1) << 40)

/* Zero-initialised means no limit. */
struct rate_limit {
    struct rate_limit_options options;
    uint64_t                  full_ns; /* when the bucket is full again */
    uint64_t                  passed, delayed, refused, shadowed; /* asked, ever */
};

/* Other options from now on; what was used stays used. */
void rate_limit_set_options(struct rate_limit *limit, const struct rate_limit_options *options,
                            uint64_t now_us);

/* Take `cost` units.
 *
 * STATUS_OK             go now; *ret_wait_us is 0.
 * STATUS_AGAIN          taken; go after *ret_wait_us (> 0).
 * STATUS_LIMIT_REACHED  nothing was taken; it would have fitted after *ret_wait_us (> 0). */
MUST_CHECK enum status rate_limit_take(struct rate_limit *limit, uint64_t cost, uint64_t now_us,
                                       uint64_t *ret_wait_us);

/* What was charged as `charged` units cost `actual`: 0 when it was not sent after all. */
void rate_limit_settle(struct rate_limit *limit, uint64_t charged, uint64_t actual,
                       uint64_t now_us);

/* For the RateLimit fields: units that could be taken now, whole seconds until the bucket is full
 * (rounded up), and whole seconds that an empty one takes to fill. */
uint64_t rate_limit_remaining(const struct rate_limit *limit, uint64_t now_us);
uint64_t rate_limit_reset_s(const struct rate_limit *limit, uint64_t now_us);
uint64_t rate_limit_window_s(const struct rate_limit *limit);

#endif
