/* bench_history - one line per request of a run, for a checker of histories
 *
 *   {"op":"upsert","start":12,"end":3456,"status":200,"failure":"","executed":"",
 *    "collection":0,"ids":["..."],"sums":["..."]}
 *
 * start and end are microseconds since the run began; status is 0 and failure says why where there
 * was no answer; sums are bench_corpus_sum() of what was written, absent where nothing was.
 */
#ifndef BENCH_BENCH_HISTORY_H
#define BENCH_BENCH_HISTORY_H

#include <stdio.h>

#include "bench/bench_result.h"

struct bench_history_entry {
    const struct bench_request *request;
    size_t                      collection;
    uint64_t                    start_us, end_us;
    unsigned                    status; /* 0: none */
    enum bench_result_failure   failure;
    enum bench_result_executed  executed;
};

/* Append a line to `file`. Errors stay in the stream: ferror() in the end. */
void bench_history_write(FILE *file, const struct bench_request_source *source,
                         const struct bench_history_entry *entry);

#endif
