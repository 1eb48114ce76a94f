#include "bench/bench_engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench_client.h"
#include "bench/bench_history.h"
#include "bench/bench_random.h"

enum { EVENTS_AT_ONCE = 256, CLIENTS_AT_ONCE = 256, BACKLOG_MAX = 1 << 20 };

static const uint64_t sweep_us = 20000;       /* how often deadlines are looked at */
static const uint64_t retry_after_us = 20000; /* of a client that could not connect */

static volatile sig_atomic_t interrupted;

/* What one group has besides its options. */
struct group {
    const struct bench_engine_group *options;
    struct bench_client            **idle; /* open loop: a stack */
    size_t                           idle_count;
    uint64_t                        *backlog; /* open loop: intended times, a ring */
    size_t                           backlog_first, backlog_count;
    double                           next_arrival_us;
};

struct engine {
    const struct bench_engine_options *options;
    struct bench_result               *result;
    int                                epoll;
    struct bench_client               *clients;
    size_t                             client_count, started_count;
    struct group                       groups[BENCH_ENGINE_GROUPS_MAX];
    struct bench_request               unsent; /* stands for requests that never got a client */
    uint64_t                           now_us, start_us, measure_us, end_us, last_us, next_sweep_us;
    uint64_t                           in_flight, sent, measured; /* requests */
    bool                               is_stopping;
};

static enum status init(struct engine *engine, struct error *error);
static bool        init_group(struct engine *engine, size_t i, struct bench_client *clients);
static void        done(struct engine *engine);
static void        run(struct engine *engine);
static void        start_clients(struct engine *engine);
static void        arrive(struct engine *engine, struct group *group);
static void        bench_engine_next(struct engine *engine, struct bench_client *client);
static void send_request(struct engine *engine, struct bench_client *client, uint64_t intended_us);
static void wait_for_events(struct engine *engine);
static uint64_t wake_up_us(const struct engine *engine);
static void     complete(struct engine *engine, struct bench_client *client,
                         enum bench_client_outcome outcome);
static void     record(struct engine *engine, const struct bench_client *client,
                       enum bench_client_outcome outcome);
static void     record_success(struct engine *engine, struct bench_result_op *op,
                               const struct bench_client *client);
static void     sweep(struct engine *engine);
static void     expire_backlog(struct engine *engine, struct group *group);
static bool     is_over(const struct engine *engine);
static uint64_t cpu_us(void);

uint64_t bench_engine_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

enum status bench_engine_run(const struct bench_engine_options *options,
                             struct bench_result *result, struct error *error)
{
    struct engine engine = {.options = options, .result = result, .epoll = -1};
    uint64_t      cpu_before_us = cpu_us();
    enum status   status;

    *result = (struct bench_result){0};
    status = init(&engine, error);
    if (status == STATUS_OK) {
        run(&engine);
        result->cpu_us = cpu_us() - cpu_before_us;
        result->requests = engine.sent;
        result->measured_us = options->duration_us;
        if (options->count > 0)
            result->measured_us =
                engine.last_us > engine.measure_us ? engine.last_us - engine.measure_us : 0;
    }
    done(&engine);
    return interrupted ? error_set(error, STATUS_CANCELLED, "interrupted") : status;
}

void bench_engine_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = true;
}

static enum status init(struct engine *engine, struct error *error)
{
    const struct bench_engine_options *options = engine->options;
    size_t                             first = 0;

    for (size_t i = 0; i < options->group_count; i++)
        engine->client_count += options->groups[i].clients;
    engine->clients = calloc(engine->client_count, sizeof(*engine->clients));
    engine->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (engine->epoll < 0)
        return error_set(error, STATUS_IO_FAILED, "epoll: %s", strerror(errno));
    if (engine->clients == NULL)
        return error_set(error, STATUS_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < options->group_count; i++) {
        if (!init_group(engine, i, engine->clients + first))
            return error_set(error, STATUS_NO_MEMORY, "out of memory");
        first += options->groups[i].clients;
    }
    return STATUS_OK;
}

static bool init_group(struct engine *engine, size_t i, struct bench_client *clients)
{
    const struct bench_engine_group *options = &engine->options->groups[i];
    struct group                    *group = &engine->groups[i];

    group->options = options;
    if (options->rate > 0) {
        group->idle = calloc(options->clients, sizeof(struct bench_client *));
        group->backlog = calloc(BACKLOG_MAX, sizeof(*group->backlog));
        if (group->idle == NULL || group->backlog == NULL)
            return false;
    }
    for (size_t j = 0; j < options->clients; j++) {
        const struct bench_target *target =
            &engine->options->targets[j % engine->options->target_count];

        if (!bench_client_init(&clients[j], target, engine->epoll))
            return false;
        clients[j].number = (size_t)(clients + j - engine->clients);
        clients[j].group = i;
        clients[j].collection = j;
        if (options->rate > 0)
            group->idle[group->idle_count++] = &clients[j];
    }
    return true;
}

static void done(struct engine *engine)
{
    for (size_t i = 0; engine->clients != NULL && i < engine->client_count; i++) {
        if (engine->clients[i].target != NULL)
            bench_client_done(&engine->clients[i]);
    }
    for (size_t i = 0; i < BENCH_ENGINE_GROUPS_MAX; i++) {
        free(engine->groups[i].idle);
        free(engine->groups[i].backlog);
    }
    bench_request_done(&engine->unsent);
    free(engine->clients);
    if (engine->epoll >= 0)
        close(engine->epoll);
}

static void run(struct engine *engine)
{
    const struct bench_engine_options *options = engine->options;

    engine->now_us = engine->start_us = bench_engine_now_us();
    engine->measure_us = engine->last_us = engine->start_us + options->warm_up_us;
    engine->end_us = options->count > 0 ? UINT64_MAX : engine->measure_us + options->duration_us;
    for (size_t i = 0; i < options->group_count; i++)
        engine->groups[i].next_arrival_us = (double)engine->start_us;
    while (!is_over(engine) && !interrupted) {
        if (engine->now_us >= engine->end_us)
            engine->is_stopping = true;
        start_clients(engine);
        for (size_t i = 0; i < options->group_count; i++) {
            if (options->groups[i].rate > 0)
                arrive(engine, &engine->groups[i]);
        }
        if (engine->now_us >= engine->next_sweep_us)
            sweep(engine);
        wait_for_events(engine);
    }
}

static bool is_over(const struct engine *engine)
{
    if (!engine->is_stopping || engine->in_flight > 0)
        return false;
    for (size_t i = 0; i < engine->options->group_count; i++) {
        if (engine->groups[i].backlog_count > 0)
            return false;
    }
    return true;
}

/* Closed loop: clients begin some at a time, lest the server's queue of new connections is the
 * first thing that is measured. */
static void start_clients(struct engine *engine)
{
    size_t stop = engine->started_count + CLIENTS_AT_ONCE;

    while (engine->started_count < engine->client_count && engine->started_count < stop) {
        struct bench_client *client = &engine->clients[engine->started_count++];

        if (engine->groups[client->group].options->rate == 0)
            bench_engine_next(engine, client);
    }
}

/* Open loop: what is due by now goes to an idle client or waits for one. */
static void arrive(struct engine *engine, struct group *group)
{
    struct bench_result *result = engine->result;

    while (!engine->is_stopping && group->next_arrival_us <= (double)engine->now_us) {
        uint64_t intended_us = (uint64_t)group->next_arrival_us;
        size_t   slot = (group->backlog_first + group->backlog_count) % BACKLOG_MAX;

        group->next_arrival_us +=
            bench_random_interval(&engine->options->source->rng, 1e6 / group->options->rate);
        if (intended_us >= engine->measure_us)
            histogram_record(&result->lag, engine->now_us - intended_us);
        if (group->backlog_count == BACKLOG_MAX)
            expire_backlog(engine, group);
        group->backlog[slot] = intended_us;
        group->backlog_count++;
        if (group->idle_count > 0)
            bench_engine_next(engine, group->idle[--group->idle_count]);
        else
            result->waited++;
    }
}

/* `client` is free: give it the next request of its group, if there is one. */
static void bench_engine_next(struct engine *engine, struct bench_client *client)
{
    struct group *group = &engine->groups[client->group];

    if (group->options->rate == 0) {
        if (!engine->is_stopping)
            send_request(engine, client, engine->now_us);
    } else if (group->backlog_count > 0) {
        uint64_t intended_us = group->backlog[group->backlog_first];

        group->backlog_first = (group->backlog_first + 1) % BACKLOG_MAX;
        group->backlog_count--;
        send_request(engine, client, intended_us);
    } else {
        group->idle[group->idle_count++] = client;
    }
}

static void send_request(struct engine *engine, struct bench_client *client, uint64_t intended_us)
{
    enum bench_client_outcome outcome;
    bool                      is_opened = false;

    client->intended_us = intended_us;
    engine->in_flight++;
    engine->sent++;
    if (intended_us >= engine->measure_us && ++engine->measured == engine->options->count)
        engine->is_stopping = true;
    if (!bench_request_build(&client->request, engine->options->source,
                             &engine->groups[client->group].options->mix, client->collection))
        abort(); /* out of memory: a load generator has nothing better to do */
    outcome = bench_client_start(client, &is_opened);
    engine->result->connections += is_opened;
    if (outcome != BENCH_CLIENT_PENDING)
        complete(engine, client, outcome);
}

static void wait_for_events(struct engine *engine)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t           until_us = wake_up_us(engine), now_us = bench_engine_now_us();
    uint64_t           wait_us = until_us > now_us ? until_us - now_us : 0;
    struct timespec    wait = {.tv_sec = (time_t)(wait_us / 1000000),
                               .tv_nsec = (long)(wait_us % 1000000) * 1000};
    int                count = epoll_pwait2(engine->epoll, events, EVENTS_AT_ONCE, &wait, NULL);

    if (count < 0 && errno == ENOSYS) /* before Linux 5.11 */
        count = epoll_wait(engine->epoll, events, EVENTS_AT_ONCE, (int)(wait_us / 1000));
    engine->now_us = bench_engine_now_us();
    for (int i = 0; i < count; i++) {
        struct bench_client      *client = events[i].data.ptr;
        enum bench_client_outcome outcome = bench_client_on_event(client, events[i].events);

        if (outcome == BENCH_CLIENT_PENDING)
            continue;
        if (count > 1)
            engine->now_us = bench_engine_now_us();
        complete(engine, client, outcome);
    }
}

static uint64_t wake_up_us(const struct engine *engine)
{
    uint64_t until_us = engine->next_sweep_us;

    if (engine->started_count < engine->client_count)
        return 0;
    if (!engine->is_stopping && engine->end_us < until_us)
        until_us = engine->end_us;
    for (size_t i = 0; i < engine->options->group_count && !engine->is_stopping; i++) {
        const struct group *group = &engine->groups[i];

        if (group->options->rate > 0 && group->next_arrival_us < (double)until_us)
            until_us = (uint64_t)group->next_arrival_us;
    }
    return until_us;
}

static void complete(struct engine *engine, struct bench_client *client,
                     enum bench_client_outcome outcome)
{
    engine->in_flight--;
    engine->last_us = engine->now_us;
    record(engine, client, outcome);
    if (outcome == BENCH_CLIENT_FAILED && client->failure == BENCH_RESULT_CONNECT)
        client->retry_us = engine->now_us + retry_after_us;
    else
        bench_engine_next(engine, client);
}

static void record(struct engine *engine, const struct bench_client *client,
                   enum bench_client_outcome outcome)
{
    struct bench_result    *result = engine->result;
    struct bench_result_op *op = &result->ops[client->request.op];
    uint64_t                latency_us = engine->now_us - client->intended_us;
    bool                    is_ok = client->status >= 200 && client->status <= 299;

    if (engine->options->history != NULL) {
        struct bench_history_entry entry = {.request = &client->request,
                                            .collection = client->collection %
                                                          engine->options->source->collection_count,
                                            .start_us = client->intended_us - engine->start_us,
                                            .end_us = engine->now_us - engine->start_us,
                                            .failure = client->failure,
                                            .executed = client->executed};

        entry.status = outcome == BENCH_CLIENT_ANSWERED ? client->status : 0;
        bench_history_write(engine->options->history, engine->options->source, &entry);
    }
    if (outcome == BENCH_CLIENT_ANSWERED && is_ok)
        record_success(engine, op, client);
    else if (outcome == BENCH_CLIENT_ANSWERED && result->first_error[0] == '\0')
        snprintf(result->first_error, sizeof(result->first_error), "%u %.*s", client->status,
                 (int)client->text_size, client->text);
    if (client->intended_us < engine->measure_us)
        return;
    op->executed[client->executed]++;
    if (outcome == BENCH_CLIENT_FAILED) {
        op->failures[client->failure]++;
        return;
    }
    op->statuses[client->status < BENCH_RESULT_STATUSES ? client->status : 0]++;
    histogram_record(is_ok ? &op->ok : &op->not_ok, latency_us);
}

/* Throughput counts what was completed in the measured time, whenever it began. */
static void record_success(struct engine *engine, struct bench_result_op *op,
                           const struct bench_client *client)
{
    struct bench_result *result = engine->result;
    size_t               records = client->request.records, second;

    if (client->intended_us >= engine->measure_us)
        op->records += records;
    if (engine->now_us < engine->measure_us || engine->now_us > engine->end_us)
        return;
    op->completed++;
    op->completed_records += records;
    second = (size_t)((engine->now_us - engine->measure_us) / 1000000);
    if (second >= BENCH_RESULT_SERIES_MAX)
        return;
    result->series[second] += (uint32_t)(records == 0 ? 1 : records);
    if (second >= result->series_count)
        result->series_count = second + 1;
}

/* Look for deadlines that have passed and for clients that have slept enough. */
static void sweep(struct engine *engine)
{
    uint64_t deadline_us = engine->options->deadline_us;

    engine->next_sweep_us = engine->now_us + sweep_us;
    for (size_t i = 0; i < engine->started_count; i++) {
        struct bench_client *client = &engine->clients[i];

        if (client->is_busy && engine->now_us - client->intended_us > deadline_us) {
            bench_client_close(client);
            client->failure = BENCH_RESULT_DEADLINE;
            complete(engine, client, BENCH_CLIENT_FAILED);
        } else if (client->retry_us != 0 && client->retry_us <= engine->now_us) {
            client->retry_us = 0;
            bench_engine_next(engine, client);
        }
    }
    for (size_t i = 0; i < engine->options->group_count; i++) {
        struct group *group = &engine->groups[i];

        while (group->backlog_count > 0 &&
               engine->now_us - group->backlog[group->backlog_first] > deadline_us)
            expire_backlog(engine, group);
    }
}

/* The oldest request that waits for a client will never be sent. */
static void expire_backlog(struct engine *engine, struct group *group)
{
    struct bench_client nobody = {.intended_us = group->backlog[group->backlog_first],
                                  .failure = BENCH_RESULT_DEADLINE};

    if (!bench_request_build(&engine->unsent, engine->options->source, &group->options->mix, 0))
        abort();
    group->backlog_first = (group->backlog_first + 1) % BACKLOG_MAX;
    group->backlog_count--;
    nobody.request = engine->unsent;
    engine->sent++;
    record(engine, &nobody, BENCH_CLIENT_FAILED);
}

static uint64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}
