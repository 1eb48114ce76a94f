#include "bench/bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "bench/bench_compare.h"
#include "bench/bench_load.h"

static void        bench_raise_descriptor_limit(void);
static enum status run_load(const struct bench_options *options, bool *ret_is_void,
                            struct error *error);
static int         bench_exit_status(enum status status, bool is_void);

int bench_main(int argc, char **argv)
{
    struct bench_options options;
    struct error         error = {.status = STATUS_OK};
    enum status          status = bench_options_parse(&options, argc, argv, &error);
    bool                 is_void = false;

    struct sigaction stop = {.sa_handler = bench_engine_interrupt, .sa_flags = (int)SA_RESETHAND};

    signal(SIGPIPE, SIG_IGN);
    sigaction(SIGINT, &stop, NULL); /* the second one ends it as it is */
    sigaction(SIGTERM, &stop, NULL);
    bench_raise_descriptor_limit();
    if (status == STATUS_CANCELLED)
        status = STATUS_OK; /* the help is printed */
    else if (status == STATUS_OK && options.is_load)
        status = run_load(&options, &is_void, &error);
    else if (status == STATUS_OK)
        status = bench_compare_run(&options, &error);
    if (status == STATUS_OK && (fflush(stdout) != 0 || ferror(stdout)))
        status = error_set(&error, STATUS_IO_FAILED, "cannot write to standard output");
    if (status != STATUS_OK)
        fprintf(stderr, "chromabouncer bench: %s\n", error.text);
    return bench_exit_status(status, is_void);
}

static void bench_raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static enum status run_load(const struct bench_options *options, bool *ret_is_void,
                            struct error *error)
{
    struct bench_load   *load = NULL;
    struct bench_result *result = calloc(1, sizeof(*result));
    enum status          status = STATUS_NO_MEMORY;

    if (result != NULL)
        status = bench_load_new(options, options->backend, &load, error);
    if (status == STATUS_OK)
        status = bench_load_preload(load, options->preload, error);
    if (status == STATUS_OK)
        status = bench_load_run(load, options->groups, options->group_count, result, error);
    if (status == STATUS_OK) {
        *ret_is_void = bench_result_is_void(result);
        if (options->json) {
            json_t *json = bench_result_json(result);

            json_dumpf(json, stdout, JSON_INDENT(1));
            puts("");
            json_decref(json);
        } else {
            bench_result_print(result, stdout);
        }
    }
    bench_load_free(load);
    free(result);
    return status;
}

static int bench_exit_status(enum status status, bool is_void)
{
    switch (status) {
    case STATUS_OK:
        return is_void ? EX_TEMPFAIL : EX_OK;
    case STATUS_INVALID:
        return EX_USAGE;
    case STATUS_NOT_FOUND:
    case STATUS_BACKEND_DOWN:
    case STATUS_BACKEND_GARBLED:
        return EX_UNAVAILABLE;
    default:
        return EX_OSERR;
    }
}
