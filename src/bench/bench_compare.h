/* bench_compare - the same work on a Chroma server directly and through the proxy, side by side */
#ifndef BENCH_BENCH_COMPARE_H
#define BENCH_BENCH_COMPARE_H

#include "bench/bench_options.h"

/* Run all parts on both sides and print the table, or JSON, on standard output. Blocks for a minute
 * or so.
 * STATUS_INVALID, NOT_FOUND, BACKEND_DOWN, BACKEND_GARBLED, IO_FAILED, NO_MEMORY  `error`. */
MUST_CHECK enum status bench_compare_run(const struct bench_options *options, struct error *error);

#endif
