/* Keys on the way of requests: what Chroma sees of them, who is refused and how, what is asked of
 * Chroma before a request passes, and how long that holds. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "io/sha256.h"
#include "limits/key_ring.h"
#include "limits/key_text.h"
#include "support/check_main.h"

#define T     "/api/v2/tenants/t"
#define D     T "/databases/d"
#define C     D "/collections"
#define UUID  "11111111-2222-4333-8444-555555555555"
#define OTHER "21111111-2222-4333-8444-555555555555"
#define GONE  "31111111-2222-4333-8444-555555555555"

static struct flow_world         world;
static struct flow_client       *client;
static struct proxy_auth_options options;
static char                      key_of[5][KEY_TEXT_SIZE];
static unsigned                  looks, lists;
static unsigned                  look_status; /* of a look-up; 0: 200, or 404 for GONE */
static enum flow_fault           first_fault, every_fault; /* of the next look-up or list, of all */
static bool                      is_fault_of_writes;
static uint64_t                  delay_us;
static const char               *name_of_uuid; /* of UUID */
static char                      page[8000];

enum { READER, WRITER, ADMIN, EDITOR, NOBODY };
static const char *const scopes[] = {[READER] = "read:t/d/docs*",
                                     [WRITER] = "*:t/d/*",
                                     [ADMIN] = "admin,read,write:*/*/*",
                                     [EDITOR] = "write:t/d/docs*"};

static void describe(char *out, size_t size, const char *uuid, const char *name)
{
    snprintf(
        out, size,
        "{\"id\":\"%s\",\"name\":\"%s\",\"tenant\":\"t\",\"database\":\"d\",\"dimension\":null,"
        "\"metadata\":null}",
        uuid, name);
}

/* 150 collections, each third of which is called docs-N. */
static void make_page(const char *head)
{
    unsigned limit = 1000, offset = 0;
    size_t   used = 1;

    if (strstr(head, "limit=") != NULL)
        sscanf(strstr(head, "limit="), "limit=%u&offset=%u", &limit, &offset);
    strcpy(page, "[");
    for (unsigned i = offset; i < 150 && i < offset + limit; i++)
        used +=
            (size_t)snprintf(page + used, sizeof page - used,
                             "%s{\"id\":\"%08x-2222-4333-8444-555555555555\",\"name\":\"%s-%u\"}",
                             used > 1 ? "," : "", i, i % 3 == 0 ? "docs" : "other", i);
    strcat(page, "]");
}

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    static char description[300];
    const char *head = flow_backend_last_head(backend);
    bool        is_look = strstr(head, "/by-id/") != NULL;
    bool        is_list = strncmp(head, "GET " C "?", strlen("GET " C "?")) == 0;
    bool        is_gone = strstr(head, GONE) != NULL || strstr(head, "/docs-missing") != NULL;

    (void)id;
    (void)ctx;
    looks += is_look;
    lists += is_list;
    *ret_plan = (struct flow_plan){.status = 200,
                                   .delay_us = delay_us,
                                   .fields = "Content-Type: application/json\r\n",
                                   .is_bare = strstr(head, "/upsert") == NULL,
                                   .body = "{}"};
    if (is_look || is_list || (is_fault_of_writes && strstr(head, "/upsert") != NULL)) {
        ret_plan->fault = first_fault != FLOW_FAULT_NONE ? first_fault : every_fault;
        first_fault = FLOW_FAULT_NONE;
    }
    if (is_look && look_status != 0)
        ret_plan->status = look_status;
    describe(description, sizeof description, strstr(head, OTHER) != NULL ? OTHER : UUID,
             strstr(head, OTHER) != NULL ? "other" : name_of_uuid);
    if (is_look || strncmp(head, "GET " C "/docs", strlen("GET " C "/docs")) == 0)
        ret_plan->body = description;
    if (is_gone) {
        ret_plan->status = 404;
        ret_plan->body = "{\"error\":\"NotFoundError\",\"message\":\"none\"}";
    }
    if (is_list) {
        make_page(head);
        ret_plan->body = page;
    }
}

/* Of all keys but one, and the one that is never known. */
static struct key_ring *make_ring_without(unsigned char revoked)
{
    struct key_ring *ring = key_ring_new();
    struct sha256   *sha256 = sha256_new();

    for (unsigned char i = 0; i < COUNT_OF(key_of); i++) {
        unsigned char         random[KEY_TEXT_RANDOM_BYTES] = {i};
        struct bytes          scope = bytes_of(i < NOBODY ? scopes[i] : "");
        struct key_ring_entry entry = {.id = i,
                                       .name = bytes_of(i == READER ? "reader" : "other"),
                                       .service = i == WRITER ? bytes_of("batch") : bytes_of(""),
                                       .scopes = &scope,
                                       .scope_count = 1};

        key_text_format(random, key_of[i]);
        ck_assert(sha256_digest(sha256, bytes_of(key_of[i]), entry.digest));
        if (i < NOBODY && i != revoked)
            ck_assert_int_eq(key_ring_add(ring, &entry, NULL), STATUS_OK);
    }
    sha256_free(sha256);
    return ring;
}

/* The ring that was there before is the test's to drop. */
static struct key_ring *revoke(unsigned char key)
{
    struct key_ring *before = options.keys;

    options.keys = make_ring_without(key);
    ck_assert_int_eq(proxy_set_auth(world.proxy, &options), STATUS_OK);
    return before;
}

static void set_auth(void)
{
    ck_assert_int_eq(proxy_set_auth(world.proxy, &options), STATUS_OK);
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    options = (struct proxy_auth_options){.keys = make_ring_without(NOBODY), .is_required = true};
    looks = lists = look_status = 0;
    first_fault = every_fault = FLOW_FAULT_NONE;
    is_fault_of_writes = false;
    delay_us = 1000;
    name_of_uuid = "docs";
    world.backend.on_plan = plan;
    world.write_options.is_coalescing = true;
}

static void start(void)
{
    flow_world_start(&world);
    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_RUST,
                                                           .batch_records_max = 5461,
                                                           .incarnation = 1});
    set_auth();
    client = flow_world_client(&world);
}

static void end(void)
{
    key_ring_drop(options.keys);
    flow_world_end(&world);
}

static void send_to(struct flow_client *to, int key, const char *method, const char *target,
                    const char *body)
{
    flow_client_printf(to, "%s %s HTTP/1.1\r\nHost: chroma\r\n", method, target);
    if (key >= 0)
        flow_client_printf(to, "Authorization: Bearer %s\r\n", key_of[key]);
    if (body[0] != '\0')
        flow_client_printf(to, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
                           strlen(body));
    flow_client_printf(to, "\r\n%s", body);
}

/* The status of the answer. */
static unsigned ask(int key, const char *method, const char *target, const char *body)
{
    size_t answers = client->answer_count;

    send_to(client, key, method, target, body);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    return client->answers[answers].status;
}

static const char *last_body(void)
{
    return flow_client_body(client, client->answer_count - 1);
}

static struct auth_state state(void)
{
    struct auth_state ret;

    ck_assert(proxy_tell_auth(world.proxy, &ret));
    return ret;
}

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

/* One read at a time, and the first hangs: the second waits for its turn. */
static struct flow_client *wait_for_turn(void)
{
    struct flow_client *second;

    world.proxy_options.reads_max = 1;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    delay_us = 200000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
    second = flow_world_client(&world);
    send_to(second, READER, "POST", C "/" UUID "/query", "{}");
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(proxy_limits(world.proxy).reads_waiting, 1);
    return second;
}

static void rename_to(const char *name)
{
    struct flow_client *third = flow_world_client(&world);
    char                body[60];

    snprintf(body, sizeof body, "{\"new_name\":\"%s\"}", name);
    send_to(third, WRITER, "PUT", C "/" UUID, body);
    name_of_uuid = name;
    ck_assert(flow_world_run_to_answers(&world, third, 1));
    flow_world_expect(third, 200);
}

static bool was_queried(void)
{
    return strstr(flow_backend_last_head(&world.backend), "/query ") != NULL;
}

START_TEST(who_waits_for_a_turn_is_judged_by_the_name_of_then)
{
    struct flow_client *second, *third;

    world.write_options.is_gateway = _i < 4;
    second = wait_for_turn();
    rename_to(_i % 2 == 0 ? "other" : "docs-2");
    if (_i < 2) { /* who asks for it meanwhile */
        third = flow_world_client(&world);
        send_to(third, WRITER, "POST", C "/" UUID "/upsert", "{\"ids\":[\"r\"]}");
        ck_assert(flow_world_run_to_answers(&world, third, 1));
    }
    ck_assert_uint_eq(second->answer_count, 0);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i % 2 == 0 ? 404 : 200);
    ck_assert_int_eq(was_queried(), _i % 2 == 1);
    if (_i % 2 == 0)
        ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "[" UUID "] does not exist."));
    flow_world_run_ms(&world, 300);
    flow_world_expect(client, 200);
    ck_assert_uint_eq(ask(ADMIN, "POST", C "/" UUID "/get", "{}"), 200); /* turns are given back */
}
END_TEST

/* Nobody was told that it is done. A look at Chroma would cost him his turn, each time. */
START_TEST(who_has_his_turn_keeps_it_while_a_renaming_hangs)
{
    struct flow_client *second, *third, *fourth;
    unsigned            before;

    world.write_options.is_gateway = _i == 0;
    second = wait_for_turn();
    third = flow_world_client(&world);
    send_to(third, ADMIN, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 10);
    delay_us = 1000000;
    fourth = flow_world_client(&world);
    send_to(fourth, WRITER, "PUT", C "/" UUID, "{\"new_name\":\"other\"}");
    flow_world_run_ms(&world, 10);
    delay_us = 100000;
    before = looks;
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 200);
    ck_assert_uint_eq(looks, before);
    ck_assert_uint_eq(third->answer_count, 0);
    ck_assert_uint_eq(fourth->answer_count, 0);
    ck_assert(flow_world_run_to_answers(&world, fourth, 1));
}
END_TEST

START_TEST(who_waits_for_a_turn_while_his_key_is_revoked_is_refused)
{
    struct key_ring    *empty = key_ring_new(), *full = options.keys;
    struct flow_client *second = wait_for_turn();

    options.keys = empty;
    set_auth();
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 401);
    ck_assert(!was_queried());
    key_ring_drop(full);
}
END_TEST

/* Others may have renamed it past this proxy; within 5 s that may go unseen. */
START_TEST(in_a_sidecar_who_waits_for_long_is_judged_by_a_fresh_name)
{
    struct flow_client *second;
    unsigned            before;

    world.proxy_options.reads_max = 1;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    flow_world_run_ms(&world, 4000);
    delay_us = _i == 0 ? 7000000 : 3000000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
    second = flow_world_client(&world);
    send_to(second, READER, "POST", C "/" UUID "/query", "{}");
    flow_world_run_ms(&world, 1000);
    name_of_uuid = "other";
    before = looks;
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i == 0 ? 404 : 200);
    ck_assert_uint_eq(looks, before + (_i == 0));
}
END_TEST

START_TEST(who_is_judged_anew_may_leave)
{
    struct flow_client *second = wait_for_turn();

    delay_us = 100000;
    look_status = 503; /* asked again until somebody can say */
    rename_to("other");
    flow_world_run_ms(&world, 210);
    flow_client_close(second);
    flow_world_run_ms(&world, 1000);
    ck_assert(!was_queried());
    look_status = 0;
    ck_assert_uint_eq(ask(ADMIN, "POST", C "/" UUID "/get", "{}"), 200);
}
END_TEST

#define RECORD(id) "{\"ids\":[\"w" id "\"],\"embeddings\":[[1.0,2.0]]}"

/* The first write hangs; what comes now waits in its lane. */
static void occupy_lane(void)
{
    start();
    ck_assert_uint_eq(ask(EDITOR, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    delay_us = 200000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/upsert", RECORD("2"));
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
}

static struct flow_client *write_as(int key, const char *body)
{
    struct flow_client *writer = flow_world_client(&world);

    send_to(writer, key, "POST", C "/" UUID "/upsert", body);
    flow_world_run_ms(&world, 1);
    return writer;
}

static struct flow_client *begin_rename_to(const char *name)
{
    struct flow_client *renamer = flow_world_client(&world);
    char                body[60];

    snprintf(body, sizeof body, "{\"new_name\":\"%s\"}", name);
    send_to(renamer, WRITER, "PUT", C "/" UUID, body);
    flow_world_run_ms(&world, 1);
    name_of_uuid = name;
    return renamer;
}

START_TEST(who_waits_in_a_lane_is_judged_by_the_name_of_then)
{
    struct flow_client *renamer, *second, *third;

    world.write_options.is_gateway = _i < 2;
    occupy_lane();
    renamer = begin_rename_to(_i % 2 == 0 ? "other" : "docs-2");
    second = write_as(EDITOR, RECORD("7"));
    third = write_as(WRITER, RECORD("8")); /* it would share the call */
    ck_assert(flow_world_run_to_answers(&world, third, 1));
    flow_world_expect(client, 200);
    flow_world_expect(renamer, 200);
    flow_world_expect(third, 200);
    flow_world_expect(second, _i % 2 == 0 ? 404 : 200);
    if (_i % 2 == 0) {
        ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "[" UUID "] does not exist."));
        ck_assert_ptr_nonnull(strstr(flow_client_head(second, 0), "Executed: no"));
    }
    ck_assert_uint_eq(world.backend.records[7].heads, (unsigned)_i % 2);
    ck_assert_uint_eq(world.backend.records[8].heads, 1);
    ck_assert_uint_eq(ask(ADMIN, "POST", C "/" UUID "/upsert", RECORD("9")), 200);
}
END_TEST

/* What was judged lately goes on; what was not, after a look at Chroma. */
START_TEST(a_renaming_that_hangs_holds_up_no_write_to_another)
{
    static const char *const target = C "/" OTHER "/upsert";
    struct flow_client      *renamer, *second;
    unsigned                 before;

    world.write_options.is_gateway = true;
    world.write_options.patience_us = 1000000;
    start();
    ck_assert_uint_eq(ask(WRITER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    ck_assert_uint_eq(ask(WRITER, "POST", target, RECORD("1")), 200);
    client = flow_world_client(&world);
    second = flow_world_client(&world);
    delay_us = 20000000;
    renamer = begin_rename_to("docs-2");
    flow_world_run_ms(&world, 1500);
    delay_us = 1000;
    ck_assert_uint_eq(ask(ADMIN, "POST", target, RECORD("3")), 200);
    delay_us = _i == 0 ? 3000000 : 7000000;
    send_to(client, ADMIN, "POST", target, RECORD("2"));
    flow_world_run_ms(&world, 20);
    delay_us = 1000;
    send_to(second, WRITER, "POST", target, RECORD("7"));
    flow_world_run_ms(&world, 20);
    before = looks;
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 200);
    ck_assert_uint_eq(renamer->answer_count, 0);
    ck_assert_uint_le(looks, before + 2);
    ck_assert(flow_world_run_to_answers(&world, renamer, 1));
    flow_world_expect(renamer, 200);
}
END_TEST

/* Whether its client waits for the answer or not; those who would share its call are sent. */
START_TEST(who_waits_in_a_lane_while_his_key_is_revoked_is_never_sent)
{
    struct flow_client *second, *others[3];
    struct key_ring    *before;

    occupy_lane();
    others[0] = write_as(WRITER, RECORD("6"));
    second = write_as(EDITOR, RECORD("7"));
    others[1] = write_as(WRITER, RECORD("8"));
    others[2] = write_as(ADMIN, RECORD("9"));
    if (_i == 1)
        flow_client_close(second);
    flow_world_run_ms(&world, 10);
    before = revoke(EDITOR);
    flow_world_run_ms(&world, 1000);
    if (_i == 0) {
        flow_world_expect(second, 401);
        ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "revoked"));
    }
    for (size_t i = 0; i < COUNT_OF(others); i++)
        flow_world_expect(others[i], 200);
    ck_assert_uint_eq(world.backend.records[7].heads, 0);
    ck_assert_uint_eq(world.backend.records[6].heads + world.backend.records[8].heads +
                          world.backend.records[9].heads,
                      3);
    key_ring_drop(before);
}
END_TEST

/* What a call was made for goes on: it may have been applied. */
START_TEST(a_write_that_was_sent_is_not_judged_again)
{
    struct key_ring *before;

    world.write_options.is_gateway = true;
    start();
    ck_assert_uint_eq(ask(EDITOR, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    every_fault = FLOW_FAULT_RESET_BEFORE;
    is_fault_of_writes = true;
    send_to(client, EDITOR, "POST", C "/" UUID "/upsert", RECORD("7"));
    flow_world_run_ms(&world, 5);
    ck_assert_uint_eq(world.backend.records[7].heads, 1);
    before = revoke(EDITOR);
    is_fault_of_writes = false;
    ck_assert(flow_world_run_to_answers(&world, client, 2));
    ck_assert_uint_eq(client->answers[1].status, 200);
    key_ring_drop(before);
}
END_TEST

/* Creations, and all where nothing is merged. */
START_TEST(a_write_that_goes_alone_is_judged_when_its_turn_comes)
{
    static const char *const targets[] = {C, C "/" UUID "/upsert", C "/" UUID "/upsert"};
    static const char *const bodies[] = {"{\"name\":\"w7\"}", RECORD("7"), RECORD("7")};
    struct flow_client      *second;
    struct key_ring         *before = NULL;

    world.pool_options.connections_max = 1;
    world.write_options.is_coalescing = _i == 0;
    occupy_lane();
    if (_i == 2)
        begin_rename_to("other");
    second = flow_world_client(&world);
    send_to(second, _i == 0 ? WRITER : EDITOR, "POST", targets[_i], bodies[_i]);
    flow_world_run_ms(&world, 10);
    if (_i < 2)
        before = revoke(_i == 0 ? WRITER : EDITOR);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i < 2 ? 401 : 404);
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(world.backend.records[7].heads, 0);
    ck_assert_ptr_null(strstr(flow_backend_last_head(&world.backend), "POST " C " "));
    key_ring_drop(before);
}
END_TEST

START_TEST(in_a_sidecar_a_write_that_waits_for_long_is_judged_by_a_fresh_name)
{
    struct flow_client *second;

    start();
    ck_assert_uint_eq(ask(EDITOR, "POST", C "/" UUID "/upsert", RECORD("1")), 200);
    flow_world_run_ms(&world, 4000);
    delay_us = _i == 0 ? 7000000 : 3000000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/upsert", RECORD("2"));
    flow_world_run_ms(&world, 10);
    delay_us = 1000;
    second = write_as(EDITOR, RECORD("7"));
    name_of_uuid = "other"; /* by another */
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i == 0 ? 404 : 200);
    ck_assert_uint_eq(world.backend.records[7].heads, (unsigned)_i);
}
END_TEST

/* Until its deadline, and then it is not sent either. */
START_TEST(a_write_whose_name_cannot_be_found_out_is_not_sent)
{
    struct flow_client *second;

    world.proxy_options.deadline_write_us = 3000000;
    occupy_lane();
    look_status = 500;
    begin_rename_to("docs-2");
    second = write_as(EDITOR, RECORD("7"));
    flow_world_run_ms(&world, 2000);
    ck_assert_uint_eq(second->answer_count, 0);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 504);
    ck_assert_uint_eq(world.backend.records[7].heads, 0);
}
END_TEST

START_TEST(who_joined_another_is_not_answered_once_his_key_is_revoked)
{
    struct flow_client *second;
    struct key_ring    *before;

    flow_world_keep_answers(&world);
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200); /* names are known */
    delay_us = 200000;
    client = flow_world_client(&world);
    send_to(client, ADMIN, "POST", C "/" UUID "/query", "{\"query_embeddings\":[[1.0,2.0]]}");
    flow_world_run_ms(&world, 10);
    second = flow_world_client(&world);
    send_to(second, READER, "POST", C "/" UUID "/query", "{\"query_embeddings\":[[1.0,2.0]]}");
    flow_world_run_ms(&world, 10);
    before = revoke(_i == 0 ? READER : NOBODY);
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, _i == 0 ? 401 : 200);
    flow_world_expect(client, 200);
    ck_assert_uint_eq(world.backend.request_count, looks + 2);
    key_ring_drop(before);
}
END_TEST

START_TEST(a_list_that_waits_for_its_turn_is_not_given_once_its_key_is_revoked)
{
    struct flow_client *second = wait_for_turn(), *third = flow_world_client(&world);
    struct key_ring    *before;

    send_to(third, READER, "GET", C, "");
    flow_world_run_ms(&world, 10);
    before = revoke(READER);
    ck_assert(flow_world_run_to_answers(&world, third, 1));
    flow_world_expect(third, 401);
    flow_world_expect(second, 401);
    ck_assert_uint_eq(lists, 0);
    key_ring_drop(before);
}
END_TEST

/* ---- Names ---------------------------------------------------------------------------------- */

START_TEST(a_uuid_is_asked_about_once_and_again_after_5_s)
{
    start();
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 1);
    flow_world_run_ms(&world, 5001);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 2);
    name_of_uuid = "other"; /* somebody renamed it */
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    flow_world_run_ms(&world, 5001);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 404);
}
END_TEST

START_TEST(in_a_gateway_a_name_holds_until_it_may_have_changed)
{
    world.write_options.is_gateway = true;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    flow_world_run_ms(&world, 60000);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 1);
    ck_assert_uint_eq(ask(WRITER, "PUT", C "/" UUID, "{\"new_name\":\"other\"}"), 200);
    name_of_uuid = "other";
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 404);
    ck_assert_uint_eq(looks, 2);
}
END_TEST

START_TEST(a_uuid_out_of_scope_is_one_that_is_not_there)
{
    char first[300];

    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" GONE "/get", "{}"), 404);
    snprintf(first, sizeof first, "%s", last_body());
    ck_assert_str_eq(first, "{\"error\":\"NotFoundError\",\"message\":\"Collection [" GONE
                            "] does not exist.\"}");
    ck_assert_uint_eq(ask(READER, "POST", C "/" OTHER "/get", "{}"), 404);
    memcpy(strchr(first, '['), "[" OTHER, strlen(OTHER) + 1);
    ck_assert_str_eq(last_body(), first);
    ck_assert_uint_eq(
        ask(READER, "POST", "/api/v2/tenants/u/databases/d/collections/" UUID "/get", "{}"), 404);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/upsert", "{}"), 403);
    ck_assert_ptr_nonnull(strstr(last_body(), "the key reader does not allow write:t/d/docs"));
    ck_assert_uint_eq(world.backend.request_count, looks);
}
END_TEST

START_TEST(that_there_is_none_is_remembered)
{
    start();
    for (int i = 0; i < 10; i++)
        ck_assert_uint_eq(ask(READER, "POST", C "/" GONE "/get", "{}"), 404);
    ck_assert_uint_eq(looks, 1);
    /* Asked for in the wrong place, it is there for the others. */
    look_status = 404;
    ck_assert_uint_eq(
        ask(READER, "POST", "/api/v2/tenants/u/databases/d/collections/" UUID "/get", "{}"), 404);
    look_status = 0;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
}
END_TEST

START_TEST(many_who_ask_wait_for_one_look)
{
    static struct flow_client *many[50];

    delay_us = 100000;
    start();
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = flow_world_client(&world);
        send_to(many[i], READER, "POST", C "/" UUID "/get", "{}");
    }
    flow_world_run_ms(&world, 50);
    ck_assert_uint_eq(world.backend.request_count, 1);
    flow_client_reset(many[0]);
    for (size_t i = 1; i < COUNT_OF(many); i++) {
        ck_assert(flow_world_run_to_answers(&world, many[i], 1));
        flow_world_expect(many[i], 200);
    }
    ck_assert_uint_eq(looks, 1);
}
END_TEST

START_TEST(few_looks_are_under_way_at_a_time)
{
    static struct flow_client *many[40];
    char                       target[200];

    delay_us = 100000;
    start();
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        snprintf(target, sizeof target, C "/%08zx-2222-4333-8444-555555555555/get", i);
        many[i] = flow_world_client(&world);
        send_to(many[i], READER, "POST", target, "{}");
    }
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        ck_assert(flow_world_run_to_answers(&world, many[i], 1));
        flow_world_expect(many[i], 404);
    }
    ck_assert_uint_le(world.backend.busy_peak, 8);
    ck_assert_uint_eq(looks, COUNT_OF(many));
}
END_TEST

START_TEST(a_look_that_fails_lets_nobody_in)
{
    start();
    look_status = 500;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 502);
    ck_assert_uint_eq(world.backend.request_count, 1);
    look_status = 0;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
}
END_TEST

START_TEST(who_leaves_while_a_look_is_under_way_takes_it_along)
{
    delay_us = 10000000;
    start();
    send_to(client, READER, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->busy, 1);
    flow_client_reset(client);
    flow_world_run_ms(&world, 5000); /* one whose body waits is looked at now and then */
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->busy, 0);
}
END_TEST

START_TEST(a_look_has_the_readers_deadline)
{
    delay_us = 1000000000;
    world.proxy_options.queue_wait_max_us = 2000000;
    start();
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 504);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.waits, 1);
}
END_TEST

START_TEST(a_paused_proxy_looks_nothing_up)
{
    start();
    proxy_pause(world.proxy, true);
    send_to(client, READER, "POST", C "/" UUID "/get", "{}");
    flow_world_run_ms(&world, 1000);
    ck_assert_uint_eq(looks, 0);
    proxy_pause(world.proxy, false);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 200);
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

/* ---- Lists ---------------------------------------------------------------------------------- */

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;

    while ((text = strstr(text, what)) != NULL) {
        count++;
        text++;
    }
    return count;
}

START_TEST(a_list_holds_what_the_key_may_read)
{
    start();
    ck_assert_uint_eq(ask(READER, "GET", C, ""), 200);
    ck_assert_uint_eq(count_of(last_body(), "\"docs-"), 50);
    ck_assert_uint_eq(count_of(last_body(), "\"other-"), 0);
    ck_assert_uint_eq(lists, 2);
    ck_assert_uint_eq(ask(READER, "GET", C "?limit=2&offset=1", ""), 200);
    ck_assert_str_eq(last_body(),
                     "[{\"id\":\"00000003-2222-4333-8444-555555555555\",\"name\":\"docs-3\"},"
                     "{\"id\":\"00000006-2222-4333-8444-555555555555\",\"name\":\"docs-6\"}]");
    ck_assert_uint_eq(lists, 3);
    ck_assert_uint_eq(ask(READER, "GET", C "?offset=50", ""), 200);
    ck_assert_str_eq(last_body(), "[]");
    ck_assert_uint_eq(ask(READER, "GET", D "/collections_count", ""), 200);
    ck_assert_str_eq(last_body(), "50");
    ck_assert_uint_eq(ask(READER, "GET", C "?limit=1&limit=2", ""), 400);
    ck_assert_uint_eq(ask(WRITER, "GET", C "?limit=1", ""), 200);
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), C "?limit=1 "));
}
END_TEST

START_TEST(what_a_chroma_of_our_own_dies_under_is_asked_again)
{
    world.write_options.is_supervised = true;
    start();
    first_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_uint_eq(ask(READER, "GET", C, ""), 200);
    ck_assert_uint_eq(count_of(last_body(), "\"docs-"), 50);
    ck_assert_uint_eq(lists, 3);
    first_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 200);
    ck_assert_uint_eq(looks, 2);
    /* But not for ever. */
    every_fault = FLOW_FAULT_RESET_BEFORE;
    ck_assert_uint_eq(ask(READER, "GET", C, ""), 502);
    ck_assert_uint_le(lists, 7); /* one of them for a kept connection that had broken */
    flow_world_run_ms(&world, 6000);
    ck_assert_uint_eq(ask(READER, "POST", C "/" UUID "/get", "{}"), 502);
}
END_TEST

START_TEST(who_leaves_a_list_leaves_nothing)
{
    delay_us = 100000;
    start();
    send_to(client, READER, "GET", C, "");
    flow_world_run_ms(&world, 150);
    flow_client_reset(client);
    flow_world_run_ms(&world, 10);
    ck_assert_uint_eq(upstream_pool_stats(world.pool)->busy, 0);
}
END_TEST

START_TEST(a_list_that_was_not_sent_in_time_is_told_from_one_without_an_answer)
{
    struct flow_client *second;

    delay_us = 1000000000;
    world.proxy_options.reads_max = 1;
    world.proxy_options.queue_wait_max_us = 2000000;
    world.proxy_options.deadline_read_us = 5000000;
    start();
    send_to(client, READER, "GET", C, "");
    flow_world_run_ms(&world, 10);
    second = flow_world_client(&world);
    send_to(second, READER, "GET", C, "");
    ck_assert(flow_world_run_to_answers(&world, second, 1));
    flow_world_expect(second, 504);
    ck_assert_ptr_nonnull(strstr(flow_client_body(second, 0), "no turn came"));
    ck_assert_ptr_nonnull(strstr(flow_client_head(second, 0), "Executed: no"));
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.waits, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_deadlines, 0);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    flow_world_expect(client, 504);
    ck_assert_ptr_nonnull(strstr(last_body(), "within deadline.read"));
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe"));
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.waits, 1);
    ck_assert_uint_eq(proxy_limits(world.proxy).refused.read_deadlines, 1);
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
    /* Over its limit after a wait for names. */
    ck_assert_uint_eq(ask(WRITER, "GET", C "/" UUID "/count", ""), 429);
    ck_assert_uint_eq(looks, 1);
    proxy_each_service(world.proxy, take_service, NULL);
    ck_assert_uint_eq(requests_of[1], 3);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_auth");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, without_a_known_key_nothing_passes);
    tcase_add_test(tcase, two_keys_are_none);
    tcase_add_test(tcase, a_key_never_reaches_chroma);
    tcase_add_test(tcase, chroma_gets_its_own_credential);
    tcase_add_test(tcase, a_key_that_is_to_be_forwarded_is);
    tcase_add_test(tcase, where_no_key_is_needed_a_foreign_one_passes);
    tcase_add_test(tcase, wrong_keys_are_answered_later_and_right_ones_are_not);
    tcase_add_test(tcase, what_was_revoked_is_refused_at_once_and_what_runs_goes_on);
    tcase_add_loop_test(tcase, what_was_revoked_while_it_waited_is_refused, 0, 2);
    tcase_add_loop_test(tcase, who_waits_for_a_turn_is_judged_by_the_name_of_then, 0, 6);
    tcase_add_loop_test(tcase, who_has_his_turn_keeps_it_while_a_renaming_hangs, 0, 2);
    tcase_add_test(tcase, who_waits_for_a_turn_while_his_key_is_revoked_is_refused);
    tcase_add_loop_test(tcase, in_a_sidecar_who_waits_for_long_is_judged_by_a_fresh_name, 0, 2);
    tcase_add_test(tcase, who_is_judged_anew_may_leave);
    tcase_add_loop_test(tcase, who_waits_in_a_lane_is_judged_by_the_name_of_then, 0, 4);
    tcase_add_loop_test(tcase, a_renaming_that_hangs_holds_up_no_write_to_another, 0, 2);
    tcase_add_loop_test(tcase, who_waits_in_a_lane_while_his_key_is_revoked_is_never_sent, 0, 2);
    tcase_add_test(tcase, a_write_that_was_sent_is_not_judged_again);
    tcase_add_loop_test(tcase, a_write_that_goes_alone_is_judged_when_its_turn_comes, 0, 3);
    tcase_add_loop_test(tcase, in_a_sidecar_a_write_that_waits_for_long_is_judged_by_a_fresh_name,
                        0, 2);
    tcase_add_test(tcase, a_write_whose_name_cannot_be_found_out_is_not_sent);
    tcase_add_loop_test(tcase, who_joined_another_is_not_answered_once_his_key_is_revoked, 0, 2);
    tcase_add_test(tcase, a_list_that_waits_for_its_turn_is_not_given_once_its_key_is_revoked);
    tcase_add_test(tcase, a_uuid_is_asked_about_once_and_again_after_5_s);
    tcase_add_test(tcase, in_a_gateway_a_name_holds_until_it_may_have_changed);
    tcase_add_test(tcase, a_uuid_out_of_scope_is_one_that_is_not_there);
    tcase_add_test(tcase, that_there_is_none_is_remembered);
    tcase_add_test(tcase, many_who_ask_wait_for_one_look);
    tcase_add_test(tcase, few_looks_are_under_way_at_a_time);
    tcase_add_test(tcase, a_look_that_fails_lets_nobody_in);
    tcase_add_test(tcase, who_leaves_while_a_look_is_under_way_takes_it_along);
    tcase_add_test(tcase, a_look_has_the_readers_deadline);
    tcase_add_test(tcase, a_paused_proxy_looks_nothing_up);
    tcase_add_test(tcase, a_readers_get_or_create_goes_out_as_get);
    tcase_add_test(tcase, a_get_or_create_teaches_the_name);
    tcase_add_test(tcase, a_readers_get_or_create_comes_from_the_cache);
    tcase_add_test(tcase, a_renaming_is_judged_with_its_body);
    tcase_add_test(tcase, a_large_body_of_a_refused_request_is_not_read);
    tcase_add_test(tcase, a_list_holds_what_the_key_may_read);
    tcase_add_test(tcase, what_a_chroma_of_our_own_dies_under_is_asked_again);
    tcase_add_test(tcase, who_leaves_a_list_leaves_nothing);
    tcase_add_test(tcase, a_list_that_was_not_sent_in_time_is_told_from_one_without_an_answer);
    tcase_add_test(tcase, writes_of_different_keys_share_a_call);
    tcase_add_test(tcase, services_are_known_by_key);
    return check_main("flow_auth", tcase);
}
