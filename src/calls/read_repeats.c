#include "calls/read_repeats.h"

#include "base/metric.h"

bool read_repeats_take(struct read_repeats *repeats, bool is_calm, uint64_t retry_at_us,
                       uint64_t now_us)
{
    if (!is_calm) {
        repeats->held++;
        return false;
    }
    if (retry_at_us > now_us) {
        repeats->put_off++;
        return false;
    }
    return retry_budget_take(&repeats->budget, now_us);
}

static const struct metric_desc repeat_metrics[] = {
    METRIC(COUNTER, read_repeats, budget.granted, "chromabouncer_read_repeats_total",
           "Reads asked again after an error of the backend that goes away."),
    METRIC_LABELED(COUNTER, read_repeats, budget.refused,
                   "chromabouncer_read_repeats_refused_total", "reason=\"budget\"",
                   "Such errors that were handed on: beyond a tenth of the reads and one a second, "
                   "before the time that the backend asked to wait for, or with an open breaker."),
    METRIC_LABELED(COUNTER, read_repeats, put_off, "chromabouncer_read_repeats_refused_total",
                   "reason=\"retry_after\"", ""),
    METRIC_LABELED(COUNTER, read_repeats, held, "chromabouncer_read_repeats_refused_total",
                   "reason=\"breaker\"", ""),
};

struct wait_metrics {
    uint64_t wait_s;
};

static const struct metric_desc wait_metric_table[] = {
    METRIC(GAUGE, wait_metrics, wait_s, "chromabouncer_backend_retry_after_seconds",
           "How much longer nothing is repeated, since the backend's Retry-After asks for it."),
};

enum status read_repeats_print_metrics(const struct read_repeats *repeats, uint64_t retry_at_us,
                                       uint64_t now_us, struct byte_buffer *out)
{
    struct wait_metrics wait = {
        .wait_s = retry_at_us > now_us ? (retry_at_us - now_us + 999999) / 1000000 : 0};
    enum status status = metric_print(out, repeat_metrics, COUNT_OF(repeat_metrics), repeats);

    return status != STATUS_OK
               ? status
               : metric_print(out, wait_metric_table, COUNT_OF(wait_metric_table), &wait);
}
