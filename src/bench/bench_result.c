#include "bench/bench_result.h"

static const char *const failure_names[] = {"connect", "reset", "deadline", "garbled"};
static const char *const executed_names[] = {"", "no", "maybe"};

static const uint64_t lag_max_us = 1000;

static uint64_t op_requests(const struct bench_result_op *op);
static uint64_t op_failures(const struct bench_result_op *op);
static void     print_op(const struct bench_result *result, enum bench_request_op op, FILE *out);
static void     print_errors(const struct bench_result_op *op, FILE *out);
static json_t  *op_json(const struct bench_result *result, const struct bench_result_op *op);
static json_t  *latency_json(const struct histogram *latency);
static double   per_second(const struct bench_result *result, uint64_t count);

const char *bench_result_failure_name(enum bench_result_failure failure)
{
    return failure_names[failure];
}

const char *bench_result_executed_name(enum bench_result_executed executed)
{
    return executed_names[executed];
}

bool bench_result_is_void(const struct bench_result *result)
{
    return result->lag.count > 0 && histogram_percentile(&result->lag, 0.99) > lag_max_us;
}

uint64_t bench_result_errors(const struct bench_result *result)
{
    uint64_t errors = 0;

    for (size_t i = 0; i < BENCH_REQUEST_OPS; i++)
        errors += result->ops[i].not_ok.count + op_failures(&result->ops[i]);
    return errors;
}

static uint64_t op_failures(const struct bench_result_op *op)
{
    uint64_t count = 0;

    for (size_t i = 0; i < BENCH_RESULT_FAILURES; i++)
        count += op->failures[i];
    return count;
}

static uint64_t op_requests(const struct bench_result_op *op)
{
    return op->ok.count + op->not_ok.count + op_failures(op);
}

void bench_result_print(const struct bench_result *result, FILE *out)
{
    fprintf(out, "%-8s %10s %10s %10s %9s %9s %9s %9s %9s\n", "", "requests", "errors", "ok/s",
            "records/s", "p50 ms", "p90 ms", "p99 ms", "max ms");
    for (enum bench_request_op op = 0; op < BENCH_REQUEST_OPS; op++) {
        if (op_requests(&result->ops[op]) > 0)
            print_op(result, op, out);
    }
    if (result->first_error[0] != '\0')
        fprintf(out, "first error: %s\n", result->first_error);
    if (result->lag.count > 0)
        fprintf(out,
                "lag of the generator: p99 %.3f ms; %llu requests found all connections busy\n",
                (double)histogram_percentile(&result->lag, 0.99) / 1e3,
                (unsigned long long)result->waited);
    if (bench_result_is_void(result))
        fprintf(out,
                "VOID: the generator could not keep its own schedule; this run says nothing\n");
}

static void print_op(const struct bench_result *result, enum bench_request_op op, FILE *out)
{
    const struct bench_result_op *row = &result->ops[op];

    fprintf(out, "%-8s %10llu %10llu %10.1f %9.1f %9.3f %9.3f %9.3f %9.3f\n",
            bench_request_op_name(op), (unsigned long long)op_requests(row),
            (unsigned long long)(row->not_ok.count + op_failures(row)),
            per_second(result, row->completed), per_second(result, row->completed_records),
            (double)histogram_percentile(&row->ok, 0.5) / 1e3,
            (double)histogram_percentile(&row->ok, 0.9) / 1e3,
            (double)histogram_percentile(&row->ok, 0.99) / 1e3, (double)row->ok.max / 1e3);
    print_errors(row, out);
}

static double per_second(const struct bench_result *result, uint64_t count)
{
    return result->measured_us == 0 ? 0 : (double)count * 1e6 / (double)result->measured_us;
}

static void print_errors(const struct bench_result_op *op, FILE *out)
{
    for (size_t status = 0; status < BENCH_RESULT_STATUSES; status++) {
        if (op->statuses[status] > 0 && (status < 200 || status > 299))
            fprintf(out, "         status %zu: %llu\n", status,
                    (unsigned long long)op->statuses[status]);
    }
    for (size_t i = 0; i < BENCH_RESULT_FAILURES; i++) {
        if (op->failures[i] > 0)
            fprintf(out, "         %s: %llu\n", failure_names[i],
                    (unsigned long long)op->failures[i]);
    }
    for (size_t i = BENCH_RESULT_EXECUTED_NO; i < BENCH_RESULT_EXECUTED_KINDS; i++) {
        if (op->executed[i] > 0)
            fprintf(out, "         executed %s: %llu\n", executed_names[i],
                    (unsigned long long)op->executed[i]);
    }
}

json_t *bench_result_json(const struct bench_result *result)
{
    json_t *ops = json_object(), *series = json_array();

    for (enum bench_request_op op = 0; op < BENCH_REQUEST_OPS; op++) {
        if (op_requests(&result->ops[op]) > 0)
            json_object_set_new(ops, bench_request_op_name(op), op_json(result, &result->ops[op]));
    }
    for (size_t i = 0; i < result->series_count; i++)
        json_array_append_new(series, json_integer(result->series[i]));
    return json_pack("{s:b, s:f, s:I, s:I, s:f, s:I, s:I, s:I, s:s, s:o, s:o}", "void",
                     bench_result_is_void(result), "measured_s", (double)result->measured_us / 1e6,
                     "requests_sent", (json_int_t)result->requests, "errors",
                     (json_int_t)bench_result_errors(result), "generator_cpu_us_per_request",
                     result->requests == 0 ? 0 : (double)result->cpu_us / (double)result->requests,
                     "generator_lag_p99_us", (json_int_t)histogram_percentile(&result->lag, 0.99),
                     "waited", (json_int_t)result->waited, "connections_opened",
                     (json_int_t)result->connections, "first_error", result->first_error, "ops",
                     ops, "records_by_second", series);
}

static json_t *op_json(const struct bench_result *result, const struct bench_result_op *op)
{
    json_t *statuses = json_object(), *failures = json_object(), *executed = json_object();
    char    name[8];

    for (unsigned status = 0; status < BENCH_RESULT_STATUSES; status++) {
        if (op->statuses[status] == 0)
            continue;
        snprintf(name, sizeof(name), "%u", status);
        json_object_set_new(statuses, name, json_integer((json_int_t)op->statuses[status]));
    }
    for (size_t i = 0; i < BENCH_RESULT_FAILURES; i++) {
        if (op->failures[i] > 0)
            json_object_set_new(failures, failure_names[i],
                                json_integer((json_int_t)op->failures[i]));
    }
    for (size_t i = BENCH_RESULT_EXECUTED_NO; i < BENCH_RESULT_EXECUTED_KINDS; i++) {
        if (op->executed[i] > 0)
            json_object_set_new(executed, executed_names[i],
                                json_integer((json_int_t)op->executed[i]));
    }
    return json_pack("{s:I, s:I, s:f, s:f, s:o, s:o, s:o, s:o, s:o}", "requests",
                     (json_int_t)op_requests(op), "records", (json_int_t)op->records,
                     "ok_per_second", per_second(result, op->completed), "records_per_second",
                     per_second(result, op->completed_records), "latency_us", latency_json(&op->ok),
                     "latency_not_ok_us", latency_json(&op->not_ok), "statuses", statuses,
                     "failures", failures, "executed", executed);
}

static json_t *latency_json(const struct histogram *latency)
{
    return json_pack(
        "{s:I, s:f, s:I, s:I, s:I, s:I, s:I, s:I}", "count", (json_int_t)latency->count, "mean",
        histogram_mean(latency), "p50", (json_int_t)histogram_percentile(latency, 0.5), "p90",
        (json_int_t)histogram_percentile(latency, 0.9), "p95",
        (json_int_t)histogram_percentile(latency, 0.95), "p99",
        (json_int_t)histogram_percentile(latency, 0.99), "p999",
        (json_int_t)histogram_percentile(latency, 0.999), "max", (json_int_t)latency->max);
}
