#include "flow/flow_world.h"

#include <assert.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "flow/fake_clock.h"
#include "flow/flow_pattern.h"
#include "io/clock.h"

enum { kib = 1024, mib = 1024 * 1024 };

static const uint64_t second_us = 1000000;

static void expect_none(const struct flow_world *world, const char *what, uint64_t count);

void flow_world_begin(struct flow_world *world, uint64_t seed)
{
    *world = (struct flow_world){
        .seed = seed,
        .net_options = {.latency_min_us = 100,
                        .latency_max_us = 100,
                        .capacity_min = 256 * kib,
                        .capacity_max = 256 * kib,
                        .descriptors_max = 8192},
        .front_options = {.connections_max = 4096,
                          .idle_timeout_us = 75 * second_us,
                          .head_timeout_us = 10 * second_us,
                          .body_timeout_us = 30 * second_us,
                          .send_timeout_us = 30 * second_us,
                          .start_line_bytes_max = 16 * kib,
                          .head_bytes_max = 64 * kib},
        .pool_options = {.backend = {.kind = ADDRESS_TCP,
                                     .host = "127.0.0.1",
                                     .port = FLOW_WORLD_BACKEND_PORT},
                         .connections_max = 64,
                         .connect_timeout_us = 5 * second_us,
                         .idle_timeout_us = 30 * second_us,
                         .resolve_interval_us = 30 * second_us,
                         .head_bytes_max = 64 * kib},
        .proxy_options = {.connections_max = 64,
                          .requests_max = 4096,
                          .queue_wait_max_us = 60 * second_us,
                          .deadline_read_us = 60 * second_us,
                          .deadline_write_us = 120 * second_us,
                          .settle_time_us = 10 * second_us,
                          .adds_headers = true,
                          .access_log = PROXY_LOG_OFF},
        .write_options = {.is_coalescing = true,
                          .batch_bytes_max = 8 * mib,
                          .patience_us = 60 * second_us},
        .family = CHROMA_FAMILY_RUST,
        .memory_max = 256 * mib,
        .queue_bytes_max = 64 * mib,
    };
    fake_loop_begin(seed);
    world->backend.reads = true;
}

static void on_room(void *ctx)
{
    struct flow_world *world = ctx;

    proxy_wake(world->proxy);
}

/* As the daemon does. */
static void flow_world_set_memory(struct flow_world *world)
{
    struct memory_account_options accounts[MEMORY_ACCOUNT_COUNT];

    for (size_t i = 0; i < MEMORY_ACCOUNT_COUNT; i++)
        accounts[i] = (struct memory_account_options){.max = UINT64_MAX};
    accounts[MEMORY_ACCOUNT_READS] =
        (struct memory_account_options){.share_percent = 5, .max = world->queue_bytes_max};
    accounts[MEMORY_ACCOUNT_WRITES] =
        (struct memory_account_options){.share_percent = 10, .max = world->queue_bytes_max};
    accounts[MEMORY_ACCOUNT_ANSWERS].share_percent = 10;
    accounts[MEMORY_ACCOUNT_OTHER].share_percent = 5;
    memory_account_budget_init(&world->budget, world->memory_max, accounts, on_room, world);
}

void flow_world_keep_answers(struct flow_world *world)
{
    world->write_options.is_gateway = true;
    world->proxy_options.settle_time_us = 0;
    world->proxy_options.cache =
        (struct proxy_cache_options){.is_enabled = true, .bytes_max = 4 << 20, .trust_us = 5000000};
}

void flow_world_start(struct flow_world *world)
{
    struct socket_address address, bound;
    struct error          error;

    flow_world_set_memory(world);
    world->proxy_options.connections_max = world->pool_options.connections_max;
    fake_net_begin(&world->net_options);
    flow_backend_serve(&world->backend, FLOW_WORLD_BACKEND_PORT);
    world->loop = loop_new();
    world->workers = worker_pool_new(
        world->loop, &(struct worker_pool_options){.threads = {[WORKER_POOL_SCAN] = 1,
                                                               [WORKER_POOL_NAME] = 1,
                                                               [WORKER_POOL_INDEX] = 1,
                                                               [WORKER_POOL_SEARCH] = 1}});
    world->pool =
        upstream_pool_new(world->loop, world->workers, &world->budget, &world->pool_options);
    world->proxy = proxy_new(world->loop, world->workers, &world->budget, world->pool,
                             &world->proxy_options, &world->write_options);
    proxy_set_backend(world->proxy,
                      &(struct proxy_backend){.family = world->family, .incarnation = 1});
    world->front = front_new(world->loop, &world->budget, &world->front_options, proxy_handler(),
                             world->proxy);
    ck_assert_ptr_nonnull(world->front);
    ck_assert(socket_address_from_literal("127.0.0.1", FLOW_WORLD_PORT, &address));
    ck_assert_int_eq(front_listen(world->front, &address, &bound, &error), STATUS_OK);
}

/* In the order of the daemon. */
void flow_world_end(struct flow_world *world)
{
    front_free(world->front);
    worker_pool_free(world->workers);
    upstream_pool_free(world->pool);
    proxy_free(world->proxy);
    expect_none(world, "watches and timers", fake_loop_objects(world->loop));
    loop_free(world->loop);
    expect_none(world, "bytes of the budget", world->budget.used);
    expect_none(world, "descriptors", fake_net_descriptors());
    expect_none(world, "bytes sent upstream before an answer", world->backend.early_bytes);
    expect_none(world, "requests that are not HTTP", world->backend.bad_http);
    expect_none(world, "connections above the cap",
                fake_net_backend_open_peak() > world->pool_options.connections_max);
    while (world->clients != NULL) {
        struct flow_client *client = world->clients;

        world->clients = client->next_of_world;
        flow_client_free(client);
    }
    flow_backend_done(&world->backend);
    fake_net_done();
    fake_loop_begin(0); /* frees the events */
}

static void expect_none(const struct flow_world *world, const char *what, uint64_t count)
{
    if (count != 0)
        ck_abort_msg("seed %llu: %llu %s", (unsigned long long)world->seed,
                     (unsigned long long)count, what);
}

struct flow_client *flow_world_client(struct flow_world *world)
{
    struct flow_client *client = flow_client_new(FLOW_WORLD_PORT);

    client->next_of_world = world->clients;
    world->clients = client;
    return client;
}

void flow_world_lose(struct flow_world *world, uint64_t incarnation)
{
    proxy_set_backend(world->proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_UNKNOWN,
                                                            .incarnation = incarnation,
                                                            .is_lost = true});
}

void flow_world_run_ms(struct flow_world *world, uint64_t ms)
{
    fake_loop_run_for(world->loop, ms * 1000);
}

struct goal {
    const struct flow_client  *client;
    const struct flow_backend *backend;
    size_t                     count;
};

static bool has_answers(void *ctx)
{
    const struct goal *goal = ctx;

    return goal->client->answer_count >= goal->count || goal->client->has_ended;
}

static bool has_requests(void *ctx)
{
    const struct goal *goal = ctx;

    return goal->backend->request_count >= goal->count;
}

bool flow_world_run_to_answers(struct flow_world *world, struct flow_client *client, size_t count)
{
    struct goal goal = {.client = client, .count = count};

    return fake_loop_run_until(world->loop, has_answers, &goal, clock_now_us() + 60 * second_us);
}

bool flow_world_run_to_end(struct flow_world *world, struct flow_client *client)
{
    return flow_world_run_to_answers(world, client, SIZE_MAX);
}

bool flow_world_run_to_requests(struct flow_world *world, size_t count)
{
    struct goal goal = {.backend = &world->backend, .count = count};

    return fake_loop_run_until(world->loop, has_requests, &goal, clock_now_us() + 60 * second_us);
}

void flow_world_request(struct flow_client *client, const char *operation, unsigned id, size_t n,
                        size_t m, const char *fields)
{
    flow_world_request_head(client, operation, id, n, m, fields);
    if (n > 0)
        flow_world_request_body(client, id, 0, n);
}

struct flow_client *flow_world_send(struct flow_world *world, const char *operation, unsigned id,
                                    size_t n, size_t m)
{
    struct flow_client *client = flow_world_client(world);

    flow_world_request(client, operation, id, n, m, NULL);
    return client;
}

struct flow_client *flow_world_ask(struct flow_world *world, const char *operation, unsigned id,
                                   size_t n, size_t m)
{
    struct flow_client *client = flow_world_send(world, operation, id, n, m);

    ck_assert(flow_world_run_to_answers(world, client, 1));
    return client;
}

void flow_world_request_head(struct flow_client *client, const char *operation, unsigned id,
                             size_t n, size_t m, const char *fields)
{
    bool is_post = strcmp(operation, "count") != 0;
    char length[64] = "";

    if (is_post && (fields == NULL || strstr(fields, "Transfer-Encoding") == NULL))
        snprintf(length, sizeof length, "Content-Length: %zu\r\n", n);
    flow_client_printf(client,
                       "%s /api/v2/tenants/t/databases/d/collections/"
                       "11111111-2222-3333-4444-555555555555/%s?id=%u&n=%zu&m=%zu HTTP/1.1\r\n"
                       "Host: chroma\r\n%s%s\r\n",
                       is_post ? "POST" : "GET", operation, id, n, m, length,
                       fields == NULL ? "" : fields);
}

void flow_world_request_body(struct flow_client *client, unsigned id, size_t from, size_t to)
{
    char *body = malloc(to - from);

    ck_assert_ptr_nonnull(body);
    flow_pattern_write(body, to - from, id, false, from);
    flow_client_send_bytes(client, (struct bytes){.data = body, .size = to - from});
    free(body);
}

void flow_world_request_chunked(struct flow_client *client, const char *operation, unsigned id,
                                size_t n, size_t m, const char *fields)
{
    char all[200];

    snprintf(all, sizeof all, "Transfer-Encoding: chunked\r\n%s", fields == NULL ? "" : fields);
    flow_world_request_head(client, operation, id, n, m, all);
    for (size_t at = 0; at < n;) {
        size_t size = 1 + fake_loop_random(n - at < 20000 ? (uint32_t)(n - at) : 20000);

        flow_client_printf(client, "%zx\r\n", size);
        flow_world_request_body(client, id, at, at + size);
        flow_client_send(client, "\r\n");
        at += size;
    }
    flow_client_send(client, "0\r\n\r\n");
}

void flow_world_request_record(struct flow_client *client, const char *operation, unsigned id)
{
    char body[200];
    int  size = snprintf(body, sizeof body,
                         "{\"ids\":[\"w%u\"],\"embeddings\":[[1.5,%u]],\"metadatas\":null,"
                          "\"documents\":null,\"uris\":null}",
                         id, id);

    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/d/collections/"
                       "11111111-2222-3333-4444-555555555555/%s HTTP/1.1\r\n"
                       "Host: chroma\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       operation, size, body);
}

void flow_world_expect(const struct flow_client *client, unsigned status)
{
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, status);
}

bool flow_world_is_answer_of(const struct flow_answer *answer, unsigned id, size_t m)
{
    struct bytes body = byte_buffer_bytes(&answer->body);

    return body.size == m && flow_pattern_matches(body, id, true, 0);
}
