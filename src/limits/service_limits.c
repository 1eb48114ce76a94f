#include "limits/service_limits.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hash_map.h"

struct service {
    struct service_limits_options options;
    struct rate_limit             rate, bytes;
    struct service_limits_stats   stats;
};

/* What one service has under way in one collection, for one class. */
struct gate {
    struct fair_gate gate;
    size_t           holders;
    size_t           key_size;
    char             key[sizeof(uint32_t) + 1 + SERVICE_LIMITS_KEY_MAX];
};

struct service_limits {
    struct hash_map *gates;
    size_t           count;
    struct service   services[];
};

static uint64_t           shadowed_by(const struct service *service);
static enum service_limit first_over(struct service *service, uint64_t bytes, uint64_t units,
                                     uint64_t now_us, uint64_t *ret_wait_us);
static bool               refuses(struct service *service, const struct rate_limit *rate,
                                  enum service_limit limit, uint64_t cost, uint64_t now_us,
                                  uint64_t *ret_wait_us);
static struct bytes       make_key(char out[], uint32_t service, enum turn_class class,
                                   struct bytes collection);

struct service_limits *service_limits_new(size_t                               services,
                                          const struct service_limits_options *options,
                                          const unsigned char secret[SIPHASH_KEY_SIZE])
{
    struct service_limits *limits =
        calloc(1, sizeof *limits + services * sizeof limits->services[0]);

    if (limits == NULL)
        return NULL;
    limits->gates = hash_map_new(secret, SERVICE_LIMITS_GATES_MAX);
    if (limits->gates == NULL) {
        free(limits);
        return NULL;
    }
    limits->count = services;
    for (size_t i = 0; i < services; i++)
        service_limits_set(limits, (uint32_t)i, &options[i], 0);
    return limits;
}

void service_limits_free(struct service_limits *limits)
{
    if (limits == NULL)
        return;
    assert(hash_map_count(limits->gates) == 0);
    hash_map_free(limits->gates);
    free(limits);
}

void service_limits_set(struct service_limits *limits, uint32_t number,
                        const struct service_limits_options *options, uint64_t now_us)
{
    struct service           *service = &limits->services[number];
    struct rate_limit_options bytes = options->bytes;

    assert(number < limits->count);
    service->options = *options;
    rate_limit_set_options(&service->rate, &options->rate, now_us);
    bytes.owes_all = true; /* the bodies of answers, which nobody knows before */
    rate_limit_set_options(&service->bytes, &bytes, now_us);
}

enum status service_limits_admit(struct service_limits *limits, uint32_t number, uint64_t bytes,
                                 uint64_t cost_us, uint64_t now_us,
                                 struct service_limits_verdict *ret)
{
    struct service *service = &limits->services[number];
    uint64_t        units = service->options.is_rate_in_time ? cost_us : 1, wait_us;
    uint64_t        shadowed = shadowed_by(service);

    assert(number < limits->count);
    *ret = (struct service_limits_verdict){.limit = SERVICE_LIMIT_NONE};
    ret->limit = first_over(service, bytes, units, now_us, &ret->wait_us);
    if (ret->limit != SERVICE_LIMIT_NONE) {
        service->stats.refused[ret->limit]++;
        return STATUS_LIMIT_REACHED;
    }
    service->stats.admitted++;
    ret->is_shadowed = shadowed_by(service) > shadowed;
    if (ret->is_shadowed)
        return STATUS_OK;
    if (rate_limit_take(&service->rate, units, now_us, &wait_us) == STATUS_AGAIN) {
        ret->limit = SERVICE_LIMIT_RATE;
        ret->wait_us = wait_us;
    }
    if (rate_limit_take(&service->bytes, bytes, now_us, &wait_us) == STATUS_AGAIN &&
        wait_us > ret->wait_us) {
        ret->limit = SERVICE_LIMIT_BYTES;
        ret->wait_us = wait_us;
    }
    ret->charged_units = units;
    ret->charged_bytes = bytes;
    service->stats.delayed += ret->wait_us > 0;
    return ret->wait_us > 0 ? STATUS_AGAIN : STATUS_OK;
}

static uint64_t shadowed_by(const struct service *service)
{
    return service->stats.shadowed[SERVICE_LIMIT_RATE] +
           service->stats.shadowed[SERVICE_LIMIT_BYTES];
}

/* The limit that refuses, and keeps all others from being charged. */
static enum service_limit first_over(struct service *service, uint64_t bytes, uint64_t units,
                                     uint64_t now_us, uint64_t *ret_wait_us)
{
    if (refuses(service, &service->rate, SERVICE_LIMIT_RATE, units, now_us, ret_wait_us))
        return SERVICE_LIMIT_RATE;
    if (refuses(service, &service->bytes, SERVICE_LIMIT_BYTES, bytes, now_us, ret_wait_us))
        return SERVICE_LIMIT_BYTES;
    return SERVICE_LIMIT_NONE;
}

static bool refuses(struct service *service, const struct rate_limit *rate,
                    enum service_limit limit, uint64_t cost, uint64_t now_us, uint64_t *ret_wait_us)
{
    struct rate_limit trial = *rate;
    enum status       status = rate_limit_take(&trial, cost, now_us, ret_wait_us);

    service->stats.shadowed[limit] += trial.shadowed > rate->shadowed;
    if (status != STATUS_LIMIT_REACHED)
        *ret_wait_us = 0;
    return status == STATUS_LIMIT_REACHED;
}

void service_limits_settle(struct service_limits *limits, uint32_t number,
                           const struct service_limits_verdict *verdict, bool was_sent,
                           uint64_t cost_us, uint64_t now_us)
{
    struct service *service = &limits->services[number];

    if (verdict->is_shadowed)
        return;
    if (!was_sent) {
        rate_limit_settle(&service->rate, verdict->charged_units, 0, now_us);
        rate_limit_settle(&service->bytes, verdict->charged_bytes, 0, now_us);
    } else if (service->options.is_rate_in_time) {
        rate_limit_settle(&service->rate, verdict->charged_units, cost_us, now_us);
    }
}

void service_limits_settle_bytes(struct service_limits *limits, uint32_t number,
                                 const struct service_limits_verdict *verdict, uint64_t bytes,
                                 uint64_t now_us)
{
    if (!verdict->is_shadowed)
        rate_limit_settle(&limits->services[number].bytes, verdict->charged_bytes, bytes, now_us);
}

size_t service_limits_records_max(const struct service_limits *limits, uint32_t service)
{
    size_t max = limits->services[service].options.batch_records_max;

    return max == 0 ? SIZE_MAX : max;
}

struct fair_gate *service_limits_gate(struct service_limits *limits, uint32_t service,
                                      enum turn_class class, struct bytes     collection)
{
    size_t       max = limits->services[service].options.collection_max[class];
    char         text[sizeof(uint32_t) + 1 + SERVICE_LIMITS_KEY_MAX];
    struct bytes key;
    struct gate *gate;

    if (max == 0 || collection.size > SERVICE_LIMITS_KEY_MAX)
        return NULL;
    key = make_key(text, service, class, collection);
    gate = hash_map_get(limits->gates, key);
    if (gate == NULL) {
        gate = calloc(1, sizeof *gate);
        if (gate == NULL)
            return NULL;
        fair_gate_init(&gate->gate, max);
        memcpy(gate->key, key.data, key.size);
        gate->key_size = key.size;
        key.data = gate->key;
        if (hash_map_put(limits->gates, key, gate) != STATUS_OK) {
            free(gate);
            return NULL;
        }
    }
    gate->holders++;
    return &gate->gate;
}

static struct bytes make_key(char out[], uint32_t service, enum turn_class class,
                             struct bytes collection)
{
    memcpy(out, &service, sizeof service);
    out[sizeof service] = (char)class;
    memcpy(out + sizeof service + 1, collection.data, collection.size);
    return (struct bytes){.data = out, .size = sizeof service + 1 + collection.size};
}

void service_limits_drop_gate(struct service_limits *limits, struct fair_gate *fair_gate)
{
    struct gate *gate = CONTAINER_OF(fair_gate, struct gate, gate);

    if (fair_gate == NULL || --gate->holders > 0)
        return;
    assert(fair_gate->open == 0);
    hash_map_remove(limits->gates, (struct bytes){.data = gate->key, .size = gate->key_size});
    free(gate);
}

struct fair_gate *service_limits_next_gate(const struct service_limits *limits, size_t *position,
                                           enum turn_class *ret_class, size_t *ret_max)
{
    struct gate *gate = hash_map_next(limits->gates, position);
    uint32_t     service;

    if (gate == NULL)
        return NULL;
    memcpy(&service, gate->key, sizeof service);
    *ret_class = (enum turn_class)gate->key[sizeof service];
    *ret_max = limits->services[service].options.collection_max[*ret_class];
    return &gate->gate;
}

const struct rate_limit *service_limits_rate(const struct service_limits *limits, uint32_t service)
{
    return &limits->services[service].rate;
}

const struct service_limits_stats *service_limits_stats(const struct service_limits *limits,
                                                        uint32_t                     service)
{
    return &limits->services[service].stats;
}
