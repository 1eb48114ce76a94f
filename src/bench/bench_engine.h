/* bench_engine - load: many connections, one thread, closed loop or Poisson arrivals
 *
 * Closed loop: each client sends its next request when the last one was answered. Open loop:
 * requests have times of their own, whatever the server does, and latency is counted from the
 * intended time; what finds all connections busy waits, and that wait is part of its latency (a
 * closed loop would hide it: coordinated omission). How late the generator itself was is measured
 * apart: beyond 1 ms in more than 1 % the run is void.
 *
 * A client program, not part of the proxy: its own epoll loop, because nothing else is waited for.
 */
#ifndef BENCH_BENCH_ENGINE_H
#define BENCH_BENCH_ENGINE_H

#include "bench/bench_result.h"
#include "bench/bench_target.h"

/* Clients of one kind. */
struct bench_engine_group {
    struct bench_request_mix mix;
    size_t                   clients; /* connections; open loop: at most */
    double                   rate;    /* requests per second; 0: closed loop */
};

enum { BENCH_ENGINE_GROUPS_MAX = 8 };

struct bench_engine_options {
    const struct bench_target   *targets; /* clients connect to them by turns; borrowed */
    size_t                       target_count;
    struct bench_request_source *source; /* borrowed */
    struct bench_engine_group    groups[BENCH_ENGINE_GROUPS_MAX];
    size_t                       group_count;
    uint64_t                     warm_up_us;  /* not measured */
    uint64_t                     duration_us; /* measured */
    uint64_t                     count;       /* instead of duration: measured requests; 0: none */
    uint64_t                     deadline_us; /* of one request */
    FILE                        *history;     /* or NULL; borrowed */
};

/* Run the load and fill `result`, which is zeroed. Blocks.
 * STATUS_IO_FAILED, STATUS_NO_MEMORY  `error` says why. */
MUST_CHECK enum status bench_engine_run(const struct bench_engine_options *options,
                                        struct bench_result *result, struct error *error);

/* Monotonic microseconds. */
uint64_t bench_engine_now_us(void);

/* A signal handler: the run ends at once with STATUS_CANCELLED, so that its caller cleans up. */
void bench_engine_interrupt(int signal_number);

#endif
