/* Keys on the way of requests: what Chroma sees of them, who is refused and how, and what one key
 * may create. */
#include <stdio.h>
#include <string.h>

#include "flow/auth_world.h"
#include "support/check_main.h"

/* ---- Who is let in -------------------------------------------------------------------------- */

START_TEST(without_a_known_key_nothing_passes)
{
    start();
    ck_assert_uint_eq(ask(-1, "POST", C "/" UUID "/get", "{}"), 401);
    ck_assert_ptr_nonnull(strstr(last_body(), "{\"error\":\"AuthError\",\"message\":\"a key is"));
    ck_assert(client->answers[0].keep_alive);
    ck_assert_uint_eq(ask(NOBODY, "POST", C "/" UUID "/get", "{}"), 401);
    ck_assert_ptr_nonnull(strstr(last_body(), "not known"));
    ck_assert_ptr_null(strstr(last_body(), key_of[NOBODY]));
    ck_assert_uint_eq(world.backend.request_count, 0);
    ck_assert_uint_eq(ask(-1, "GET", "/api/v2/heartbeat", ""), 200);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(state().refused[AUTH_REFUSAL_NO_KEY].count, 1);
    ck_assert_uint_eq(state().refused[AUTH_REFUSAL_UNKNOWN_KEY].count, 1);
}
END_TEST

START_TEST(two_keys_are_none)
{
    start();
    flow_client_printf(client,
                       "GET " C " HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer %s\r\n"
                       "X-Chroma-Token: %s\r\n\r\n",
                       key_of[READER], key_of[WRITER]);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 400);
    flow_client_printf(client,
                       "GET " T " HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer %s\r\n"
                       "X-Chroma-Token: %s\r\n\r\n",
                       key_of[READER], key_of[READER]);
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(client->answers[1].status, 200);
}
END_TEST

START_TEST(a_key_never_reaches_chroma)
{
    const char *head;

    start();
    ck_assert_uint_eq(ask(READER, "GET", T, ""), 200);
    head = flow_backend_last_head(&world.backend);
    ck_assert_ptr_null(strstr(head, "Authorization"));
    ck_assert_ptr_null(strstr(head, "cbk_"));
    ck_assert_uint_eq(ask(NOBODY, "GET", "/api/v2/heartbeat", ""), 200);
    ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "cbk_"));
}
END_TEST

START_TEST(chroma_gets_its_own_credential)
{
    options.credential_name = bytes_of("X-Chroma-Token");
    options.credential_value = bytes_of("ours");
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_ptr_nonnull(
        strstr(flow_backend_last_head(&world.backend), "\r\nX-Chroma-Token: ours\r\n"));
    ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "Authorization"));
    options.credential_value = bytes_of("another");
    set_auth();
    ck_assert_uint_eq(ask(READER, "GET", T, ""), 200);
    ck_assert_ptr_nonnull(
        strstr(flow_backend_last_head(&world.backend), "\r\nX-Chroma-Token: another\r\n"));
}
END_TEST

START_TEST(a_key_that_is_to_be_forwarded_is)
{
    options.forwards = true;
    start();
    ck_assert_uint_eq(ask(READER, "GET", T, ""), 200);
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), key_of[READER]));
}
END_TEST

START_TEST(where_no_key_is_needed_a_foreign_one_passes)
{
    options.is_required = false;
    start();
    flow_client_send(client, "GET " T " HTTP/1.1\r\nHost: c\r\nAuthorization: Bearer x\r\n\r\n");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), "Bearer x"));
    ck_assert_uint_eq(ask(READER, "POST", "/api/v2/reset", ""), 200);
    ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "cbk_"));
    client = flow_world_client(&world);
    flow_client_printf(client,
                       "GET " T " HTTP/1.1\r\nHost: c\r\nX-Chroma-Token: x\r\n"
                       "Authorization: Bearer %s\r\n\r\n",
                       key_of[READER]);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "cbk_"));
}
END_TEST

START_TEST(wrong_keys_are_answered_later_and_right_ones_are_not)
{
    uint64_t began_us;

    start();
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(ask(NOBODY, "GET", T, ""), 401);
    began_us = loop_now_us(world.loop);
    ck_assert_uint_eq(ask(NOBODY, "POST", C "/" UUID "/get", "{}"), 401);
    ck_assert_uint_ge(loop_now_us(world.loop) - began_us, 100000);
    began_us = loop_now_us(world.loop);
    client = flow_world_client(&world);
    ck_assert_uint_eq(ask(READER, "GET", T, ""), 200);
    ck_assert_uint_lt(loop_now_us(world.loop) - began_us, 50000);
    /* Who leaves meanwhile is forgotten. */
    send_to(client, NOBODY, "GET", T, "");
    flow_world_run_ms(&world, 20);
    flow_client_reset(client);
    flow_world_run_ms(&world, 1000);
}
END_TEST

START_TEST(what_was_revoked_is_refused_at_once_and_what_runs_goes_on)
{
    struct key_ring *empty = key_ring_new(), *full = options.keys;

    delay_us = 100000;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    client = flow_world_client(&world);
    send_to(client, READER, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 10);
    options.keys = empty;
    set_auth();
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 200);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 401);
    key_ring_drop(full);
}
END_TEST

START_TEST(what_was_revoked_while_it_waited_is_refused)
{
    static const char *const paths[] = {C "/" UUID "/get", C "/" UUID "/upsert"};
    struct key_ring         *empty = key_ring_new(), *full = options.keys;

    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    client = flow_world_client(&world);
    proxy_pause(world.proxy, true);
    send_to(client, WRITER, "POST", paths[_i], "{\"ids\":[\"r\"],\"embeddings\":[[1]]}");
    flow_world_run_ms(&world, 10);
    options.keys = empty;
    set_auth();
    proxy_pause(world.proxy, false);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 401);
    ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), paths[1]));
    key_ring_drop(full);
}
END_TEST

/* ---- Creations ------------------------------------------------------------------------------ */

START_TEST(a_readers_get_or_create_goes_out_as_get)
{
    const char *head;

    start();
    ck_assert_uint_eq(ask(READER, "POST", C, "{\"name\":\"docs\",\"get_or_create\":true}"), 200);
    head = flow_backend_last_head(&world.backend);
    ck_assert(strncmp(head, "GET " C "/docs H", strlen("GET " C "/docs H")) == 0);
    ck_assert_ptr_null(strcasestr(head, "\r\ncontent-"));
    ck_assert_ptr_nonnull(strstr(last_body(), "\"name\":\"docs\""));
    ck_assert_uint_eq(ask(READER, "POST", C, "{\"name\":\"docs-missing\",\"get_or_create\":true}"),
                      403);
    ck_assert_ptr_nonnull(strstr(last_body(), "does not allow creating"));
    ck_assert_uint_eq(ask(READER, "POST", C, "{\"name\":\"docs\"}"), 403);
    ck_assert_uint_eq(ask(READER, "POST", C, "{\"name\":\"other\",\"get_or_create\":true}"), 403);
    ck_assert_uint_eq(world.backend.request_count, 2);
    ck_assert_uint_eq(ask(WRITER, "POST", C, "{\"name\":\"other\",\"get_or_create\":true}"), 200);
    ck_assert(strncmp(flow_backend_last_head(&world.backend), "POST ", 5) == 0);
}
END_TEST

/* What it was told it need not look up. */
START_TEST(a_get_or_create_teaches_the_name)
{
    start();
    ck_assert_uint_eq(ask(READER, "POST", C, "{\"name\":\"docs\",\"get_or_create\":true}"), 200);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 0);
}
END_TEST

START_TEST(a_readers_get_or_create_comes_from_the_cache)
{
    flow_world_keep_answers(&world);
    start();
    ck_assert_uint_eq(ask(READER, "POST", C, "{\"name\":\"docs\",\"get_or_create\":true}"), 200);
    ck_assert_uint_eq(ask(WRITER, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(ask(READER, "POST", C, "{\"name\":\"docs\",\"get_or_create\":true}"),
                          200);
    ck_assert_uint_eq(world.backend.request_count, 3);
}
END_TEST

/* Judged when its body is there; what it rests on may be old by then. */
START_TEST(a_renaming_is_judged_with_its_body)
{
    start();
    ck_assert_uint_eq(ask(WRITER, "PUT", C "/" UUID, "{\"new_name\":\"b\"}"), 200);
    ck_assert_uint_eq(ask(READER, "PUT", C "/" UUID, "{\"new_name\":\"b\"}"), 403);
    flow_client_printf(client,
                       "PUT " C "/" UUID " HTTP/1.1\r\nHost: c\r\nX-Chroma-Token: %s\r\n"
                       "Content-Length: 16\r\n\r\n{\"new_n",
                       key_of[WRITER]);
    flow_world_run_ms(&world, 6000);
    ck_assert_uint_eq(world.backend.request_count, looks + 1);
    flow_client_send(client, "ame\":\"b\"}");
    ck_assert(flow_world_run_to_answers(&world, client, 3));
    ck_assert_uint_eq(client->answers[2].status, 200);
}
END_TEST

START_TEST(a_large_body_of_a_refused_request_is_not_read)
{
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    flow_client_printf(client,
                       "POST " C "/" UUID "/upsert HTTP/1.1\r\nHost: c\r\nX-Chroma-Token: %s\r\n"
                       "Content-Length: 1000000\r\n\r\n",
                       key_of[READER]);
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(client->answers[1].status, 403);
    ck_assert(!client->answers[1].keep_alive);
    flow_world_run_ms(&world, 10000);
}
END_TEST

/* ---- One identity --------------------------------------------------------------------------- */

START_TEST(writes_of_different_keys_share_a_call)
{
    static struct flow_client *many[6];
    char                       body[80];

    start();
    ck_assert_uint_eq(ask(WRITER, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    delay_us = 100000;
    send_to(client, WRITER, "POST", C "/" UUID "/upsert", RECORD("2"));
    flow_world_run_ms(&world, 10);
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = flow_world_client(&world);
        snprintf(body, sizeof body, "{\"ids\":[\"w%zu\"],\"embeddings\":[[1.0,2.0]]}", i + 3);
        send_to(many[i], i % 2 == 0 ? WRITER : ADMIN, "POST", C "/" UUID "/upsert", body);
    }
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        ck_assert(flow_world_run_to_answers(&world, many[i], 1));
        flow_world_expect(many[i], 200);
    }
    ck_assert_uint_eq(world.backend.request_count, looks + 3);
}
END_TEST

/* ---- Services ------------------------------------------------------------------------------- */

static uint64_t requests_of[2];

static void take_service(void *ctx, const struct service_state *service)
{
    (void)ctx;
    requests_of[strcmp(service->name, "batch") == 0] = service->requests;
}

START_TEST(services_are_known_by_key)
{
    static const char                   names[][PROXY_SERVICE_NAME_SIZE] = {"reader"};
    static struct proxy_service_options services[2] = {
        {.name = "chat", .keys = names, .key_count = 1, .weight = 1, .priority = 1, .burst = 1},
        {.name = "batch", .weight = 1, .priority = 1, .burst = 1, .rate = 1}};
    struct proxy_services_options of = {.services = services, .count = 2};

    start();
    ck_assert_int_eq(proxy_set_services(world.proxy, &of), STATUS_OK);
    ck_assert_uint_eq(ask(WRITER, "GET", T, ""), 200); /* by the service of the key */
    ck_assert_uint_eq(ask(WRITER, "GET", T, ""), 429);
    ck_assert_uint_eq(ask(READER, "GET", T, ""), 200);
    ck_assert_uint_eq(ask(READER, "GET", T, ""), 200);
    proxy_each_service(world.proxy, take_service, NULL);
    ck_assert_uint_eq(requests_of[1], 2);
}
END_TEST

/* To find out whose a UUID is costs Chroma as much as other questions: nobody gets there past his
 * limit, whether or not he may see what he asked for. */
START_TEST(names_are_not_looked_up_past_the_limit_of_a_service)
{
    static struct proxy_service_options batch = {
        .name = "batch", .weight = 1, .priority = 1, .burst = 2, .rate = 1};
    struct proxy_services_options of = {.services = &batch, .count = 1, .delay_max_us = 60000000};
    char                          target[200];
    unsigned                      refused = 0;

    start();
    ck_assert_int_eq(proxy_set_services(world.proxy, &of), STATUS_OK);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(target, sizeof target, C "/%08x-2222-4333-8444-555555555555/count", i);
        refused += ask(WRITER, "GET", target, "") == 429;
    }
    ck_assert_uint_eq(looks, 2);
    ck_assert_uint_eq(refused, 18);
    flow_world_run_ms(&world, 3000);
    ck_assert_uint_eq(ask(WRITER, "GET", C "/" OTHER "/count", ""), 200); /* charged once */
    ck_assert_uint_eq(ask(WRITER, "GET", C "/" OTHER "/count", ""), 200);
    ck_assert_uint_eq(ask(WRITER, "GET", C "/" OTHER "/count", ""), 429);
    ck_assert_uint_eq(looks, 3);
    flow_world_run_ms(&world, 6000);
    batch.over = RATE_LIMIT_DELAY;
    ck_assert_int_eq(proxy_set_services(world.proxy, &of), STATUS_OK);
    for (unsigned i = 0; i < 4; i++) /* two of them wait, and go then */
        ck_assert_uint_eq(ask(WRITER, "POST", C "/" OTHER "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 4);
    /* Who could not be told was not served. */
    flow_world_run_ms(&world, 6000);
    batch.over = RATE_LIMIT_REFUSE;
    ck_assert_int_eq(proxy_set_services(world.proxy, &of), STATUS_OK);
    look_status = 500;
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_eq(ask(WRITER, "GET", C "/" UUID "/count", ""), 502);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_auth");

    tcase_add_checked_fixture(tcase, auth_world_begin, auth_world_end);
    tcase_add_test(tcase, without_a_known_key_nothing_passes);
    tcase_add_test(tcase, two_keys_are_none);
    tcase_add_test(tcase, a_key_never_reaches_chroma);
    tcase_add_test(tcase, chroma_gets_its_own_credential);
    tcase_add_test(tcase, a_key_that_is_to_be_forwarded_is);
    tcase_add_test(tcase, where_no_key_is_needed_a_foreign_one_passes);
    tcase_add_test(tcase, wrong_keys_are_answered_later_and_right_ones_are_not);
    tcase_add_test(tcase, what_was_revoked_is_refused_at_once_and_what_runs_goes_on);
    tcase_add_loop_test(tcase, what_was_revoked_while_it_waited_is_refused, 0, 2);
    tcase_add_test(tcase, a_readers_get_or_create_goes_out_as_get);
    tcase_add_test(tcase, a_get_or_create_teaches_the_name);
    tcase_add_test(tcase, a_readers_get_or_create_comes_from_the_cache);
    tcase_add_test(tcase, a_renaming_is_judged_with_its_body);
    tcase_add_test(tcase, a_large_body_of_a_refused_request_is_not_read);
    tcase_add_test(tcase, writes_of_different_keys_share_a_call);
    tcase_add_test(tcase, services_are_known_by_key);
    tcase_add_test(tcase, names_are_not_looked_up_past_the_limit_of_a_service);
    return check_main("flow_auth", tcase);
}
