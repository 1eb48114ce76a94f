#include "limits/rate_limit.h"

#include <assert.h>
#include <stdbool.h>

__extension__ typedef unsigned __int128 wide;

static const uint64_t ns_per_us = 1000, ns_per_s = 1000000000;
/* No product below can pass 2^64: longer spans are cut, which only means "for years". */
static const uint64_t span_max_ns = UINT64_C(1) << 60;

static uint64_t span_of(const struct rate_limit *limit, uint64_t units);
static uint64_t used_at(const struct rate_limit *limit, uint64_t now_ns);

void rate_limit_set_options(struct rate_limit *limit, const struct rate_limit_options *options,
                            uint64_t now_us)
{
    uint64_t now_ns = now_us * ns_per_us;
    wide     used_ns = limit->options.rate == 0 ? 0 : used_at(limit, now_ns);

    assert(options->rate <= RATE_LIMIT_RATE_MAX && (options->rate == 0 || options->burst >= 1));
    if (options->rate != 0) { /* as many units, and parts of one: none is given away */
        used_ns = (used_ns * limit->options.rate + options->rate - 1) / options->rate;
        limit->full_ns = now_ns + (used_ns < span_max_ns ? (uint64_t)used_ns : span_max_ns);
    }
    limit->options = *options;
}

/* How long the bucket takes to gain `units`, rounded up. */
static uint64_t span_of(const struct rate_limit *limit, uint64_t units)
{
    wide span = ((wide)units * ns_per_s + limit->options.rate - 1) / limit->options.rate;

    return span < span_max_ns ? (uint64_t)span : span_max_ns;
}

/* How long the bucket needs to be full; 0: it is. */
static uint64_t used_at(const struct rate_limit *limit, uint64_t now_ns)
{
    return limit->full_ns > now_ns ? limit->full_ns - now_ns : 0;
}

enum status rate_limit_take(struct rate_limit *limit, uint64_t cost, uint64_t now_us,
                            uint64_t *ret_wait_us)
{
    uint64_t now_ns = now_us * ns_per_us, used, span, burst, wait_us;

    *ret_wait_us = 0;
    if (limit->options.rate == 0)
        return STATUS_OK;
    used = used_at(limit, now_ns);
    span = span_of(limit, cost);
    burst = span_of(limit, limit->options.burst);
    if (used + (span < burst ? span : burst) <= burst) {
        limit->full_ns = now_ns + used + span;
        limit->passed++;
        return STATUS_OK;
    }
    wait_us = (used + (span < burst ? span : burst) - burst + ns_per_us - 1) / ns_per_us;
    if (limit->options.over == RATE_LIMIT_SHADOW) {
        limit->shadowed++;
        return STATUS_OK;
    }
    *ret_wait_us = wait_us;
    if (limit->options.over == RATE_LIMIT_DELAY && wait_us <= limit->options.delay_max_us) {
        limit->full_ns = now_ns + used + span;
        limit->delayed++;
        return STATUS_AGAIN;
    }
    limit->refused++;
    return STATUS_LIMIT_REACHED;
}

void rate_limit_settle(struct rate_limit *limit, uint64_t charged, uint64_t actual, uint64_t now_us)
{
    uint64_t now_ns = now_us * ns_per_us, most = now_ns + span_max_ns, back;

    if (limit->options.rate == 0)
        return;
    if (actual <= charged) {
        back = span_of(limit, charged - actual);
        limit->full_ns = limit->full_ns > back ? limit->full_ns - back : 0;
        return;
    }
    if (limit->full_ns < now_ns)
        limit->full_ns = now_ns;
    if (!limit->options.owes_all)
        most = now_ns + 2 * span_of(limit, limit->options.burst); /* empty, and one burst owed */
    if (limit->full_ns < most) {
        limit->full_ns += span_of(limit, actual - charged);
        limit->full_ns = limit->full_ns < most ? limit->full_ns : most;
    }
}

uint64_t rate_limit_remaining(const struct rate_limit *limit, uint64_t now_us)
{
    uint64_t used, burst;

    if (limit->options.rate == 0)
        return UINT64_MAX;
    used = used_at(limit, now_us * ns_per_us);
    burst = span_of(limit, limit->options.burst);
    return used >= burst ? 0 : (uint64_t)((wide)(burst - used) * limit->options.rate / ns_per_s);
}

uint64_t rate_limit_reset_s(const struct rate_limit *limit, uint64_t now_us)
{
    return (used_at(limit, now_us * ns_per_us) + ns_per_s - 1) / ns_per_s;
}

uint64_t rate_limit_window_s(const struct rate_limit *limit)
{
    if (limit->options.rate == 0)
        return 0;
    return (span_of(limit, limit->options.burst) + ns_per_s - 1) / ns_per_s;
}
