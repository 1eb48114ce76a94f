#include "bench/bench_load.h"

#include <errno.h>
#include <stdlib.h>

#include "bench/bench_scratch.h"

struct bench_load {
    const struct bench_options *options;
    struct bench_target         targets[1 + BENCH_OPTIONS_OTHERS_MAX];
    size_t                      target_count;
    struct bench_scratch       *scratch; /* NULL: raw requests alone */
    struct bench_corpus        *corpus;  /* likewise */
    struct bench_request_source source;
    struct bench_engine_options engine;
    FILE                       *history;
};

static const size_t preload_batch = 250;

static enum status add_target(struct bench_load *load, const char *url, struct error *error);
static enum status bench_load_prepare(struct bench_load *load, struct error *error);

enum status bench_load_new(const struct bench_options *options, const char *url,
                           struct bench_load **ret_load, struct error *error)
{
    struct bench_load *load = calloc(1, sizeof(*load));
    enum status        status;

    if (load == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    load->options = options;
    status = add_target(load, url, error);
    for (size_t i = 0; i < options->other_count && status == STATUS_OK; i++)
        status = add_target(load, options->others[i], error);
    if (status == STATUS_OK)
        status = bench_load_prepare(load, error);
    if (status == STATUS_OK)
        *ret_load = load;
    else
        bench_load_free(load);
    return status;
}

static enum status add_target(struct bench_load *load, const char *url, struct error *error)
{
    struct bench_target *target = &load->targets[load->target_count++];
    enum status          status = bench_target_init(target, url, error);

    if (status == STATUS_OK && !target->is_loopback && !load->options->yes)
        status = error_set(error, STATUS_INVALID,
                           "%s is not on this machine: give --yes to put load on it", url);
    return status;
}

static enum status bench_load_prepare(struct bench_load *load, struct error *error)
{
    const struct bench_options  *options = load->options;
    struct bench_request_source *source = &load->source;
    enum status                  status;

    *source = (struct bench_request_source){.has_documents = options->corpus.document_bytes > 0,
                                            .has_metadatas = options->corpus.metadata_keys > 0,
                                            .host = load->targets[0].host,
                                            .headers = options->headers,
                                            .collection_count = options->collection_count,
                                            .raw_path = options->raw_path,
                                            .raw_body_bytes = options->post_bytes,
                                            .reuse = options->reuse,
                                            .repeat_query = options->repeat_query,
                                            .id_prefix = options->id_prefix,
                                            .rng = options->corpus.seed};
    memcpy(source->has, options->has, sizeof(source->has));
    snprintf(source->query_tail, sizeof(source->query_tail),
             "],\"n_results\":%zu,\"include\":[\"documents\",\"metadatas\",\"distances\"]}",
             options->n_results);
    load->engine = (struct bench_engine_options){.targets = load->targets,
                                                 .target_count = load->target_count,
                                                 .source = source,
                                                 .warm_up_us = options->warm_up_us,
                                                 .duration_us = options->duration_us,
                                                 .count = options->count,
                                                 .deadline_us = options->deadline_us};
    if (options->history != NULL && (load->history = fopen(options->history, "w")) == NULL)
        return error_set(error, STATUS_IO_FAILED, "%s: %s", options->history, strerror(errno));
    if (options->raw_path != NULL)
        return STATUS_OK;
    load->corpus = bench_corpus_new(&options->corpus);
    if (load->corpus == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    source->corpus = load->corpus;
    status = bench_scratch_new(&load->targets[0], options->collection, options->collection_count,
                               options->headers, &load->scratch, error);
    if (status == STATUS_OK)
        source->collections = bench_scratch_paths(load->scratch);
    return status;
}

void bench_load_free(struct bench_load *load)
{
    if (load == NULL)
        return;
    /* What has a name may be somebody's: only what was made up here is deleted. */
    bench_scratch_free(load->scratch, load->options->keep || load->options->collection != NULL);
    bench_corpus_free(load->corpus);
    if (load->history != NULL)
        fclose(load->history);
    free(load);
}

enum status bench_load_preload(struct bench_load *load, size_t records, struct error *error)
{
    struct bench_engine_options engine = load->engine;
    struct bench_result        *result = calloc(1, sizeof(*result));
    enum status                 status = STATUS_OK;

    if (result == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    engine.group_count = 1;
    engine.groups[0] = (struct bench_engine_group){.clients = load->source.collection_count,
                                                   .mix = {.batch = preload_batch}};
    engine.groups[0].mix.weights[BENCH_REQUEST_UPSERT] = engine.groups[0].mix.total = 1;
    engine.count = (records + preload_batch - 1) / preload_batch;
    engine.warm_up_us = 0;
    load->source.reuse = 0;
    if (engine.count > 0)
        status = bench_engine_run(&engine, result, error);
    load->source.reuse = load->options->reuse;
    if (status == STATUS_OK && bench_result_errors(result) > 0)
        status = error_set(error, STATUS_BACKEND_GARBLED, "writing records first failed: %s",
                           result->first_error);
    free(result);
    return status;
}

enum status bench_load_run(struct bench_load *load, const struct bench_engine_group *groups,
                           size_t group_count, struct bench_result *result, struct error *error)
{
    enum status status;

    load->engine.group_count = group_count;
    memcpy(load->engine.groups, groups, group_count * sizeof(*groups));
    load->engine.history = load->history;
    status = bench_engine_run(&load->engine, result, error);
    if (status == STATUS_OK && load->history != NULL &&
        (fflush(load->history) != 0 || ferror(load->history) != 0))
        return error_set(error, STATUS_IO_FAILED, "%s: %s", load->options->history,
                         strerror(errno));
    return status;
}

void bench_load_set(struct bench_load *load, uint64_t warm_up_us, uint64_t duration_us,
                    bool repeat_query)
{
    load->engine.warm_up_us = warm_up_us;
    load->engine.duration_us = duration_us;
    load->source.repeat_query = repeat_query;
}
