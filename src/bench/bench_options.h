/* bench_options - the command line of `chromabouncer bench` */
#ifndef BENCH_BENCH_OPTIONS_H
#define BENCH_BENCH_OPTIONS_H

#include "bench/bench_engine.h"

enum { BENCH_OPTIONS_OTHERS_MAX = 127 };

struct bench_options {
    const char *backend;                          /* URL */
    const char *through;                          /* URL of a proxy in front of it */
    const char *others[BENCH_OPTIONS_OTHERS_MAX]; /* more URLs that lead to the same server */
    size_t      other_count;
    bool        is_load; /* --mix or --url: one load; else the comparison */
    bool        yes, json, keep;

    struct bench_engine_group groups[BENCH_ENGINE_GROUPS_MAX];
    size_t                    group_count;
    size_t                    batch;

    struct bench_corpus_options corpus;
    bool                        has[BENCH_CORPUS_ENCODINGS]; /* of writes */
    const char                 *raw_path;
    size_t                      post_bytes;
    const char                 *collection; /* name, or NULL: made up */
    size_t                      collection_count;
    size_t                      preload;
    size_t                      n_results;
    double                      reuse;
    bool                        repeat_query;
    uint32_t                    id_prefix;
    uint64_t                    warm_up_us, duration_us, deadline_us, count;
    const char                 *history;       /* file, or NULL */
    char                        headers[1024]; /* complete field lines */
};

/* Read the arguments behind `bench`. All texts are borrowed.
 * STATUS_OK
 * STATUS_CANCELLED  --help was given, and printed.
 * STATUS_INVALID    `error` says which argument is wrong. */
MUST_CHECK enum status bench_options_parse(struct bench_options *options, int argc, char **argv,
                                           struct error *error);

#endif
