/* bench_load - one measured load on one server, from options to result */
#ifndef BENCH_BENCH_LOAD_H
#define BENCH_BENCH_LOAD_H

#include "bench/bench_options.h"

struct bench_load; /* opaque: target, collections, corpus */

/* Make ready to load `url`: resolve it, make the corpus and the scratch collections. `options` is
 * borrowed until bench_load_free().
 * STATUS_INVALID, NOT_FOUND, BACKEND_DOWN, BACKEND_GARBLED, NO_MEMORY  `error` says why. */
MUST_CHECK enum status bench_load_new(const struct bench_options *options, const char *url,
                                      struct bench_load **ret_load, struct error *error);

/* Delete the collections, unless they are to be kept, and free. NULL is a no-op. */
void bench_load_free(struct bench_load *load);

/* Write `records` records, over all collections, in batches of 250. Outcomes as bench_load_run();
 * also STATUS_BACKEND_GARBLED when a write is not answered by 2xx. */
MUST_CHECK enum status bench_load_preload(struct bench_load *load, size_t records,
                                          struct error *error);

/* Run `groups`; ids go on from where the last run ended. `result` is large: not for the stack.
 * STATUS_IO_FAILED, STATUS_NO_MEMORY  `error` says why. */
MUST_CHECK enum status bench_load_run(struct bench_load               *load,
                                      const struct bench_engine_group *groups, size_t group_count,
                                      struct bench_result *result, struct error *error);

/* Change how long the next run takes, and whether its queries are all the same. */
void bench_load_set(struct bench_load *load, uint64_t warm_up_us, uint64_t duration_us,
                    bool repeat_query);

#endif
