#include "calls/read_limit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/metric.h"

/* A few at first: less than a small Chroma can do makes it wait for a second or two, more than it
 * can do piles up. Connections bound it above. */
static const struct concurrency_limit_options adaptive_options = {
    .start = 4, .min = 1, .max = UINT16_MAX};

struct read_limit {
    struct turn_queue        *turns;
    struct concurrency_limit *adaptive;
    size_t                    reads_max; /* as in the options */
    size_t                    connections_max;
    uint64_t                  write_ended_us; /* the last one */
    uint64_t                  refused, refused_connections;
};

static size_t read_limit_value(const struct read_limit *limit);
static void   read_limit_apply(struct read_limit *limit);

static const char *const class_names[CONCURRENCY_CLASSES] = {[CONCURRENCY_GET] = "get",
                                                             [CONCURRENCY_QUERY] = "query",
                                                             [CONCURRENCY_FILTERED] = "filtered",
                                                             [CONCURRENCY_LARGE] = "large"};

struct read_limit *read_limit_new(struct turn_queue *turns)
{
    struct read_limit *limit = calloc(1, sizeof *limit);

    if (limit == NULL)
        return NULL;
    limit->turns = turns;
    limit->adaptive = concurrency_limit_new(&adaptive_options);
    if (limit->adaptive == NULL) {
        free(limit);
        return NULL;
    }
    return limit;
}

void read_limit_free(struct read_limit *limit)
{
    if (limit == NULL)
        return;
    concurrency_limit_free(limit->adaptive);
    free(limit);
}

void read_limit_set(struct read_limit *limit, const struct proxy_options *options)
{
    struct turn_queue_options turns = {.connections_max = options->connections_max,
                                       .standing_us = READ_LIMIT_STANDING_US};

    limit->reads_max = options->reads_max;
    limit->connections_max = options->connections_max;
    turns.turns_max[TURN_READ] = read_limit_value(limit);
    turns.shed_us[TURN_READ] = options->sheds ? READ_LIMIT_SHED_US : 0;
    turn_queue_set_options(limit->turns, &turns);
}

static size_t read_limit_value(const struct read_limit *limit)
{
    return limit->reads_max == PROXY_READS_ADAPTIVE ? concurrency_limit_value(limit->adaptive)
                                                    : limit->reads_max;
}

void read_limit_sent(struct read_limit *limit)
{
    concurrency_limit_sent(limit->adaptive);
}

void read_limit_ended(struct read_limit *limit, struct concurrency_read read, uint64_t sent_us,
                      uint64_t now_us)
{
    read.is_beside_write =
        turn_queue_stats(limit->turns)->turns[TURN_WRITE] > 0 || limit->write_ended_us >= sent_us;
    if (sent_us == 0 && read.outcome != CONCURRENCY_DROPPED)
        read.outcome = CONCURRENCY_NOTHING;
    concurrency_limit_ended(limit->adaptive, &read, now_us);
    read_limit_apply(limit);
}

static void read_limit_apply(struct read_limit *limit)
{
    if (limit->reads_max == PROXY_READS_ADAPTIVE)
        turn_queue_set_turns_max(limit->turns, TURN_READ, read_limit_value(limit));
}

void read_limit_write_ended(struct read_limit *limit, uint64_t now_us)
{
    limit->write_ended_us = now_us;
}

void read_limit_restart(struct read_limit *limit)
{
    concurrency_limit_restart(limit->adaptive);
    read_limit_apply(limit);
}

void read_limit_refuse(struct read_limit *limit, const struct turn *turn, const char *service,
                       enum turn_bound by, bool is_early, char out[READ_LIMIT_TEXT_SIZE])
{
    char bound[160];

    limit->refused += by == TURN_BOUND_CLASS;
    limit->refused_connections += by == TURN_BOUND_CONNECTIONS;
    switch (by) {
    case TURN_BOUND_GATE:
        snprintf(bound, sizeof bound, "services.%s.collection.concurrency_%s_max is %zu", service,
                 turn->class == TURN_WRITE ? "writes" : "reads", turn->gate->max);
        break;
    case TURN_BOUND_SERVICE:
        snprintf(bound, sizeof bound, "services.%s.concurrency_max is %zu", service,
                 turn_queue_service_turns_max(limit->turns, turn->service));
        break;
    case TURN_BOUND_CLASS:
        snprintf(bound, sizeof bound, "reads.limit%s is %zu now",
                 limit->reads_max == PROXY_READS_ADAPTIVE ? " (adaptive)" : "",
                 read_limit_value(limit));
        break;
    case TURN_BOUND_CONNECTIONS:
        snprintf(bound, sizeof bound, "backend.connections_max (%zu) lets %zu reads go",
                 limit->connections_max, turn_queue_turns_max(limit->turns, TURN_READ));
        break;
    }
    snprintf(out, READ_LIMIT_TEXT_SIZE,
             "its turn did not come in time: %s, and others were before it; nothing was done. Ask "
             "again later. The operator can raise that limit (chromabouncer ctl set), or let "
             "requests wait %s",
             bound,
             is_early                    ? "instead (overload: wait)"
             : turn->class == TURN_WRITE ? "for longer (deadline.write)"
                                         : "for longer (queue.wait_max, deadline.read)");
}

void read_limit_state(const struct read_limit *limit, struct limits_state *ret)
{
    const struct turn_queue_stats *stats = turn_queue_stats(limit->turns);

    ret->reads = stats->turns[TURN_READ] - stats->exempt_turns;
    ret->reads_max = turn_queue_turns_max(limit->turns, TURN_READ);
    ret->reads_adaptive = concurrency_limit_value(limit->adaptive);
    ret->reads_waiting = stats->waiting[TURN_READ];
    ret->refused.reads = limit->refused;
    ret->refused.connections = limit->refused_connections;
}

enum status read_limit_print_metrics(const struct read_limit *limit, uint64_t writes_max,
                                     struct byte_buffer *out)
{
    static const struct metric_desc of_state[] = {
        METRIC_LABELED(GAUGE, limits_state, reads_max, "chromabouncer_inflight_limit",
                       "class=\"read\"",
                       "Calls that the backend gets at a time, by reads.limit, "
                       "writes.in_flight_max or what backend.connections_max allows."),
        METRIC_LABELED(GAUGE, limits_state, writes_max, "chromabouncer_inflight_limit",
                       "class=\"write\"", ""),
        METRIC(GAUGE, limits_state, reads_adaptive, "chromabouncer_reads_adaptive_limit",
               "What reads.limit: adaptive would allow, or allows: reads at the backend at a "
               "time.")};
    struct limits_state state = {.writes_max = writes_max};
    enum status         status;

    read_limit_state(limit, &state);
    status = metric_print(out, of_state, COUNT_OF(of_state), &state);
    if (status == STATUS_OK)
        status = metric_print_header(out, "chromabouncer_reads_ease_seconds", "gauge",
                                     "What a read of this kind takes while the backend is at ease; "
                                     "0: not known yet.");
    for (size_t i = 0; i < CONCURRENCY_CLASSES && status == STATUS_OK; i++) {
        uint64_t us = concurrency_limit_ease_us(limit->adaptive, (enum concurrency_class)i);

        status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                    "chromabouncer_reads_ease_seconds{kind=\"%s\"} %" PRIu64
                                    ".%06" PRIu64 "\n",
                                    class_names[i], us / 1000000, us % 1000000);
    }
    return status;
}
