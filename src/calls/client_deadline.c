#include "calls/client_deadline.h"

#include "base/metric.h"

enum { digits_max_ms = 10, digits_max_grpc = 8 };

static bool   field_time(const struct http_field *field, uint64_t *ret_us, const char **ret_name);
static bool   read_digits(struct bytes text, size_t digits_max, uint64_t *ret_number);
static bool   read_grpc(struct bytes text, uint64_t *ret_us);
static size_t operation_of(const struct chroma_operation_info *info);

bool client_deadline_read(const struct http_head *head, uint64_t *ret_us, const char **ret_field,
                          unsigned *ret_malformed)
{
    *ret_us = UINT64_MAX;
    *ret_malformed = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const char *name = NULL;
        uint64_t    time_us = 0;
        bool        is_good = field_time(&head->fields[i], &time_us, &name) && time_us > 0;

        *ret_malformed += name != NULL && !is_good;
        if (!is_good || time_us >= *ret_us)
            continue;
        *ret_us = time_us;
        *ret_field = name;
    }
    return *ret_us != UINT64_MAX;
}

/* *ret_name is set for a field that means to give one. */
static bool field_time(const struct http_field *field, uint64_t *ret_us, const char **ret_name)
{
    uint64_t ms;

    switch (field->id) {
    case HTTP_FIELD_X_REQUEST_TIMEOUT_MS:
        *ret_name = "x-request-timeout-ms";
        break;
    case HTTP_FIELD_X_ENVOY_TIMEOUT_MS:
        *ret_name = "x-envoy-expected-rq-timeout-ms";
        break;
    case HTTP_FIELD_GRPC_TIMEOUT:
        *ret_name = "grpc-timeout";
        return read_grpc(field->value, ret_us);
    default:
        return false;
    }
    if (!read_digits(field->value, digits_max_ms, &ms))
        return false;
    *ret_us = ms * 1000;
    return true;
}

static bool read_digits(struct bytes text, size_t digits_max, uint64_t *ret_number)
{
    *ret_number = 0;
    if (text.size == 0 || text.size > digits_max)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *ret_number = *ret_number * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

/* As the gRPC protocol has it over HTTP/2. */
static bool read_grpc(struct bytes text, uint64_t *ret_us)
{
    static const struct {
        char     unit;
        uint64_t us;
    } units[] = {{'H', UINT64_C(3600000000)},
                 {'M', 60000000},
                 {'S', 1000000},
                 {'m', 1000},
                 {'u', 1},
                 {'n', 0}};
    uint64_t number;

    if (text.size < 2 || !read_digits((struct bytes){.data = text.data, .size = text.size - 1},
                                      digits_max_grpc, &number))
        return false;
    for (size_t i = 0; i < COUNT_OF(units); i++) {
        if (units[i].unit != text.data[text.size - 1])
            continue;
        *ret_us = units[i].us == 0 ? (number + 999) / 1000 : number * units[i].us;
        return true;
    }
    return false;
}

void client_deadline_stop(struct client_deadline *deadline)
{
    loop_timer_free(deadline->timer);
    deadline->timer = NULL;
}

uint64_t client_deadline_floor(const struct client_deadlines *deadlines,
                               enum chroma_operation operation, uint64_t now_us)
{
    return time_floor_get(&deadlines->floors[operation], now_us);
}

/* What refuses a request is quick, so it teaches nothing. */
void client_deadline_learn(struct client_deadlines            *deadlines,
                           const struct chroma_operation_info *info, unsigned status,
                           uint64_t took_us, uint64_t now_us)
{
    if (status < 400)
        time_floor_note(&deadlines->floors[operation_of(info)], took_us, now_us);
}

/* They are rows of one table. */
static size_t operation_of(const struct chroma_operation_info *info)
{
    return (size_t)(info - chroma_route_info((enum chroma_operation)0));
}

static const struct metric_desc deadline_metrics[] = {
    METRIC(COUNTER, client_deadlines, given, "chromabouncer_client_deadlines_total",
           "Requests whose client gave a deadline (deadline.from_client)."),
    METRIC(COUNTER, client_deadlines, malformed, "chromabouncer_client_deadlines_malformed_total",
           "Fields that should give a deadline and do not."),
    METRIC_LABELED(COUNTER, client_deadlines, unsent, "chromabouncer_client_deadlines_missed_total",
                   "sent=\"no\"",
                   "Requests answered 504 for their client's deadline. Not sent: the time left "
                   "could not suffice. Sent: the answer did not come in time."),
    METRIC_LABELED(COUNTER, client_deadlines, passed, "chromabouncer_client_deadlines_missed_total",
                   "sent=\"yes\"", ""),
};

enum status client_deadline_print_metrics(const struct client_deadlines *deadlines,
                                          struct byte_buffer            *out)
{
    return metric_print(out, deadline_metrics, COUNT_OF(deadline_metrics), deadlines);
}
