#include "bench/bench_compare.h"

#include <stdlib.h>

#include "bench/bench_load.h"

/* Concurrent writes and queries; the same query again and again; one client alone. */
enum part { PART_WRITES, PART_REPEATED, PART_SINGLE, PARTS };

enum side { SIDE_DIRECT, SIDE_THROUGH, SIDES };

static const char *const part_names[PARTS] = {"writes_and_queries", "repeated_query", "one_client"};
static const char *const side_names[SIDES] = {"direct", "through"};

static const size_t   preload_min = 500;
static const size_t   queriers = 8;
static const uint64_t short_us = 3000000;
static const uint64_t short_warm_up_us = 500000;

static enum status run_side(const struct bench_options *options, const char *url,
                            struct bench_result results[PARTS], struct error *error);
static enum status run_parts(const struct bench_options *options, struct bench_load *load,
                             struct bench_result results[PARTS], struct error *error);
static enum status run_short(struct bench_load *load, enum bench_request_op op, bool repeat_query,
                             struct bench_result *result, struct error *error);
static void print_table(const struct bench_options *options, struct bench_result (*results)[PARTS]);
static void print_row(const char *name, double direct, double through, const char *unit,
                      double ratio);
static double rate(const struct bench_result *result, enum bench_request_op op);
static double percentile_ms(const struct bench_result *result, enum bench_request_op op,
                            double fraction);
static void   print_json(struct bench_result (*results)[PARTS]);

enum status bench_compare_run(const struct bench_options *options, struct error *error)
{
    const char *urls[SIDES] = {options->backend, options->through};
    struct bench_result(*results)[PARTS] = calloc(SIDES, sizeof(*results));
    enum status status = STATUS_OK;

    if (results == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    for (size_t side = 0; side < SIDES && status == STATUS_OK; side++) {
        if (!options->json)
            fprintf(stderr, "measuring %s: %s\n", side_names[side], urls[side]);
        status = run_side(options, urls[side], results[side], error);
    }
    if (status == STATUS_OK && options->json)
        print_json(results);
    else if (status == STATUS_OK)
        print_table(options, results);
    free(results);
    return status;
}

static enum status run_side(const struct bench_options *options, const char *url,
                            struct bench_result results[PARTS], struct error *error)
{
    struct bench_load *load = NULL;
    enum status        status = bench_load_new(options, url, &load, error);

    if (status != STATUS_OK)
        return status;
    status = bench_load_preload(
        load, options->preload > preload_min ? options->preload : preload_min, error);
    if (status == STATUS_OK)
        status = run_parts(options, load, results, error);
    bench_load_free(load);
    return status;
}

static enum status run_parts(const struct bench_options *options, struct bench_load *load,
                             struct bench_result results[PARTS], struct error *error)
{
    struct bench_engine_group groups[2] = {options->groups[0], {.clients = queriers}};
    enum status               status;

    groups[0].mix.weights[BENCH_REQUEST_UPSERT] = groups[0].mix.total = 1;
    groups[1].mix.batch = 1;
    groups[1].mix.weights[BENCH_REQUEST_QUERY] = groups[1].mix.total = 1;
    bench_load_set(load, options->warm_up_us, options->duration_us, false);
    status = bench_load_run(load, groups, 2, &results[PART_WRITES], error);
    if (status == STATUS_OK)
        status = run_short(load, BENCH_REQUEST_QUERY, true, &results[PART_REPEATED], error);
    if (status == STATUS_OK)
        status = run_short(load, BENCH_REQUEST_GET, false, &results[PART_SINGLE], error);
    return status;
}

static enum status run_short(struct bench_load *load, enum bench_request_op op, bool repeat_query,
                             struct bench_result *result, struct error *error)
{
    struct bench_engine_group group = {.clients = 1, .mix = {.total = 1, .batch = 1}};

    group.mix.weights[op] = 1;
    bench_load_set(load, short_warm_up_us, short_us, repeat_query);
    return bench_load_run(load, &group, 1, result, error);
}

static void print_table(const struct bench_options *options, struct bench_result (*results)[PARTS])
{
    const struct bench_result *direct = results[SIDE_DIRECT], *through = results[SIDE_THROUGH];
    double                     before = rate(&direct[PART_WRITES], BENCH_REQUEST_UPSERT);
    double                     after = rate(&through[PART_WRITES], BENCH_REQUEST_UPSERT);
    uint64_t                   errors[SIDES] = {0};

    printf("%zu clients write one record at a time, %zu query; %zu dimensions\n\n",
           options->groups[0].clients, queriers, options->corpus.dimension);
    printf("%-36s %12s %12s\n", "", "direct", "through");
    print_row("single-record upserts", before, after, "/s", before > 0 ? after / before : 0);
    for (size_t i = 0; i < 2; i++) {
        double fraction = i == 0 ? 0.5 : 0.99;

        before = percentile_ms(&direct[PART_WRITES], BENCH_REQUEST_UPSERT, fraction);
        after = percentile_ms(&through[PART_WRITES], BENCH_REQUEST_UPSERT, fraction);
        print_row(i == 0 ? "write p50" : "write p99", before, after, "ms",
                  after > 0 ? before / after : 0);
    }
    before = rate(&direct[PART_WRITES], BENCH_REQUEST_QUERY);
    after = rate(&through[PART_WRITES], BENCH_REQUEST_QUERY);
    print_row("queries under writes", before, after, "/s", before > 0 ? after / before : 0);
    before = percentile_ms(&direct[PART_WRITES], BENCH_REQUEST_QUERY, 0.99);
    after = percentile_ms(&through[PART_WRITES], BENCH_REQUEST_QUERY, 0.99);
    print_row("query p99 under writes", before, after, "ms", after > 0 ? before / after : 0);
    before = percentile_ms(&direct[PART_REPEATED], BENCH_REQUEST_QUERY, 0.5);
    after = percentile_ms(&through[PART_REPEATED], BENCH_REQUEST_QUERY, 0.5);
    print_row("repeated query p50, one client", before, after, "ms",
              after > 0 ? before / after : 0);
    before = percentile_ms(&direct[PART_SINGLE], BENCH_REQUEST_GET, 0.5);
    after = percentile_ms(&through[PART_SINGLE], BENCH_REQUEST_GET, 0.5);
    print_row("get by id p50, one client", before, after, "ms", 0);
    printf("%-36s %12s %+9.3f ms\n", "added latency, one client", "", after - before);
    for (size_t part = 0; part < PARTS; part++) {
        errors[SIDE_DIRECT] += bench_result_errors(&direct[part]);
        errors[SIDE_THROUGH] += bench_result_errors(&through[part]);
    }
    printf("%-36s %12llu %12llu\n", "errors", (unsigned long long)errors[SIDE_DIRECT],
           (unsigned long long)errors[SIDE_THROUGH]);
}

/* `ratio` 0: says nothing. */
static void print_row(const char *name, double direct, double through, const char *unit,
                      double ratio)
{
    int digits = strcmp(unit, "ms") == 0 ? 3 : 0;

    printf("%-36s %9.*f %-2s %9.*f %-2s", name, digits, direct, unit, digits, through, unit);
    if (ratio > 0)
        printf(" %6.1fx", ratio);
    printf("\n");
}

static double rate(const struct bench_result *result, enum bench_request_op op)
{
    return result->measured_us == 0
               ? 0
               : (double)result->ops[op].completed * 1e6 / (double)result->measured_us;
}

static double percentile_ms(const struct bench_result *result, enum bench_request_op op,
                            double fraction)
{
    return (double)histogram_percentile(&result->ops[op].ok, fraction) / 1e3;
}

static void print_json(struct bench_result (*results)[PARTS])
{
    json_t *all = json_object();

    for (size_t side = 0; side < SIDES; side++) {
        json_t *parts = json_object();

        for (size_t part = 0; part < PARTS; part++)
            json_object_set_new(parts, part_names[part], bench_result_json(&results[side][part]));
        json_object_set_new(all, side_names[side], parts);
    }
    json_dumpf(all, stdout, JSON_INDENT(1));
    puts("");
    json_decref(all);
}
