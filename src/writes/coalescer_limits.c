#include "writes/coalescer_limits.h"

#include "writes/coalescer_offender.h"

/* Without a setting a batch has no more records than this: larger ones gain little and hold up
 * everybody behind them. */
static const uint32_t records_auto_max = 1000;
/* What a 413 or a quota taught is tried again after this. */
static const uint64_t learned_us = 600000000;

uint32_t coalescer_limits_records(const struct coalescer *coalescer, uint64_t waiting,
                                  uint64_t now_us)
{
    uint32_t most = coalescer->options.backend.records_max;
    uint32_t records = coalescer->options.batch_records_max;

    if (most == 0 || most > records_auto_max)
        most = records_auto_max;
    if (records == 0)
        records = batch_cost_records(&coalescer->cost, waiting, most);
    if (now_us < coalescer->learned_until_us && records > coalescer->batch_records_learned)
        records = coalescer->batch_records_learned;
    return records;
}

size_t coalescer_limits_bytes(const struct coalescer *coalescer, uint64_t now_us)
{
    size_t most = coalescer->options.batch_bytes_max;

    return now_us < coalescer->learned_until_us && coalescer->batch_bytes_learned < most
               ? coalescer->batch_bytes_learned
               : most;
}

void coalescer_limits_learn(struct coalescer *coalescer, const struct coalescer_batch *batch,
                            bool by_records, uint64_t now_us)
{
    if (now_us >= coalescer->learned_until_us) {
        coalescer->batch_bytes_learned = SIZE_MAX;
        coalescer->batch_records_learned = UINT32_MAX;
    }
    coalescer->learned_until_us = now_us + learned_us;
    if (by_records && batch->records / 2 < coalescer->batch_records_learned)
        coalescer->batch_records_learned = batch->records / 2;
    if (!by_records && batch->size / 2 < coalescer->batch_bytes_learned)
        coalescer->batch_bytes_learned = batch->size / 2;
}

uint32_t coalescer_limits_dimension(const struct coalescer      *coalescer,
                                    const struct coalescer_lane *lane)
{
    const struct coalescer_options *options = &coalescer->options;

    return options->dimension == NULL ? 0 : options->dimension(options->dimension_ctx, lane->key);
}

bool coalescer_limits_is_alone(const struct coalescer        *coalescer,
                               const struct coalescer_member *member, uint32_t dimension,
                               uint64_t now_us)
{
    /* A vector of another dimension than the collection's will be refused. */
    return !coalescer->options.backend.may_merge || member->key == NULL || dimension == 0 ||
           (member->dimension != 0 && member->dimension != dimension) ||
           coalescer_limits_is_parted(coalescer, member) ||
           coalescer_offender_is(coalescer, member, now_us);
}

bool coalescer_limits_is_parted(const struct coalescer        *coalescer,
                                const struct coalescer_member *member)
{
    uint32_t most = coalescer->options.backend.records_max;

    return coalescer->options.split_oversize && member->key != NULL && most > 0 &&
           member->record_count > most;
}

bool coalescer_limits_may_share(const struct coalescer        *coalescer,
                                const struct coalescer_member *left,
                                const struct coalescer_member *right)
{
    const struct coalescer_backend *backend = &coalescer->options.backend;

    return backend->may_merge && (!backend->same_columns_only || left->columns == right->columns);
}
