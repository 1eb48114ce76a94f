#include "flow/services_world.h"

#include <check.h>
#include <string.h>

struct flow_world             world;
static struct network         loopback, chat_range;
struct proxy_service_options  services[3];
struct proxy_services_options options;

static struct network network(const char *text)
{
    struct network ret;

    ck_assert(network_parse(bytes_of(text), &ret));
    return ret;
}

void services_world_begin(void)
{
    flow_world_begin(&world, 1);
    loopback = network("127.0.0.0/8");
    chat_range = network("10.1.0.0/16");
    for (size_t i = 0; i < COUNT_OF(services); i++)
        services[i] = (struct proxy_service_options){.weight = 1, .priority = 1, .burst = 1};
    services[0].name = "chat";
    services[0].field_name = bytes_of("x-service");
    services[0].field_value = bytes_of("chat");
    services[0].networks = &chat_range;
    services[0].network_count = 1;
    services[1].name = "batch";
    services[1].field_name = bytes_of("X-Service");
    services[1].field_value = bytes_of("batch");
    services[2].name = PROXY_SERVICE_DEFAULT;
    options = (struct proxy_services_options){.services = services,
                                              .count = 3,
                                              .trusted_proxies = &loopback,
                                              .trusted_count = 1,
                                              .delay_max_us = 60 * second_us};
}

void services_world_end(void)
{
    flow_world_end(&world);
}

void set_services(void)
{
    ck_assert_int_eq(proxy_set_services(world.proxy, &options), STATUS_OK);
}

void start(void)
{
    flow_world_start(&world);
    set_services();
}

struct flow_client *send_as(const char *service, const char *operation, unsigned id, size_t n,
                            size_t m)
{
    struct flow_client *client = flow_world_client(&world);

    flow_world_request(client, operation, id, n, m, service);
    return client;
}

unsigned status_of(const struct flow_client *client, size_t answer)
{
    ck_assert_uint_gt(client->answer_count, answer);
    return client->answers[answer].status;
}

struct wanted {
    const char          *name;
    struct service_state state;
};

static void take_state(void *ctx, const struct service_state *state)
{
    struct wanted *wanted = ctx;

    if (strcmp(state->name, wanted->name) == 0)
        wanted->state = *state;
}

struct service_state state_of(const char *name)
{
    struct wanted wanted = {.name = name};

    proxy_each_service(world.proxy, take_state, &wanted);
    return wanted.state;
}
