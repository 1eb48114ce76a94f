#include "cli/top_digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A family's samples that have a label, summed over all others. */
struct series {
    json_t     *before, *now; /* the members named metrics; NULL: none */
    const char *name;         /* of the family, with the end that histograms add */
    const char *label;        /* such as `op="query"`; "": all */
};

static void   top_digest_read_text(const json_t *answer, const char *key, char *out, size_t size);
static double value(json_t *metrics, const char *name, const char *label);
static bool   is_sample(const char *key, const char *name, const char *label);
static double rise(const struct series *series);
static double top_digest_rate(json_t *const metrics[2], const char *name, const char *label,
                              double interval);
static double ratio(double part, double whole);
static void   read_buckets(json_t *const metrics[2], const char *name, const char *label,
                           double *out);
static size_t top_digest_bucket_of(const char *key);
static double quantile(const double *buckets, double fraction);
static void   read_writes(struct top_digest *digest, json_t *const metrics[2]);
static void   read_copies(struct top_digest *digest, json_t *const metrics[2]);
static void   read_ops(struct top_digest *digest, json_t *const metrics[2]);
static int    by_rate(const void *left, const void *right);
static int    by_p99(const void *left, const void *right);
static int    by_errors(const void *left, const void *right);
static int    compare(double left, double right);

void top_digest_make(struct top_digest *digest, const json_t *before, const json_t *now,
                     double interval)
{
    json_t *const metrics[2] = {json_object_get(before, "metrics"),
                                json_object_get(now, "metrics")};
    double        buckets[TOP_DIGEST_BUCKETS];
    json_t       *all = metrics[1];

    *digest = (struct top_digest){.interval = interval};
    top_digest_read_text(now, "version", digest->version, sizeof digest->version);
    top_digest_read_text(now, "backend", digest->backend, sizeof digest->backend);
    top_digest_read_text(now, "backend_problem", digest->problem, sizeof digest->problem);
    digest->backend_up = json_is_true(json_object_get(now, "backend_up"));
    digest->draining = json_is_true(json_object_get(now, "draining"));
    digest->uptime = json_number_value(json_object_get(now, "uptime_seconds"));
    digest->connections_max = json_number_value(json_object_get(now, "backend_connections_max"));
    digest->cpu = top_digest_rate(metrics, "process_cpu_seconds_total", "", interval);
    digest->resident_bytes = value(all, "process_resident_memory_bytes", "");
    digest->buffered_bytes = value(all, "chromabouncer_buffered_bytes", "");
    digest->buffered_max_bytes = value(all, "chromabouncer_buffered_max_bytes", "");
    digest->clients = value(all, "chromabouncer_client_connections", "");
    digest->per_second[0] =
        top_digest_rate(metrics, "chromabouncer_requests_total", "source=\"backend\"", interval);
    digest->per_second[1] =
        top_digest_rate(metrics, "chromabouncer_requests_total", "source=\"proxy\"", interval);
    digest->aborted_per_second =
        top_digest_rate(metrics, "chromabouncer_requests_aborted_total", "", interval);
    read_buckets(metrics, "chromabouncer_request_duration_seconds", "", digest->buckets);
    digest->p50 = quantile(digest->buckets, 0.5);
    digest->p99 = quantile(digest->buckets, 0.99);
    read_buckets(metrics, "chromabouncer_overhead_seconds", "", buckets);
    digest->overhead_p50 = quantile(buckets, 0.5);
    digest->overhead_p99 = quantile(buckets, 0.99);
    read_buckets(metrics, "chromabouncer_queue_wait_seconds", "", buckets);
    digest->queue_p99 = quantile(buckets, 0.99);
    digest->busy = value(all, "chromabouncer_backend_connections", "state=\"busy\"");
    digest->idle = value(all, "chromabouncer_backend_connections", "state=\"idle\"");
    digest->connecting = value(all, "chromabouncer_backend_connections", "state=\"connecting\"");
    digest->waiting[0] = value(all, "chromabouncer_queue_requests", "class=\"other\"");
    digest->waiting[1] = value(all, "chromabouncer_queue_requests", "class=\"read\"");
    digest->waiting[2] = value(all, "chromabouncer_queue_requests", "class=\"write\"");
    read_writes(digest, metrics);
    read_copies(digest, metrics);
    read_ops(digest, metrics);
}

static void top_digest_read_text(const json_t *answer, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(answer, key));

    snprintf(out, size, "%s", text == NULL ? "" : text);
}

static double value(json_t *metrics, const char *name, const char *label)
{
    const char *key;
    json_t     *sample;
    double      sum = 0;

    json_object_foreach(metrics, key, sample) if (is_sample(key, name, label)) sum +=
        json_number_value(sample);
    return sum;
}

static bool is_sample(const char *key, const char *name, const char *label)
{
    size_t size = strlen(name);

    return strncmp(key, name, size) == 0 && (key[size] == '\0' || key[size] == '{') &&
           strstr(key + size, label) != NULL;
}

/* A counter that is smaller than before began anew with the process. */
static double rise(const struct series *series)
{
    double before = value(series->before, series->name, series->label);
    double now = value(series->now, series->name, series->label);

    return now < before ? now : now - before;
}

static double top_digest_rate(json_t *const metrics[2], const char *name, const char *label,
                              double interval)
{
    const struct series series = {metrics[0], metrics[1], name, label};

    return ratio(rise(&series), interval);
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

/* How much each bucket of the histograms rose, not cumulative. */
static void read_buckets(json_t *const metrics[2], const char *name, const char *label, double *out)
{
    char   bucket[128];
    double sums[2][TOP_DIGEST_BUCKETS] = {{0}};

    snprintf(bucket, sizeof bucket, "%s_bucket", name);
    for (int i = 0; i < 2; i++) {
        const char *key;
        json_t     *sample;

        json_object_foreach(metrics[i], key, sample) if (is_sample(key, bucket, label))
            sums[i][top_digest_bucket_of(key)] += json_number_value(sample);
    }
    for (size_t j = TOP_DIGEST_BUCKETS; j-- > 0;) {
        double now = sums[1][j] - (j > 0 ? sums[1][j - 1] : 0);
        double before = sums[0][j] - (j > 0 ? sums[0][j - 1] : 0);

        out[j] = now < before ? now : now - before;
    }
}

static size_t top_digest_bucket_of(const char *key)
{
    const char *text = strstr(key, "le=\"");
    double      bound_us = text == NULL || text[4] == '+' ? 1e18 : 1e6 * strtod(text + 4, NULL);
    size_t      bucket = 0;

    while (bucket < METRIC_BUCKETS && (double)metric_bucket_bounds_us[bucket] < bound_us * 0.999)
        bucket++;
    return bucket;
}

/* Within its bucket a quantile is taken to lie in proportion. */
static double quantile(const double *buckets, double fraction)
{
    double total = 0, below = 0;

    for (size_t i = 0; i < TOP_DIGEST_BUCKETS; i++)
        total += buckets[i];
    for (size_t i = 0; i < TOP_DIGEST_BUCKETS && total > 0; i++) {
        double wanted = fraction * total - below;

        if (buckets[i] > 0 && wanted <= buckets[i]) {
            double least = i == 0 ? 0 : (double)metric_bucket_bounds_us[i - 1];
            double most = i == METRIC_BUCKETS ? least : (double)metric_bucket_bounds_us[i];

            return (least + (most - least) * wanted / buckets[i]) / 1e6;
        }
        below += buckets[i];
    }
    return 0;
}

static void read_writes(struct top_digest *digest, json_t *const metrics[2])
{
    json_t             *all = metrics[1];
    const struct series batches = {metrics[0], metrics[1], "chromabouncer_batch_requests_count",
                                   ""};
    const struct series requests = {metrics[0], metrics[1], "chromabouncer_batch_requests_sum", ""};
    const struct series records = {metrics[0], metrics[1], "chromabouncer_batch_records_sum", ""};

    digest->writes_waiting = value(all, "chromabouncer_writes_waiting", "");
    digest->records_waiting = value(all, "chromabouncer_writes_waiting_records", "");
    digest->write_calls = value(all, "chromabouncer_write_calls_in_flight", "");
    digest->writes_hung = value(all, "chromabouncer_writes_hung", "");
    digest->oldest_call = value(all, "chromabouncer_write_call_oldest_seconds", "");
    digest->batches_per_second = ratio(rise(&batches), digest->interval);
    digest->requests_per_batch = ratio(rise(&requests), rise(&batches));
    digest->records_per_batch = ratio(rise(&records), rise(&batches));
    digest->splits_per_second =
        top_digest_rate(metrics, "chromabouncer_batch_splits_total", "", digest->interval);
}

static void read_copies(struct top_digest *digest, json_t *const metrics[2])
{
    json_t *all = metrics[1];

    digest->copies = value(all, "chromabouncer_mirror_collections", "");
    digest->copies_complete = value(all, "chromabouncer_mirror_collections", "state=\"complete\"");
    digest->copied_records = value(all, "chromabouncer_mirror_records", "");
    digest->hollow_records = value(all, "chromabouncer_mirror_records_hollow", "");
    digest->copies_left_s = value(all, "chromabouncer_mirror_left_seconds", "");
    digest->copies_bytes = value(all, "chromabouncer_mirror_bytes", "");
    digest->copies_per_second =
        top_digest_rate(metrics, "chromabouncer_mirror_answers_total", "", digest->interval);
}

/* The operations that were asked for since the process began. */
static void read_ops(struct top_digest *digest, json_t *const metrics[2])
{
    static const char *const names[] = {"add",   "upsert", "update",     "delete", "get",  "query",
                                        "count", "search", "collection", "admin",  "other"};
    double                   buckets[TOP_DIGEST_BUCKETS];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct top_digest_op *op = &digest->ops[digest->op_count];
        char                  label[40];

        snprintf(label, sizeof label, "op=\"%s\"", names[i]);
        if (value(metrics[1], "chromabouncer_requests_total", label) == 0)
            continue;
        snprintf(op->name, sizeof op->name, "%s", names[i]);
        op->per_second =
            top_digest_rate(metrics, "chromabouncer_requests_total", label, digest->interval);
        for (char class = '4'; class <= '5'; class ++) {
            snprintf(label, sizeof label, "op=\"%s\",code=\"%c", names[i], class);
            op->errors_per_second +=
                top_digest_rate(metrics, "chromabouncer_requests_total", label, digest->interval);
        }
        snprintf(label, sizeof label, "op=\"%s\"", names[i]);
        op->backend_per_second = top_digest_rate(metrics, "chromabouncer_backend_requests_total",
                                                 label, digest->interval);
        read_buckets(metrics, "chromabouncer_request_duration_seconds", label, buckets);
        op->p50 = quantile(buckets, 0.5);
        op->p99 = quantile(buckets, 0.99);
        read_buckets(metrics, "chromabouncer_backend_request_duration_seconds", label, buckets);
        op->backend_p50 = quantile(buckets, 0.5);
        digest->op_count++;
    }
}

void top_digest_sort(struct top_digest *digest, enum top_digest_sort by)
{
    qsort(digest->ops, digest->op_count, sizeof digest->ops[0],
          by == TOP_DIGEST_BY_P99      ? by_p99
          : by == TOP_DIGEST_BY_ERRORS ? by_errors
                                       : by_rate);
}

static int by_rate(const void *left, const void *right)
{
    const struct top_digest_op *a = left, *b = right;
    int                         order = compare(a->per_second, b->per_second);

    return order != 0 ? order : strcmp(a->name, b->name);
}

static int by_p99(const void *left, const void *right)
{
    const struct top_digest_op *a = left, *b = right;
    int                         order = compare(a->p99, b->p99);

    return order != 0 ? order : by_rate(left, right);
}

static int by_errors(const void *left, const void *right)
{
    const struct top_digest_op *a = left, *b = right;
    int                         order = compare(a->errors_per_second, b->errors_per_second);

    return order != 0 ? order : by_rate(left, right);
}

/* The larger first. */
static int compare(double left, double right)
{
    return (left < right) - (left > right);
}

json_t *top_digest_json(const struct top_digest *digest)
{
    json_t *ops = json_array();
    json_t *object = json_pack(
        "{s:s, s:s, s:b, s:s, s:b, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "version", digest->version,
        "backend", digest->backend, "backend_up", digest->backend_up, "backend_problem",
        digest->problem, "draining", digest->draining, "interval_seconds", digest->interval,
        "uptime_seconds", digest->uptime, "cpu", digest->cpu, "resident_bytes",
        digest->resident_bytes, "buffered_bytes", digest->buffered_bytes, "buffered_max_bytes",
        digest->buffered_max_bytes, "clients", digest->clients);
    json_t *rates = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "backend_requests_per_second",
        digest->per_second[0], "proxy_requests_per_second", digest->per_second[1],
        "aborted_per_second", digest->aborted_per_second, "p50_seconds", digest->p50, "p99_seconds",
        digest->p99, "overhead_p50_seconds", digest->overhead_p50, "overhead_p99_seconds",
        digest->overhead_p99, "queue_p99_seconds", digest->queue_p99);
    json_t *load =
        json_pack("{s:f, s:f, s:f, s:f, s:{s:f, s:f, s:f}}", "backend_busy", digest->busy,
                  "backend_idle", digest->idle, "backend_connecting", digest->connecting,
                  "backend_connections_max", digest->connections_max, "waiting", "other",
                  digest->waiting[0], "read", digest->waiting[1], "write", digest->waiting[2]);
    json_t *writes = json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "waiting", digest->writes_waiting,
        "records_waiting", digest->records_waiting, "calls_in_flight", digest->write_calls, "hung",
        digest->writes_hung, "oldest_call_seconds", digest->oldest_call, "batches_per_second",
        digest->batches_per_second, "requests_per_batch", digest->requests_per_batch,
        "records_per_batch", digest->records_per_batch, "splits_per_second",
        digest->splits_per_second);
    json_t *copies =
        json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "collections", digest->copies, "complete",
                  digest->copies_complete, "records", digest->copied_records, "records_hollow",
                  digest->hollow_records, "left_seconds", digest->copies_left_s, "bytes",
                  digest->copies_bytes, "answers_per_second", digest->copies_per_second);
    bool is_whole = object != NULL && json_object_update(object, rates) == 0 &&
                    json_object_update(object, load) == 0 && ops != NULL;

    json_decref(rates);
    json_decref(load);
    for (size_t i = 0; i < digest->op_count && is_whole; i++) {
        const struct top_digest_op *op = &digest->ops[i];

        is_whole = json_array_append_new(
                       ops, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "op", op->name,
                                      "per_second", op->per_second, "errors_per_second",
                                      op->errors_per_second, "backend_per_second",
                                      op->backend_per_second, "p50_seconds", op->p50, "p99_seconds",
                                      op->p99, "backend_p50_seconds", op->backend_p50)) == 0;
    }
    if (object == NULL || json_object_set_new(object, "writes", writes) != 0)
        is_whole = false;
    if (object == NULL || json_object_set_new(object, "copies", copies) != 0)
        is_whole = false;
    if (object == NULL || json_object_set_new(object, "operations", ops) != 0)
        is_whole = false;
    if (is_whole)
        return object;
    json_decref(object);
    return NULL;
}
