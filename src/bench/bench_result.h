/* bench_result - what a run measured: latencies, statuses, errors, and whether it can be trusted */
#ifndef BENCH_BENCH_RESULT_H
#define BENCH_BENCH_RESULT_H

#include <jansson.h>
#include <stdio.h>

#include "base/histogram.h"
#include "bench/bench_request.h"

/* Why a request has no status. */
enum bench_result_failure {
    BENCH_RESULT_CONNECT,  /* no connection */
    BENCH_RESULT_RESET,    /* the connection broke before the whole answer */
    BENCH_RESULT_DEADLINE, /* no whole answer in time */
    BENCH_RESULT_GARBLED,  /* the answer is not HTTP */
    BENCH_RESULT_FAILURES
};

/* X-Chromabouncer-Executed */
enum bench_result_executed {
    BENCH_RESULT_UNSAID,
    BENCH_RESULT_EXECUTED_NO,
    BENCH_RESULT_EXECUTED_MAYBE,
    BENCH_RESULT_EXECUTED_KINDS
};

enum { BENCH_RESULT_STATUSES = 600, BENCH_RESULT_SERIES_MAX = 3600 };

struct bench_result_op {
    struct histogram ok;     /* latency of 2xx, microseconds */
    struct histogram not_ok; /* of all others that were answered */
    uint64_t         statuses[BENCH_RESULT_STATUSES];
    uint64_t         failures[BENCH_RESULT_FAILURES];
    uint64_t         executed[BENCH_RESULT_EXECUTED_KINDS];
    uint64_t         records;                      /* in requests answered 2xx */
    uint64_t         completed, completed_records; /* 2xx within the measured time */
};

struct bench_result {
    struct bench_result_op ops[BENCH_REQUEST_OPS];
    struct histogram       lag;    /* open loop: how late the generator itself was */
    uint64_t               waited; /* open loop: requests that found all connections busy */
    uint64_t               measured_us;
    uint64_t               requests;                        /* sent in all, warm-up too */
    uint64_t               cpu_us;                          /* the generator's own */
    uint64_t               connections;                     /* opened */
    uint32_t               series[BENCH_RESULT_SERIES_MAX]; /* records (or requests) by second */
    size_t                 series_count;
    char                   first_error[256]; /* status and body of the first answer not 2xx */
};

/* Open loop: the generator was late by more than 1 ms in more than 1 % of all requests. */
bool bench_result_is_void(const struct bench_result *result);

/* Requests answered other than by 2xx, or not at all. */
uint64_t bench_result_errors(const struct bench_result *result);

/* Print a table for people. */
void bench_result_print(const struct bench_result *result, FILE *out);

/* The same, and more, as JSON. Given: json_decref(). */
json_t *bench_result_json(const struct bench_result *result);

/* "connect", "reset", ... Static storage. */
const char *bench_result_failure_name(enum bench_result_failure failure);

/* "", "no", "maybe". Static storage. */
const char *bench_result_executed_name(enum bench_result_executed executed);

#endif
