/* bench_scratch - collections made for a benchmark, and their end
 *
 * Blocking calls through libcurl, before and after the load.
 */
#ifndef BENCH_BENCH_SCRATCH_H
#define BENCH_BENCH_SCRATCH_H

#include "bench/bench_target.h"

struct bench_scratch; /* opaque */

/* Create `count` (>= 1) collections named `name`-0, `name`-1, ... ; with `name` NULL one is made up
 * from the time. `headers` are complete field lines, or "". All borrowed.
 * STATUS_BACKEND_DOWN     nobody answers.
 * STATUS_BACKEND_GARBLED  what answers is not Chroma, or refuses; `error` quotes it.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status bench_scratch_new(const struct bench_target *target, const char *name,
                                         size_t count, const char *headers,
                                         struct bench_scratch **ret_scratch, struct error *error);

/* Delete the collections from the server, unless `keep`, and free. NULL is a no-op. */
void bench_scratch_free(struct bench_scratch *scratch, bool keep);

/* The paths of the collections, as many as were created. Borrowed. */
const char *const *bench_scratch_paths(const struct bench_scratch *scratch);

#endif
