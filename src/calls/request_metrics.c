#include "calls/request_metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const op_names[REQUEST_METRICS_OPS] = {
    "add",   "upsert", "update",     "delete", "get",  "query",
    "count", "search", "collection", "admin",  "other"};

/* Exact codes, then the classes. 0: no answer. */
static const unsigned codes[] = {0,   200, 201, 204, 304, 400, 401, 403, 404, 405,
                                 408, 409, 410, 411, 412, 413, 414, 415, 417, 422,
                                 429, 431, 500, 501, 502, 503, 504, 505};
enum { code_count = COUNT_OF(codes), class_first = code_count - 1 };
static_assert(code_count + 4 <= REQUEST_METRICS_CODES, "codes and classes 2xx..5xx fit");

static const char *const class_names[] = {
    [CHROMA_CLASS_OTHER] = "other", [CHROMA_CLASS_READ] = "read", [CHROMA_CLASS_WRITE] = "write"};

static size_t      op_index(const struct chroma_operation_info *info);
static size_t      code_index(unsigned code);
static void        code_label(size_t index, char *label, size_t size);
static enum status print_requests(const struct request_metrics *metrics, struct byte_buffer *out);
static enum status print_backend(const struct request_metrics *metrics, struct byte_buffer *out);
static enum status print_classes(const struct request_metrics *metrics, struct byte_buffer *out);
static enum status print_shed(const struct request_metrics *metrics, struct byte_buffer *out);
static bool        is_empty(const struct metric_histogram *histogram);

/* Append a line; the enclosing function returns when that fails. */
#define APPEND(out, ...)                                                                           \
    do {                                                                                           \
        enum status append_status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX, __VA_ARGS__);   \
        if (append_status != STATUS_OK)                                                            \
            return append_status;                                                                  \
    } while (0)

#define TRY(call)                                                                                  \
    do {                                                                                           \
        enum status try_status = (call);                                                           \
        if (try_status != STATUS_OK)                                                               \
            return try_status;                                                                     \
    } while (0)

const char *request_metrics_source_name(enum request_metrics_source source)
{
    static const char *const names[REQUEST_METRICS_SOURCES] = {
        [REQUEST_METRICS_SOURCE_BACKEND] = "backend",
        [REQUEST_METRICS_SOURCE_CACHE] = "cache",
        [REQUEST_METRICS_SOURCE_COLLAPSED] = "collapsed",
        [REQUEST_METRICS_SOURCE_MIRROR] = "mirror",
        [REQUEST_METRICS_SOURCE_PROXY] = "proxy"};

    return names[source];
}

void request_metrics_count(struct request_metrics             *metrics,
                           const struct chroma_operation_info *info, unsigned code,
                           enum request_metrics_source source, uint64_t duration_us)
{
    size_t op = op_index(info);

    metrics->requests[op][code_index(code)][source]++;
    metric_histogram_add(&metrics->duration[op][source], duration_us);
}

void request_metrics_count_backend(struct request_metrics             *metrics,
                                   const struct chroma_operation_info *info, unsigned code,
                                   uint64_t duration_us)
{
    size_t op = op_index(info);

    metrics->backend_requests[op][code_index(code)]++;
    metric_histogram_add(&metrics->backend_duration[op], duration_us);
}

/* The names are few and static, so the table's own pointers usually decide at the first byte. */
static size_t op_index(const struct chroma_operation_info *info)
{
    for (size_t i = 0; i < REQUEST_METRICS_OPS; i++)
        if (strcmp(op_names[i], info->metric_op) == 0)
            return i;
    return REQUEST_METRICS_OPS - 1;
}

static size_t code_index(unsigned code)
{
    for (size_t i = 0; i < code_count; i++)
        if (codes[i] == code)
            return i;
    return code >= 200 && code <= 599 ? class_first + code / 100 - 1 : 0;
}

static void code_label(size_t index, char *label, size_t size)
{
    if (index < code_count)
        snprintf(label, size, "%u", codes[index]);
    else
        snprintf(label, size, "%zuxx", index - class_first + 1);
}

enum status request_metrics_print(const struct request_metrics *metrics, struct byte_buffer *out)
{
    TRY(print_requests(metrics, out));
    TRY(print_backend(metrics, out));
    TRY(print_classes(metrics, out));
    TRY(print_shed(metrics, out));
    TRY(metric_print_header(out, "chromabouncer_overhead_seconds", "histogram",
                            "Time that requests spent in this process, waiting not counted."));
    TRY(metric_print_histogram(out, "chromabouncer_overhead_seconds", "", &metrics->overhead));
    TRY(metric_print_header(out, "chromabouncer_backend_hung_calls", "gauge",
                            "Calls of every kind that the backend has not answered for 10 s."));
    APPEND(out, "chromabouncer_backend_hung_calls %" PRIu64 "\n", metrics->hung);
    TRY(metric_print_header(out, "chromabouncer_requests_aborted_total", "counter",
                            "Requests whose client left before its answer was complete."));
    APPEND(out, "chromabouncer_requests_aborted_total %" PRIu64 "\n", metrics->aborted);
    return STATUS_OK;
}

static enum status print_requests(const struct request_metrics *metrics, struct byte_buffer *out)
{
    char label[64];

    TRY(metric_print_header(out, "chromabouncer_requests_total", "counter",
                            "Requests by operation, status code (0: the client left before there "
                            "was one) and who answered."));
    for (size_t op = 0; op < REQUEST_METRICS_OPS; op++)
        for (size_t code = 0; code < REQUEST_METRICS_CODES; code++)
            for (size_t source = 0; source < REQUEST_METRICS_SOURCES; source++) {
                if (metrics->requests[op][code][source] == 0)
                    continue;
                code_label(code, label, sizeof label);
                APPEND(out,
                       "chromabouncer_requests_total{op=\"%s\",code=\"%s\",source=\"%s\"} %" PRIu64
                       "\n",
                       op_names[op], label,
                       request_metrics_source_name((enum request_metrics_source)source),
                       metrics->requests[op][code][source]);
            }
    TRY(metric_print_header(out, "chromabouncer_request_duration_seconds", "histogram",
                            "From a request's first byte to the last byte of its answer."));
    for (size_t op = 0; op < REQUEST_METRICS_OPS; op++)
        for (size_t source = 0; source < REQUEST_METRICS_SOURCES; source++) {
            if (is_empty(&metrics->duration[op][source]))
                continue;
            snprintf(label, sizeof label, "op=\"%s\",source=\"%s\"", op_names[op],
                     request_metrics_source_name((enum request_metrics_source)source));
            TRY(metric_print_histogram(out, "chromabouncer_request_duration_seconds", label,
                                       &metrics->duration[op][source]));
        }
    return STATUS_OK;
}

static enum status print_backend(const struct request_metrics *metrics, struct byte_buffer *out)
{
    char label[64];

    TRY(metric_print_header(out, "chromabouncer_backend_requests_total", "counter",
                            "Requests sent to the backend, by status code (0: no answer)."));
    for (size_t op = 0; op < REQUEST_METRICS_OPS; op++)
        for (size_t code = 0; code < REQUEST_METRICS_CODES; code++) {
            if (metrics->backend_requests[op][code] == 0)
                continue;
            code_label(code, label, sizeof label);
            APPEND(out, "chromabouncer_backend_requests_total{op=\"%s\",code=\"%s\"} %" PRIu64 "\n",
                   op_names[op], label, metrics->backend_requests[op][code]);
        }
    TRY(metric_print_header(out, "chromabouncer_backend_request_duration_seconds", "histogram",
                            "From sending a request to the last byte of the backend's answer."));
    for (size_t op = 0; op < REQUEST_METRICS_OPS; op++) {
        if (is_empty(&metrics->backend_duration[op]))
            continue;
        snprintf(label, sizeof label, "op=\"%s\"", op_names[op]);
        TRY(metric_print_histogram(out, "chromabouncer_backend_request_duration_seconds", label,
                                   &metrics->backend_duration[op]));
    }
    return STATUS_OK;
}

static enum status print_classes(const struct request_metrics *metrics, struct byte_buffer *out)
{
    char label[32];

    TRY(metric_print_header(out, "chromabouncer_queue_wait_seconds", "histogram",
                            "Time that requests waited for a connection to the backend."));
    for (size_t i = 0; i < COUNT_OF(class_names); i++) {
        snprintf(label, sizeof label, "class=\"%s\"", class_names[i]);
        TRY(metric_print_histogram(out, "chromabouncer_queue_wait_seconds", label,
                                   &metrics->queue_wait[i]));
    }
    TRY(metric_print_header(out, "chromabouncer_queue_requests", "gauge",
                            "Requests that wait for the backend or are being received."));
    for (size_t i = 0; i < COUNT_OF(class_names); i++)
        APPEND(out, "chromabouncer_queue_requests{class=\"%s\"} %" PRIu64 "\n", class_names[i],
               metrics->queued[i]);
    TRY(metric_print_header(out, "chromabouncer_inflight_requests", "gauge",
                            "Requests that the backend is working on."));
    for (size_t i = 0; i < COUNT_OF(class_names); i++)
        APPEND(out, "chromabouncer_inflight_requests{class=\"%s\"} %" PRIu64 "\n", class_names[i],
               metrics->inflight[i]);
    return STATUS_OK;
}

static enum status print_shed(const struct request_metrics *metrics, struct byte_buffer *out)
{
    TRY(metric_print_header(out, "chromabouncer_shed_total", "counter",
                            "Requests answered with an error of our own, by reason."));
    for (size_t i = 0; i < STATUS_COUNT; i++) {
        if (metrics->shed[i] == 0)
            continue;
        APPEND(out, "chromabouncer_shed_total{reason=\"%s\"} %" PRIu64 "\n",
               status_name((enum status)i), metrics->shed[i]);
    }
    return STATUS_OK;
}

static bool is_empty(const struct metric_histogram *histogram)
{
    for (size_t i = 0; i <= METRIC_BUCKETS; i++)
        if (histogram->buckets[i] != 0)
            return false;
    return true;
}
