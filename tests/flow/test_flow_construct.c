/* What a client asks when it is made is answered without asking Chroma, until it may have changed.
 */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

#define V2       "/api/v2"
#define TENANT   V2 "/tenants/t"
#define DATABASE TENANT "/databases/d"

static struct flow_world   world;
static struct flow_client *client;
static char                answer[1000]; /* of Chroma, to whatever is no write to records */
static unsigned            answer_status;
static uint64_t            answer_delay_us;

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    (void)backend;
    (void)id;
    (void)ctx;
    *ret_plan = (struct flow_plan){.status = answer_status,
                                   .delay_us = answer_delay_us,
                                   .fields = "Content-Type: application/json\r\n",
                                   .is_bare = true,
                                   .body = answer};
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    world.write_options.is_gateway = true;
    world.proxy_options.cache =
        (struct proxy_cache_options){.is_enabled = true, .bytes_max = 4 << 20, .trust_us = 5000000};
    world.backend.on_plan = plan;
    answer_status = 200;
    answer_delay_us = 1000;
    snprintf(answer, sizeof answer, "{}");
    flow_world_start(&world);
    client = flow_world_client(&world);
}

static void end(void)
{
    flow_world_end(&world);
}

static void send_with(const char *method, const char *path, const char *body, const char *fields)
{
    flow_client_printf(client, "%s %s HTTP/1.1\r\nHost: chroma\r\n%s", method, path, fields);
    if (body[0] != '\0')
        flow_client_printf(client, "Content-Length: %zu\r\n", strlen(body));
    flow_client_printf(client, "\r\n%s", body);
}

/* Ask; is it answered from the cache? */
static bool is_hit_with(const char *method, const char *path, const char *body, const char *fields)
{
    size_t answers = client->answer_count, requests = world.backend.request_count;
    bool   hit;

    send_with(method, path, body, fields);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    hit = strstr(flow_client_head(client, answers), "Cache-Status: chromabouncer; hit\r\n") != NULL;
    ck_assert_uint_eq(world.backend.request_count, requests + !hit);
    ck_assert_uint_eq(client->answers[answers].status, answer_status);
    return hit;
}

static bool is_hit(const char *method, const char *path, const char *body)
{
    return is_hit_with(method, path, body, "");
}

static const char *last_body(void)
{
    return flow_client_body(client, client->answer_count - 1);
}

static const char *const fixed[] = {V2 "/auth/identity", TENANT, DATABASE, V2 "/pre-flight-checks",
                                    V2 "/version"};

START_TEST(what_never_changes_is_asked_once)
{
    const char *path = fixed[_i];

    ck_assert(!is_hit("GET", path, ""));
    ck_assert(is_hit("GET", path, ""));
    ck_assert_str_eq(last_body(), answer);
    ck_assert(!is_hit_with("GET", path, "", "Authorization: a\r\n"));
    ck_assert(is_hit_with("GET", path, "", "Authorization: a\r\n"));
    ck_assert(!is_hit_with("GET", path, "", "Cache-Control: no-cache\r\n"));
    flow_world_run_ms(&world, 6000);
    ck_assert(!is_hit_with("GET", path, "", "Authorization: a\r\n"));
    ck_assert(is_hit("GET", path, ""));
    ck_assert(!is_hit("GET", path, "{}"));
    ck_assert(!is_hit("GET", path, "{}"));
}
END_TEST

START_TEST(paths_are_apart)
{
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        snprintf(answer, sizeof answer, "\"%s\"", fixed[i]);
        ck_assert(!is_hit("GET", fixed[i], ""));
    }
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        ck_assert(is_hit("GET", fixed[i], ""));
        snprintf(answer, sizeof answer, "\"%s\"", fixed[i]);
        ck_assert_str_eq(last_body(), answer);
    }
    ck_assert(!is_hit("GET", V2 "/tenants/T", ""));
    ck_assert(!is_hit("GET", V2 "/tenants/t?x=1", ""));
    ck_assert(!is_hit("GET", V2 "/tenants/t?x=1", ""));
}
END_TEST

START_TEST(a_heartbeat_is_always_asked_for)
{
    ck_assert(!is_hit("GET", V2 "/heartbeat", ""));
    ck_assert(!is_hit("GET", V2 "/heartbeat", ""));
    ck_assert(!is_hit("GET", V2, ""));
    ck_assert(!is_hit("GET", V2, ""));
}
END_TEST

static const struct {
    const char *method, *path;
} catalogue_writes[] = {{"POST", V2 "/tenants"},       {"PATCH", TENANT},
                        {"POST", TENANT "/databases"}, {"DELETE", DATABASE},
                        {"POST", V2 "/reset"},         {"PUT", V2 "/unknown"}};

START_TEST(a_write_to_tenants_or_databases_ends_them)
{
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        ck_assert(!is_hit("GET", fixed[i], ""));
        ck_assert(is_hit("GET", fixed[i], ""));
    }
    ck_assert(!is_hit(catalogue_writes[_i].method, catalogue_writes[_i].path, "{}"));
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        ck_assert(!is_hit("GET", fixed[i], ""));
}
END_TEST

START_TEST(nothing_is_kept_while_tenants_change)
{
    struct flow_client *reader = client;

    answer_delay_us = 100000;
    client = flow_world_client(&world);
    send_with("PATCH", TENANT, "{}", "");
    flow_world_run_ms(&world, 5);
    answer_delay_us = 1000;
    client = reader;
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(!is_hit("GET", TENANT, ""));
    flow_world_run_ms(&world, 200);
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(is_hit("GET", TENANT, ""));
}
END_TEST

START_TEST(a_refusal_is_not_kept)
{
    answer_status = 404;
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(!is_hit("GET", TENANT, ""));
}
END_TEST

START_TEST(another_chroma_is_asked_again)
{
    ck_assert(!is_hit("GET", TENANT, ""));
    proxy_set_backend(world.proxy,
                      &(struct proxy_backend){.family = CHROMA_FAMILY_RUST, .incarnation = 2});
    ck_assert(!is_hit("GET", TENANT, ""));
    ck_assert(is_hit("GET", TENANT, ""));
}
END_TEST

START_TEST(a_sidecar_asks_always)
{
    struct proxy_options options = world.proxy_options;

    options.cache.max_staleness_us = 1000000;
    proxy_set_gateway(world.proxy, false);
    proxy_set_options(world.proxy, &options);
    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        ck_assert(!is_hit("GET", fixed[i], ""));
        ck_assert(!is_hit("GET", fixed[i], ""));
    }
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_construct");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, what_never_changes_is_asked_once, 0, COUNT_OF(fixed));
    tcase_add_test(tcase, paths_are_apart);
    tcase_add_test(tcase, a_heartbeat_is_always_asked_for);
    tcase_add_loop_test(tcase, a_write_to_tenants_or_databases_ends_them, 0,
                        COUNT_OF(catalogue_writes));
    tcase_add_test(tcase, nothing_is_kept_while_tenants_change);
    tcase_add_test(tcase, a_refusal_is_not_kept);
    tcase_add_test(tcase, another_chroma_is_asked_again);
    tcase_add_test(tcase, a_sidecar_asks_always);
    return check_main("flow_construct", tcase);
}
