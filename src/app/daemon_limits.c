#include "app/daemon_limits.h"

#include <stdio.h>

#include "base/text.h"

/* A row: of which setting, what that says, and in its unit what there may be, what there is, what
 * waits for it now and what was refused for it so far. What is counted for each address, collection
 * or body has no use as a whole: 0. */
struct limit_row {
    const char *limit, *setting;
    uint64_t    bound, in_use, waiting, refused;
};

static void add_setting(const struct daemon *daemon, json_t *list, enum settings_id id,
                        const char *of, struct limit_row row);
static void add_row(json_t *list, const struct limit_row *row);
static void add_memory(const struct daemon *daemon, const struct limits_refused *refused,
                       json_t *list);
static void add_service_limits(void *ctx, const struct service_state *state);
static void add_service_row(json_t *list, const char *service, const char *key,
                            struct limit_row row);

enum status daemon_limits_list(const struct daemon *daemon, json_t *answer)
{
    const struct limits_state state = proxy_limits(daemon->proxy);
    const struct front_stats *front = front_stats(daemon->front);
    json_t                   *list = json_array();
    char                      overload[SETTINGS_VALUE_SIZE];

    if (list == NULL)
        return STATUS_NO_MEMORY;
    add_setting(daemon, list, SETTINGS_ID_reads_limit, "",
                (struct limit_row){.bound = state.reads_max,
                                   .in_use = state.reads,
                                   .waiting = state.reads_waiting,
                                   .refused = state.refused.reads});
    add_setting(daemon, list, SETTINGS_ID_writes_in_flight_max, "",
                (struct limit_row){.bound = state.writes_max,
                                   .in_use = state.writes,
                                   .waiting = state.writes_waiting});
    add_setting(daemon, list, SETTINGS_ID_backend_connections_max, "",
                (struct limit_row){.bound = state.connections_max,
                                   .in_use = state.connections,
                                   .refused = state.refused.connections});
    add_setting(daemon, list, SETTINGS_ID_queue_requests_max, "",
                (struct limit_row){.bound = state.requests_max,
                                   .in_use = state.requests,
                                   .waiting = state.requests_waiting,
                                   .refused = state.refused.requests});
    add_memory(daemon, &state.refused, list);
    add_setting(daemon, list, SETTINGS_ID_body_max, "",
                (struct limit_row){.bound = state.body_max, .refused = state.refused.bodies});
    add_setting(daemon, list, SETTINGS_ID_listen_connections_max, "",
                (struct limit_row){.bound = daemon->settings->listen_connections_max,
                                   .in_use = front->connections,
                                   .refused = front->refused_limit});
    if (daemon->settings->listen_connections_per_address_max > 0)
        add_setting(
            daemon, list, SETTINGS_ID_listen_connections_per_address_max, "",
            (struct limit_row){.bound = daemon->settings->listen_connections_per_address_max,
                               .refused = front->refused_address});
    proxy_each_service(daemon->proxy, add_service_limits, list);
    settings_print(daemon->settings, SETTINGS_ID_overload, overload);
    if (json_object_set_new(answer, "overload", json_string(overload)) != 0 ||
        json_object_set_new(answer, "reads_adaptive",
                            json_integer((json_int_t)state.reads_adaptive)) != 0) {
        json_decref(list);
        return STATUS_NO_MEMORY;
    }
    return json_object_set_new(answer, "limits", list) == 0 ? STATUS_OK : STATUS_NO_MEMORY;
}

static void add_setting(const struct daemon *daemon, json_t *list, enum settings_id id,
                        const char *of, struct limit_row row)
{
    char name[80], value[SETTINGS_VALUE_SIZE];

    snprintf(name, sizeof name, "%s%s", settings_row(id)->key, of);
    row.limit = name;
    row.setting = settings_print(daemon->settings, id, value);
    add_row(list, &row);
}

/* Without memory it is left out. */
static void add_row(json_t *list, const struct limit_row *row)
{
    (void)!json_array_append_new(
        list,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "limit", row->limit, "setting", row->setting,
                  "bound", (json_int_t)row->bound, "in_use", (json_int_t)row->in_use, "waiting",
                  (json_int_t)row->waiting, "refused", (json_int_t)row->refused));
}

static void add_memory(const struct daemon *daemon, const struct limits_refused *refused,
                       json_t *list)
{
    const struct memory_account *reads = &daemon->budget.accounts[MEMORY_ACCOUNT_READS];
    const struct memory_account *writes = &daemon->budget.accounts[MEMORY_ACCOUNT_WRITES];

    add_setting(daemon, list, SETTINGS_ID_queue_bytes_max, " of reads",
                (struct limit_row){.bound = reads->max,
                                   .in_use = reads->used,
                                   .waiting = reads->waiting,
                                   .refused = refused->read_bytes});
    add_setting(daemon, list, SETTINGS_ID_queue_bytes_max, " of writes",
                (struct limit_row){.bound = writes->max,
                                   .in_use = writes->used,
                                   .waiting = writes->waiting,
                                   .refused = refused->write_bytes});
    add_setting(daemon, list, SETTINGS_ID_memory_max, "",
                (struct limit_row){.bound = daemon->budget.max,
                                   .in_use = daemon->budget.used,
                                   .refused = refused->memory});
}

/* The rate: what is used of its burst. `ctl services` tells more. */
static void add_service_limits(void *ctx, const struct service_state *state)
{
    char rate[TEXT_NUMBER_SIZE + 8], text[TEXT_NUMBER_SIZE];

    if (state->rate > 0) {
        if (state->is_rate_in_time)
            snprintf(rate, sizeof rate, "%s/s", text_of_duration(state->rate, text));
        else
            snprintf(rate, sizeof rate, "%llu/s", (unsigned long long)state->rate);
        add_service_row(ctx, state->name, "rate",
                        (struct limit_row){.setting = rate,
                                           .bound = state->burst,
                                           .in_use = state->burst - state->remaining,
                                           .refused = state->rejected - state->bytes_rejected});
    }
    if (state->bytes_rate > 0) {
        snprintf(rate, sizeof rate, "%s/s", text_of_size(state->bytes_rate, text));
        add_service_row(ctx, state->name, "bytes_rate",
                        (struct limit_row){.setting = rate,
                                           .bound = state->bytes_rate,
                                           .refused = state->bytes_rejected});
    }
    if (state->concurrency_max > 0)
        add_service_row(ctx, state->name, "concurrency_max",
                        (struct limit_row){.bound = state->concurrency_max,
                                           .in_use = state->concurrency,
                                           .refused = state->turns_refused});
    if (state->collection_reads_max > 0)
        add_service_row(ctx, state->name, "collection.concurrency_reads_max",
                        (struct limit_row){.bound = state->collection_reads_max,
                                           .refused = state->collection_refused});
}

/* Without a setting's text that is its bound. */
static void add_service_row(json_t *list, const char *service, const char *key,
                            struct limit_row row)
{
    char name[PROXY_SERVICE_NAME_SIZE + 60], bound[TEXT_NUMBER_SIZE];

    snprintf(name, sizeof name, "services.%s.%s", service, key);
    row.limit = name;
    if (row.setting == NULL) {
        snprintf(bound, sizeof bound, "%llu", (unsigned long long)row.bound);
        row.setting = bound;
    }
    add_row(list, &row);
}
