/* read_repeats - may a read be asked again whose answer was an error that goes away?
 *
 * Not while the breaker of reads is open, not before the time that Chroma has asked to wait for
 * (Retry-After), and not beyond the budget (limits/retry_budget.h); then the client gets what
 * Chroma has answered. A read that died with a Chroma of our own is another case: that it is asked
 * again is no guess about an overload, so it is not asked for here.
 *
 * Thread: event loop only. Memory: the struct; zeroes are a good beginning.
 */
#ifndef CALLS_READ_REPEATS_H
#define CALLS_READ_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "base/status.h"
#include "limits/retry_budget.h"

struct read_repeats {
    struct retry_budget budget;
    uint64_t            put_off; /* not repeated for Chroma's Retry-After */
    uint64_t            held;    /* not repeated for the breaker */
};

/* May one be repeated now? `is_calm`: the breaker of reads is closed; `retry_at_us`: Chroma wants
 * to be left alone until then. If so it is counted. Each first attempt is to be counted with
 * retry_budget_count(). */
bool read_repeats_take(struct read_repeats *repeats, bool is_calm, uint64_t retry_at_us,
                       uint64_t now_us);

/* Append the metrics. Outcomes as metric_print(). */
MUST_CHECK enum status read_repeats_print_metrics(const struct read_repeats *repeats,
                                                  uint64_t retry_at_us, uint64_t now_us,
                                                  struct byte_buffer *out);

#endif
