#include "calls/services.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metric.h"
#include "base/text.h"
#include "calls/client_address.h"
#include "io/socket.h"
#include "limits/service_match.h"

/* A record of 384 dimensions takes about as much in a body. */
enum { bytes_per_record = 8192, bytes_per_query = 16384 };

struct service_row {
    char                 name[PROXY_SERVICE_NAME_SIZE];
    bool                 is_listed;
    struct service_state state; /* counters and limits; its name is not used */
};

struct services {
    struct turn_queue     *turns;
    unsigned char          secret[SIPHASH_KEY_SIZE];
    struct service_limits *limits;
    struct service_match  *match; /* NULL: services are not told apart */
    uint64_t               generation;
    struct cost_predictor  predictor;
    size_t                 trusted_count;
    struct network        *trusted;
    struct service_row     rows[SERVICES_MAX];
};

static void                  give_numbers(const struct services               *services,
                                          const struct proxy_services_options *options, uint32_t ret_numbers[]);
static uint32_t              find_number(const struct services *services, const char *name);
static uint32_t              free_number(const struct services *services, const bool is_kept[]);
static struct service_match *make_match(const struct services               *services,
                                        const struct proxy_services_options *options,
                                        const uint32_t                       numbers[]);
static void                  apply(struct services *services, uint32_t service,
                                   const struct proxy_service_options *options, uint64_t delay_max_us,
                                   uint64_t now_us);
static void                  set_turns(struct services *services, uint32_t service);
static void                  set_gates(struct services *services);
static uint32_t look_at_fields(const struct services *services, struct front_connection *connection,
                               const struct http_head *head, bool is_believed);
static uint32_t service_of_key(const struct services *services, const struct key_ring_key *key);
static enum cost_kind cost_kind_of(enum chroma_operation operation);
static void print_limit(const struct service_row *row, enum service_limit limit, char *out,
                        size_t size);
static void services_describe(const struct services *services, uint32_t service, uint64_t now_us,
                              char *out, size_t size);

struct services *services_new(struct turn_queue *turns, const unsigned char secret[16])
{
    static const struct service_limits_options none[SERVICES_MAX];
    struct services                           *services = calloc(1, sizeof *services);

    if (services == NULL)
        return NULL;
    services->turns = turns;
    memcpy(services->secret, secret, sizeof services->secret);
    services->limits = service_limits_new(SERVICES_MAX, none, secret);
    if (services->limits == NULL) {
        services_free(services);
        return NULL;
    }
    cost_predictor_init(&services->predictor);
    snprintf(services->rows[SERVICES_DEFAULT].name, PROXY_SERVICE_NAME_SIZE, "%s",
             PROXY_SERVICE_DEFAULT);
    return services;
}

void services_free(struct services *services)
{
    if (services == NULL)
        return;
    service_limits_free(services->limits);
    service_match_free(services->match);
    free(services->trusted);
    free(services);
}

enum status services_set(struct services *services, const struct proxy_services_options *options,
                         uint64_t now_us)
{
    static const struct proxy_service_options unlimited = {.weight = 1, .priority = 1, .burst = 1};
    const struct proxy_service_options       *of[SERVICES_MAX] = {NULL};
    uint32_t                                  numbers[PROXY_SERVICES_MAX];
    struct service_match                     *match = NULL;
    struct network *trusted = calloc(options->trusted_count + 1, sizeof *trusted);

    assert(options->count <= PROXY_SERVICES_MAX);
    give_numbers(services, options, numbers);
    if (trusted != NULL && options->count > 0)
        match = make_match(services, options, numbers);
    if (trusted == NULL || (options->count > 0 && match == NULL)) {
        free(trusted);
        return STATUS_NO_MEMORY;
    }
    if (options->trusted_count > 0)
        memcpy(trusted, options->trusted_proxies, options->trusted_count * sizeof *trusted);
    service_match_free(services->match);
    free(services->trusted);
    services->match = match;
    services->trusted = trusted;
    services->trusted_count = options->trusted_count;
    services->generation++;
    for (size_t i = 0; i < options->count; i++) {
        struct service_row *row = &services->rows[numbers[i]];

        of[numbers[i]] = &options->services[i];
        if (strcmp(row->name, options->services[i].name) == 0)
            continue;
        *row = (struct service_row){.is_listed = false}; /* another one, which has used nothing */
        snprintf(row->name, sizeof row->name, "%s", options->services[i].name);
        apply(services, numbers[i], &unlimited, 0, now_us);
    }
    for (uint32_t i = 0; i < SERVICES_MAX; i++) {
        services->rows[i].is_listed = of[i] != NULL || i == SERVICES_DEFAULT;
        apply(services, i, of[i] != NULL ? of[i] : &unlimited, options->delay_max_us, now_us);
    }
    set_gates(services);
    return STATUS_OK;
}

/* The number that it has, else one that no other of these has. */
static void give_numbers(const struct services               *services,
                         const struct proxy_services_options *options, uint32_t ret_numbers[])
{
    bool is_kept[SERVICES_MAX] = {true}; /* the default's */

    for (size_t i = 0; i < options->count; i++) {
        ret_numbers[i] = find_number(services, options->services[i].name);
        if (ret_numbers[i] < SERVICES_MAX)
            is_kept[ret_numbers[i]] = true;
    }
    for (size_t i = 0; i < options->count; i++) {
        if (ret_numbers[i] < SERVICES_MAX)
            continue;
        ret_numbers[i] = free_number(services, is_kept);
        is_kept[ret_numbers[i]] = true;
    }
}

static uint32_t find_number(const struct services *services, const char *name)
{
    uint32_t number = 0;

    while (number < SERVICES_MAX && strcmp(services->rows[number].name, name) != 0)
        number++;
    return number;
}

/* One that nobody had is taken first: requests of the service that had it may be under way. */
static uint32_t free_number(const struct services *services, const bool is_kept[])
{
    uint32_t found = SERVICES_MAX;

    for (uint32_t i = SERVICES_MAX; i-- > 0;)
        if (!is_kept[i] && (found == SERVICES_MAX || services->rows[i].name[0] == '\0'))
            found = i;
    assert(found < SERVICES_MAX);
    return found;
}

static struct service_match *make_match(const struct services               *services,
                                        const struct proxy_services_options *options,
                                        const uint32_t                       numbers[])
{
    struct service_match_rule rules[PROXY_SERVICES_MAX];

    for (size_t i = 0; i < options->count; i++)
        rules[i] = (struct service_match_rule){.service = numbers[i],
                                               .name = bytes_of(options->services[i].name),
                                               .keys = options->services[i].keys,
                                               .key_count = options->services[i].key_count,
                                               .field_name = options->services[i].field_name,
                                               .field_value = options->services[i].field_value,
                                               .networks = options->services[i].networks,
                                               .network_count = options->services[i].network_count,
                                               .uids = options->services[i].uids,
                                               .uid_count = options->services[i].uid_count};
    return service_match_new(rules, options->count, services->secret);
}

/* The burst of bytes is what comes in a second. */
static void apply(struct services *services, uint32_t service,
                  const struct proxy_service_options *options, uint64_t delay_max_us,
                  uint64_t now_us)
{
    struct service_state         *state = &services->rows[service].state;
    struct service_limits_options limits = {
        .rate = {.rate = options->rate,
                 .burst = options->burst,
                 .over = options->over,
                 .delay_max_us = delay_max_us},
        .is_rate_in_time = options->is_rate_in_time,
        .bytes = {.rate = options->bytes_rate,
                  .burst = options->bytes_rate > 0 ? options->bytes_rate : 1,
                  .over = options->over,
                  .delay_max_us = delay_max_us},
        .collection_max = {[TURN_READ] = options->collection_reads_max,
                           [TURN_WRITE] = options->collection_writes_max},
        .batch_records_max = options->batch_records_max};

    service_limits_set(services->limits, service, &limits, now_us);
    state->rate = options->rate;
    state->burst = options->burst;
    state->is_rate_in_time = options->is_rate_in_time;
    state->bytes_rate = options->bytes_rate;
    state->over = options->over;
    state->concurrency_max = options->concurrency_max;
    state->collection_reads_max = options->collection_reads_max;
    state->collection_writes_max = options->collection_writes_max;
    state->batch_records_max = options->batch_records_max;
    state->weight = options->weight;
    state->priority = options->priority;
    set_turns(services, service);
}

static void set_turns(struct services *services, uint32_t service)
{
    const struct service_state *state = &services->rows[service].state;
    struct turn_queue_service   turns = {
          .weight = state->weight, .priority = state->priority, .turns_max = state->concurrency_max};

    turn_queue_set_service(services->turns, services_flow(service), &turns);
    turns.turns_max = 0;
    turn_queue_set_service(services->turns, services_free_flow(service), &turns);
}

/* Those in use, too: where calls always wait one never goes out of use. */
static void set_gates(struct services *services)
{
    size_t position = 0, max;
    enum turn_class class;
    struct fair_gate *gate;

    while ((gate = service_limits_next_gate(services->limits, &position, &class, &max)) != NULL)
        turn_queue_set_gate(services->turns, class, gate, max);
}

bool services_are_on(const struct services *services)
{
    return services->match != NULL;
}

uint32_t services_recognise(const struct services *services, struct front_connection *connection,
                            const struct http_head *head, const struct key_ring_key *key)
{
    const struct service_match *match = services->match;
    struct network_address      client;
    bool                        has_address =
        network_address_from_host(socket_address_host(front_connection_peer(connection)), &client);
    bool is_believed =
        has_address && client_address_is_in(&client, services->trusted, services->trusted_count);
    uint32_t service = SERVICE_MATCH_NONE, uid;

    if (service_match_has_fields(match))
        service = look_at_fields(services, connection, head, is_believed);
    if (service_match_has_uids(match) && front_connection_peer_uid(connection, &uid) &&
        service_match_by_uid(match, uid) != SERVICE_MATCH_NONE)
        service = service_match_by_uid(match, uid);
    if (key != NULL && service_of_key(services, key) != SERVICE_MATCH_NONE)
        service = service_of_key(services, key);
    if (service == SERVICE_MATCH_NONE && has_address && service_match_has_networks(match)) {
        if (is_believed)
            client =
                client_address_forwarded(head, &client, services->trusted, services->trusted_count);
        service = service_match_by_address(match, &client);
    }
    return service == SERVICE_MATCH_NONE ? (uint32_t)SERVICES_DEFAULT : service;
}

/* By its name, else by the service that it was made for. */
static uint32_t service_of_key(const struct services *services, const struct key_ring_key *key)
{
    uint32_t service = service_match_by_key(services->match, bytes_of(key->name));

    if (service == SERVICE_MATCH_NONE && key->service[0] != '\0')
        service = service_match_by_name(services->match, bytes_of(key->service));
    return service;
}

/* Of several fields the last counts: a proxy that adds its own leaves those before it to anybody.
 * Those that are not believed are dropped. */
static uint32_t look_at_fields(const struct services *services, struct front_connection *connection,
                               const struct http_head *head, bool is_believed)
{
    uint32_t service = SERVICE_MATCH_NONE;

    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        if (!service_match_is_field(services->match, field->name))
            continue;
        if (!is_believed)
            front_connection_drop_field(connection, i);
        else
            service = service_match_by_field(services->match, field->name, field->value);
    }
    return service;
}

const char *services_name(const struct services *services, uint32_t service)
{
    return services->rows[service].name;
}

enum status services_admit(struct services *services, uint32_t service,
                           enum chroma_operation operation, uint64_t body_bytes, uint64_t now_us,
                           struct services_charge *ret_charge)
{
    struct service_state *state = &services->rows[service].state;
    enum status           status;

    *ret_charge = (struct services_charge){.kind = cost_kind_of(operation)};
    ret_charge->units = cost_predictor_units(
        ret_charge->kind,
        (size_t)(body_bytes /
                 (ret_charge->kind == COST_WRITE ? bytes_per_record : bytes_per_query)),
        0);
    ret_charge->cost_us =
        cost_predictor_expect(&services->predictor, ret_charge->kind, ret_charge->units);
    status = service_limits_admit(services->limits, service, body_bytes, ret_charge->cost_us,
                                  now_us, &ret_charge->verdict);
    state->requests++;
    state->shadowed += ret_charge->verdict.is_shadowed;
    state->delayed += status == STATUS_AGAIN;
    state->rejected += status == STATUS_LIMIT_REACHED;
    state->bytes_rejected +=
        status == STATUS_LIMIT_REACHED && ret_charge->verdict.limit == SERVICE_LIMIT_BYTES;
    if (status != STATUS_LIMIT_REACHED)
        ret_charge->generation = services->generation;
    return status;
}

static enum cost_kind cost_kind_of(enum chroma_operation operation)
{
    if (chroma_route_info(operation)->class == CHROMA_CLASS_WRITE)
        return COST_WRITE;
    switch (operation) {
    case CHROMA_OPERATION_GET:
    case CHROMA_OPERATION_CONDITIONAL_GET:
        return COST_GET;
    case CHROMA_OPERATION_QUERY:
    case CHROMA_OPERATION_SEARCH:
        return COST_QUERY;
    default:
        return COST_OTHER;
    }
}

void services_settle(struct services *services, uint32_t service,
                     const struct services_charge *charge, const struct services_use *use,
                     uint64_t now_us)
{
    struct service_state                *state = &services->rows[service].state;
    const struct service_limits_verdict *verdict = &charge->verdict;
    uint64_t                             cost_us = use->cost_us;

    if (charge->generation != services->generation)
        return;
    if (!use->is_answered && cost_us < verdict->charged_units)
        cost_us = verdict->charged_units;
    service_limits_settle(services->limits, service, verdict, use->was_sent, cost_us, now_us);
    if (!use->was_sent)
        return;
    service_limits_settle_bytes(services->limits, service, verdict, use->body_bytes, now_us);
    state->bytes += use->body_bytes;
    state->chroma_time_us += use->cost_us;
    if (use->is_answered && use->cost_us > 0)
        cost_predictor_learn(&services->predictor, charge->kind, charge->units, use->cost_us);
}

void services_explain(const struct services *services, uint32_t service,
                      const struct services_charge *charge, uint64_t now_us,
                      struct services_refusal *ret)
{
    const struct service_row *row = &services->rows[service];
    const char *key = charge->verdict.limit == SERVICE_LIMIT_BYTES ? "bytes_rate" : "rate";
    uint64_t    wait_s = (charge->verdict.wait_us + 999999) / 1000000;
    char        limit[80];

    ret->retry_after_s = wait_s == 0 ? 1 : wait_s > UINT32_MAX ? UINT32_MAX : (unsigned)wait_s;
    print_limit(row, charge->verdict.limit, limit, sizeof limit);
    snprintf(ret->message, sizeof ret->message,
             "service %s is over its limit of %s (services.%s.%s): nothing was done, try again in "
             "%u s; the operator raises it in the settings, or with `chromabouncer ctl set "
             "services.%s.%s=...`",
             row->name, limit, row->name, key, ret->retry_after_s, row->name, key);
    services_describe(services, service, now_us, ret->fields, sizeof ret->fields);
}

/* "50 requests per second", with the burst where it is not that of a second. */
static void print_limit(const struct service_row *row, enum service_limit limit, char *out,
                        size_t size)
{
    const struct service_state *state = &row->state;
    char                        value[TEXT_NUMBER_SIZE], burst[TEXT_NUMBER_SIZE];

    if (limit == SERVICE_LIMIT_BYTES)
        snprintf(out, size, "%s/s", text_of_size(state->bytes_rate, value));
    else if (state->is_rate_in_time)
        snprintf(out, size, "%s/s of Chroma's time, burst %s", text_of_duration(state->rate, value),
                 text_of_duration(state->burst, burst));
    else
        snprintf(out, size, "%" PRIu64 "/s, burst %" PRIu64, state->rate, state->burst);
}

/* RateLimit-Policy and RateLimit, as draft-ietf-httpapi-ratelimit-headers has them: a quota of `q`
 * in `w` seconds, of which `r` remain and which is whole again after `t`. */
static void services_describe(const struct services *services, uint32_t service, uint64_t now_us,
                              char *out, size_t size)
{
    const struct service_row *row = &services->rows[service];
    const struct rate_limit  *rate = service_limits_rate(services->limits, service);
    uint64_t                  unit = row->state.is_rate_in_time ? 1000 : 1;

    out[0] = '\0';
    if (row->state.rate == 0)
        return;
    snprintf(out, size,
             "RateLimit-Policy: \"%s\";q=%" PRIu64 ";w=%" PRIu64 "%s\r\n"
             "RateLimit: \"%s\";r=%" PRIu64 ";t=%" PRIu64 "\r\n",
             row->name, row->state.burst / unit, rate_limit_window_s(rate),
             row->state.is_rate_in_time ? ";qu=\"milliseconds\"" : "", row->name,
             rate_limit_remaining(rate, now_us) / unit, rate_limit_reset_s(rate, now_us));
}

void services_note_refused(struct services *services, uint32_t flow, enum turn_class class,
                           enum turn_bound bound)
{
    struct service_state *state = &services->rows[flow % SERVICES_MAX].state;

    state->turns_refused += bound == TURN_BOUND_SERVICE;
    state->collection_reads_refused += bound == TURN_BOUND_GATE && class == TURN_READ;
    state->collection_writes_refused += bound == TURN_BOUND_GATE && class == TURN_WRITE;
}

struct fair_gate *services_gate(struct services *services, uint32_t service, enum turn_class class,
                                const uint8_t collection[16])
{
    return service_limits_gate(services->limits, service, class,
                               (struct bytes){(const char *)collection, 16});
}

void services_drop_gate(struct services *services, struct fair_gate *gate)
{
    service_limits_drop_gate(services->limits, gate);
}

uint32_t services_records_max(const struct services *services, uint32_t service)
{
    size_t max = service_limits_records_max(services->limits, service);

    return max > UINT32_MAX ? 0 : (uint32_t)max;
}

void services_each(const struct services *services, service_state_fn *fn, void *ctx,
                   uint64_t now_us)
{
    for (uint32_t i = 0; i < SERVICES_MAX && services_are_on(services); i++) {
        struct service_state state = services->rows[i].state;

        if (!services->rows[i].is_listed)
            continue;
        state.name = services->rows[i].name;
        state.concurrency = turn_queue_service_turns(services->turns, services_flow(i));
        state.waiting = turn_queue_service_waiting(services->turns, services_flow(i));
        state.remaining =
            state.rate == 0
                ? 0
                : rate_limit_remaining(service_limits_rate(services->limits, i), now_us);
        fn(ctx, &state);
    }
}

enum status services_print_metrics(const struct services *services, struct byte_buffer *out)
{
    static const struct {
        const char *name, *help;
        size_t      offset;
    } families[] = {
        {"chromabouncer_service_requests_total",
         "Requests, but for health checks, by the service that they belong to.",
         offsetof(struct service_state, requests)},
        {"chromabouncer_ratelimit_rejected_total",
         "Requests answered 429 because their service was over its limit.",
         offsetof(struct service_state, rejected)},
        {"chromabouncer_ratelimit_delayed_total",
         "Requests that waited because their service was over its limit (over: delay).",
         offsetof(struct service_state, delayed)},
        {"chromabouncer_ratelimit_shadowed_total",
         "Requests that passed although their service was over its limit (over: shadow).",
         offsetof(struct service_state, shadowed)}};
    enum status status = STATUS_OK;

    for (size_t i = 0; i < COUNT_OF(families) && services_are_on(services); i++) {
        status = metric_print_header(out, families[i].name, "counter", families[i].help);
        for (size_t j = 0; j < SERVICES_MAX && status == STATUS_OK; j++) {
            const struct service_row *row = &services->rows[j];
            uint64_t                  value;

            memcpy(&value, (const char *)&row->state + families[i].offset, sizeof value);
            if (row->is_listed)
                status = byte_buffer_printf(out, METRIC_PAGE_BYTES_MAX,
                                            "%s{service=\"%s\"} %" PRIu64 "\n", families[i].name,
                                            row->name, value);
        }
        if (status != STATUS_OK)
            break;
    }
    return status;
}
