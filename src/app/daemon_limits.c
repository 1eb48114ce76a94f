#include "app/daemon_limits.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/metric.h"
#include "base/text.h"
#include "lanes/guard.h"

#define LIMIT_REFUSED "chromabouncer_limit_refused_total"

/* A row: which limit, of which service ("": of all), what its setting says, and in its unit what
 * there may be, what there is, what waits for it now and what was refused for it so far. What is
 * counted for each address, collection, request or body has no use as a whole: 0, and so is what is
 * no number. */
struct limit_row {
    const char *limit, *service, *setting;
    uint64_t    bound, in_use, waiting, refused;
};

/* The walk over all of them: one table for ctl and for the metrics. */
struct limit_walk {
    const struct daemon *daemon;
    struct limits_state  state;
    void (*take)(struct limit_walk *walk, const struct limit_row *row);
    json_t             *list; /* for list_limit() */
    struct byte_buffer *out;  /* for print_refused() */
    enum status         status;
};

static void walk_limits(struct limit_walk *walk);
static void walk_queue(struct limit_walk *walk);
static void walk_memory(struct limit_walk *walk);
static void walk_clients(struct limit_walk *walk);
static void walk_deadlines(struct limit_walk *walk);
static void walk_breaker(struct limit_walk *walk);
static void walk_guard(struct limit_walk *walk);
static void walk_service(void *ctx, const struct service_state *state);
static void take_setting(struct limit_walk *walk, enum settings_id id, const char *of,
                         struct limit_row row);
static void take_of_service(struct limit_walk *walk, const char *service, const char *key,
                            struct limit_row row);
static void list_limit(struct limit_walk *walk, const struct limit_row *row);
static void print_refused(struct limit_walk *walk, const struct limit_row *row);

enum status daemon_limits_list(const struct daemon *daemon, json_t *answer)
{
    struct limit_walk walk = {.daemon = daemon, .take = list_limit, .list = json_array()};
    char              overload[SETTINGS_VALUE_SIZE];

    if (walk.list == NULL)
        return STATUS_NO_MEMORY;
    walk_limits(&walk);
    settings_print(daemon->settings, SETTINGS_ID_overload, overload);
    if (json_object_set_new(answer, "overload", json_string(overload)) != 0 ||
        json_object_set_new(answer, "reads_adaptive",
                            json_integer((json_int_t)walk.state.reads_adaptive)) != 0) {
        json_decref(walk.list);
        return STATUS_NO_MEMORY;
    }
    return json_object_set_new(answer, "limits", walk.list) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status daemon_limits_print_metrics(const struct daemon *daemon, struct byte_buffer *out)
{
    struct limit_walk walk = {.daemon = daemon, .take = print_refused, .out = out};

    walk.status = metric_print_header(
        out, LIMIT_REFUSED, "counter",
        "Requests whose client was told that this limit is why they were refused, or ended at a "
        "deadline; by the names of ctl limits. Rising: doc/limits.md tells what raises it.");
    walk_limits(&walk);
    return walk.status;
}

static void walk_limits(struct limit_walk *walk)
{
    walk->state = proxy_limits(walk->daemon->proxy);
    walk_queue(walk);
    walk_memory(walk);
    walk_clients(walk);
    walk_deadlines(walk);
    walk_breaker(walk);
    walk_guard(walk);
    proxy_each_service(walk->daemon->proxy, walk_service, walk);
}

static void walk_queue(struct limit_walk *walk)
{
    const struct limits_state *state = &walk->state;

    take_setting(walk, SETTINGS_ID_reads_limit, "",
                 (struct limit_row){.bound = state->reads_max,
                                    .in_use = state->reads,
                                    .waiting = state->reads_waiting,
                                    .refused = state->refused.reads});
    take_setting(walk, SETTINGS_ID_writes_in_flight_max, "",
                 (struct limit_row){.bound = state->writes_max,
                                    .in_use = state->writes,
                                    .waiting = state->writes_waiting});
    take_setting(walk, SETTINGS_ID_backend_connections_max, "",
                 (struct limit_row){.bound = state->connections_max,
                                    .in_use = state->connections,
                                    .refused = state->refused.connections});
    take_setting(walk, SETTINGS_ID_queue_requests_max, "",
                 (struct limit_row){.bound = state->requests_max,
                                    .in_use = state->requests,
                                    .waiting = state->requests_waiting,
                                    .refused = state->refused.requests});
}

static void walk_memory(struct limit_walk *walk)
{
    const struct memory_account_budget *budget = &walk->daemon->budget;
    const struct memory_account        *reads = &budget->accounts[MEMORY_ACCOUNT_READS];
    const struct memory_account        *writes = &budget->accounts[MEMORY_ACCOUNT_WRITES];

    take_setting(walk, SETTINGS_ID_queue_bytes_max, " of reads",
                 (struct limit_row){.bound = reads->max,
                                    .in_use = reads->used,
                                    .waiting = reads->waiting,
                                    .refused = walk->state.refused.read_bytes});
    take_setting(walk, SETTINGS_ID_queue_bytes_max, " of writes",
                 (struct limit_row){.bound = writes->max,
                                    .in_use = writes->used,
                                    .waiting = writes->waiting,
                                    .refused = walk->state.refused.write_bytes});
    take_setting(walk, SETTINGS_ID_memory_max, "",
                 (struct limit_row){.bound = budget->max,
                                    .in_use = budget->used,
                                    .refused = walk->state.refused.memory});
    take_setting(
        walk, SETTINGS_ID_body_max, "",
        (struct limit_row){.bound = walk->state.body_max, .refused = walk->state.refused.bodies});
}

static void walk_clients(struct limit_walk *walk)
{
    const struct settings    *settings = walk->daemon->settings;
    const struct front_stats *front = front_stats(walk->daemon->front);

    take_setting(walk, SETTINGS_ID_listen_connections_max, "",
                 (struct limit_row){.bound = settings->listen_connections_max,
                                    .in_use = front->connections,
                                    .refused = front->refused_limit});
    if (settings->listen_connections_per_address_max > 0)
        take_setting(walk, SETTINGS_ID_listen_connections_per_address_max, "",
                     (struct limit_row){.bound = settings->listen_connections_per_address_max,
                                        .refused = front->refused_address});
}

/* Their bounds are in microseconds. */
static void walk_deadlines(struct limit_walk *walk)
{
    const struct settings       *settings = walk->daemon->settings;
    const struct limits_refused *refused = &walk->state.refused;

    take_setting(
        walk, SETTINGS_ID_queue_wait_max, "",
        (struct limit_row){.bound = settings->queue_wait_max_us, .refused = refused->waits});
    take_setting(walk, SETTINGS_ID_deadline_read, "",
                 (struct limit_row){.bound = settings->deadline_read_us,
                                    .refused = refused->read_deadlines});
    take_setting(walk, SETTINGS_ID_deadline_write, "",
                 (struct limit_row){.bound = settings->deadline_write_us,
                                    .refused = refused->write_deadlines});
    take_setting(walk, SETTINGS_ID_deadline_from_client, "",
                 (struct limit_row){.refused = refused->client_deadlines});
}

/* In use: breakers that are not closed, of reads and of collections. */
static void walk_breaker(struct limit_walk *walk)
{
    take_setting(walk, SETTINGS_ID_breaker_reads, "",
                 (struct limit_row){.in_use = walk->state.breakers_open,
                                    .waiting = walk->state.breakers_waiting,
                                    .refused = walk->state.refused.breaker});
}

/* Two settings share the refusals: whether something is guarded, and how much of it may go. In use:
 * names that are open for a while. */
static void walk_guard(struct limit_walk *walk)
{
    struct guard_state state;
    uint64_t           guarded = 0, records = 0;

    guard_read(walk->daemon->proxy, &state);
    for (enum guard_reason each = 0; each < GUARD_REASONS; each++)
        *(guard_reason_says_max(each) ? &records : &guarded) += state.refused[each];
    take_setting(walk, SETTINGS_ID_guard_collections, "",
                 (struct limit_row){.in_use = state.opening_count, .refused = guarded});
    take_setting(walk, SETTINGS_ID_guard_records_max, "",
                 (struct limit_row){.bound = state.records_max, .refused = records});
}

/* The rate: what is used of its burst. `ctl services` tells more. */
static void walk_service(void *ctx, const struct service_state *state)
{
    struct limit_walk *walk = ctx;
    char               rate[TEXT_NUMBER_SIZE + 8], text[TEXT_NUMBER_SIZE];

    if (state->rate > 0) {
        if (state->is_rate_in_time)
            snprintf(rate, sizeof rate, "%s/s", text_of_duration(state->rate, text));
        else
            snprintf(rate, sizeof rate, "%" PRIu64 "/s", state->rate);
        take_of_service(walk, state->name, "rate",
                        (struct limit_row){.setting = rate,
                                           .bound = state->burst,
                                           .in_use = state->burst - state->remaining,
                                           .refused = state->rejected - state->bytes_rejected});
    }
    if (state->bytes_rate > 0) {
        snprintf(rate, sizeof rate, "%s/s", text_of_size(state->bytes_rate, text));
        take_of_service(walk, state->name, "bytes_rate",
                        (struct limit_row){.setting = rate,
                                           .bound = state->bytes_rate,
                                           .refused = state->bytes_rejected});
    }
    if (state->concurrency_max > 0)
        take_of_service(walk, state->name, "concurrency_max",
                        (struct limit_row){.bound = state->concurrency_max,
                                           .in_use = state->concurrency,
                                           .waiting = state->waiting,
                                           .refused = state->turns_refused});
    if (state->collection_reads_max > 0)
        take_of_service(walk, state->name, "collection.concurrency_reads_max",
                        (struct limit_row){.bound = state->collection_reads_max,
                                           .refused = state->collection_reads_refused});
    if (state->collection_writes_max > 0)
        take_of_service(walk, state->name, "collection.concurrency_writes_max",
                        (struct limit_row){.bound = state->collection_writes_max,
                                           .refused = state->collection_writes_refused});
    if (state->batch_records_max > 0)
        take_of_service(walk, state->name, "collection.batch_records_max",
                        (struct limit_row){.bound = state->batch_records_max});
}

/* ---- One row -------------------------------------------------------------------------------- */

static void take_setting(struct limit_walk *walk, enum settings_id id, const char *of,
                         struct limit_row row)
{
    char name[80], value[SETTINGS_VALUE_SIZE];

    snprintf(name, sizeof name, "%s%s", settings_row(id)->key, of);
    row.limit = name;
    row.service = "";
    row.setting = settings_print(walk->daemon->settings, id, value);
    walk->take(walk, &row);
}

/* Without a setting's text that is its bound. */
static void take_of_service(struct limit_walk *walk, const char *service, const char *key,
                            struct limit_row row)
{
    char bound[TEXT_NUMBER_SIZE];

    row.limit = key;
    row.service = service;
    if (row.setting == NULL) {
        snprintf(bound, sizeof bound, "%" PRIu64, row.bound);
        row.setting = bound;
    }
    walk->take(walk, &row);
}

/* Without memory it is left out. */
static void list_limit(struct limit_walk *walk, const struct limit_row *row)
{
    char name[PROXY_SERVICE_NAME_SIZE + 80];

    if (row->service[0] == '\0')
        snprintf(name, sizeof name, "%s", row->limit);
    else
        snprintf(name, sizeof name, "services.%s.%s", row->service, row->limit);
    (void)!json_array_append_new(
        walk->list,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "limit", name, "setting", row->setting, "bound",
                  (json_int_t)row->bound, "in_use", (json_int_t)row->in_use, "waiting",
                  (json_int_t)row->waiting, "refused", (json_int_t)row->refused));
}

static void print_refused(struct limit_walk *walk, const struct limit_row *row)
{
    if (walk->status != STATUS_OK)
        return;
    walk->status = byte_buffer_printf(walk->out, METRIC_PAGE_BYTES_MAX,
                                      LIMIT_REFUSED "{limit=\"%s\",service=\"%s\"} %" PRIu64 "\n",
                                      row->limit, row->service, row->refused);
}
