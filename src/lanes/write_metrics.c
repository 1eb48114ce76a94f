#include "lanes/write_metrics.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/metric.h"

static const char *const op_names[COALESCER_OP_COUNT] = {[COALESCER_ADD] = "add",
                                                         [COALESCER_UPSERT] = "upsert",
                                                         [COALESCER_UPDATE] = "update",
                                                         [COALESCER_OTHER] = "other"};

static const struct metric_desc lane_metrics[] = {
    METRIC(COUNTER, coalescer_stats, batch_splits, "chromabouncer_batch_splits_total",
           "Batches cut after a refusal, to find the write that was meant."),
    METRIC(COUNTER, coalescer_stats, resends, "chromabouncer_batch_resends_total",
           "Batches sent again after an unknown outcome (role gateway)."),
    METRIC(COUNTER, coalescer_stats, retries, "chromabouncer_batch_retries_total",
           "Batches sent again because the backend had refused to take them or was not there."),
    METRIC(COUNTER, coalescer_stats, unknown, "chromabouncer_writes_unknown_total",
           "Outcomes that may or may not have been applied."),
    METRIC_LABELED(COUNTER, coalescer_stats, expired_unsent, "chromabouncer_writes_expired_total",
                   "executed=\"no\"", "Writes refused at deadline.write."),
    METRIC_LABELED(COUNTER, coalescer_stats, expired_sent, "chromabouncer_writes_expired_total",
                   "executed=\"maybe\"", ""),
    METRIC(COUNTER, coalescer_stats, no_room, "chromabouncer_writes_no_room_total",
           "Times that a write found no room among those that wait."),
    METRIC(COUNTER, coalescer_stats, gathers, "chromabouncer_batch_gathers_total",
           "Batches put off for a moment because their clients were about to come back."),
    METRIC(COUNTER, coalescer_stats, offences, "chromabouncer_write_offences_total",
           "Writes that cost others a split, so that their sender goes alone for a while."),
    METRIC(GAUGE, coalescer_stats, waiting_members, "chromabouncer_writes_waiting",
           "Writes that wait for their turn."),
    METRIC(GAUGE, coalescer_stats, waiting_records, "chromabouncer_writes_waiting_records",
           "Records in the writes that wait."),
    METRIC(GAUGE, coalescer_stats, waiting_bytes, "chromabouncer_writes_waiting_bytes",
           "Bytes of the writes that wait."),
    METRIC(GAUGE, coalescer_stats, in_flight, "chromabouncer_write_calls_in_flight",
           "Calls with writes that the backend has not answered."),
    METRIC(GAUGE, coalescer_stats, hung, "chromabouncer_writes_hung",
           "Calls without an answer beyond a deadline or writes.patience: above 0, Chroma hangs."),
    METRIC(GAUGE, coalescer_stats, held_lanes, "chromabouncer_write_lanes_held",
           "Collections whose writes wait behind a hung call."),
    METRIC(GAUGE, coalescer_stats, lanes, "chromabouncer_write_lanes",
           "Collections whose writes are known."),
};

/* Of writes that are not all the coalescer's. */
struct loss_stats {
    uint64_t deletes_lost;
};

static const struct metric_desc loss_metrics[] = {
    METRIC(COUNTER, loss_stats, deletes_lost, "chromabouncer_deletes_lost_total",
           "Deletes by a filter under which a Chroma of our own (exec, wrap) ended: they are not "
           "sent again, but answered 502, maybe executed."),
};

static enum status print_histogram(struct byte_buffer *out, const char *name, const char *help,
                                   const uint64_t  buckets[][COALESCER_BUCKETS],
                                   const uint64_t *sums);
static enum status print_samples(struct byte_buffer *out, const char *name, const char *op,
                                 const uint64_t *buckets, uint64_t sum);

enum status write_metrics_print(const struct coalescer_stats *stats, uint64_t deletes_lost,
                                uint64_t now_us, struct byte_buffer *out)
{
    const struct loss_stats losses = {.deletes_lost = deletes_lost};
    uint64_t    oldest_us = stats->oldest_sent_us == 0 ? 0 : now_us - stats->oldest_sent_us;
    enum status status =
        print_histogram(out, "chromabouncer_batch_requests", "Clients' writes in one call.",
                        stats->batch_requests, stats->batch_requests_sum);

    if (status == STATUS_OK)
        status = print_histogram(out, "chromabouncer_batch_records", "Records in one call.",
                                 stats->batch_records, stats->batch_records_sum);
    if (status == STATUS_OK)
        status = metric_print(out, lane_metrics, COUNT_OF(lane_metrics), stats);
    if (status == STATUS_OK)
        status = metric_print(out, loss_metrics, COUNT_OF(loss_metrics), &losses);
    if (status == STATUS_OK)
        status = metric_print_header(out, "chromabouncer_write_call_oldest_seconds", "gauge",
                                     "Age of the oldest call with writes that has no answer.");
    return status != STATUS_OK
               ? status
               : byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                    "chromabouncer_write_call_oldest_seconds %.3f\n",
                                    (double)oldest_us / 1e6);
}

static enum status print_histogram(struct byte_buffer *out, const char *name, const char *help,
                                   const uint64_t  buckets[][COALESCER_BUCKETS],
                                   const uint64_t *sums)
{
    enum status status = metric_print_header(out, name, "histogram", help);

    for (size_t op = 0; op < COALESCER_OP_COUNT && status == STATUS_OK; op++)
        status = print_samples(out, name, op_names[op], buckets[op], sums[op]);
    return status;
}

static enum status print_samples(struct byte_buffer *out, const char *name, const char *op,
                                 const uint64_t *buckets, uint64_t sum)
{
    uint64_t    total = 0;
    enum status status = STATUS_OK;

    for (size_t i = 0; i < COALESCER_BUCKETS && status == STATUS_OK; i++) {
        char bound[24] = "+Inf";

        if (i + 1 < COALESCER_BUCKETS)
            snprintf(bound, sizeof bound, "%" PRIu64, (uint64_t)1 << i);
        total += buckets[i];
        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                    "%s_bucket{op=\"%s\",le=\"%s\"} %" PRIu64 "\n", name, op, bound,
                                    total);
    }
    return status != STATUS_OK ? status
                               : byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                                    "%s_sum{op=\"%s\"} %" PRIu64
                                                    "\n%s_count{op=\"%s\"} %" PRIu64 "\n",
                                                    name, op, sum, name, op, total);
}
