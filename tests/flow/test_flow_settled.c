/* A Chroma that we run ourselves dies under creations and deletions of a collection, "abc": what is
 * true afterwards is found out, and where it cannot be, nothing is claimed. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "support/check_main.h"

enum { second_us = 1000000 };

static struct flow_world world;

#define CREATED                                                                                    \
    "{\"id\":\"4de5ac2a-e674-4bea-a356-304ee16567b2\",\"name\":\"abc\",\"metadata\":null,"

static const char created[] = CREATED "\"dimension\":null}";
static const char used[] = CREATED "\"dimension\":3}";

static struct {
    bool        exists;
    unsigned    deaths;      /* of creations and deletions, */
    bool        is_applied;  /* which they are before */
    unsigned    look_deaths; /* of looks */
    unsigned    look_status; /* 0: as it is */
    uint64_t    look_delay_us;
    const char *description;
    unsigned    creations, deletions, looks;
    char        look_head[512];
} names;

static void plan_change(struct flow_plan *plan, bool is_creation)
{
    bool was_there = names.exists;

    if (is_creation)
        names.creations++;
    else
        names.deletions++;
    if (names.deaths > 0) {
        names.deaths--;
        plan->fault = names.is_applied ? FLOW_FAULT_RESET_AFTER : FLOW_FAULT_RESET_BEFORE;
        names.exists = names.is_applied ? is_creation : was_there;
        return;
    }
    names.exists = is_creation;
    plan->body = is_creation ? names.description : "{}";
    if (was_there != is_creation)
        return;
    plan->status = is_creation ? 409 : 404;
    plan->body = is_creation ? "{\"error\":\"exists\"}" : "{\"error\":\"NotFoundError\"}";
}

static void plan_names(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan,
                       void *ctx)
{
    const char *head = flow_backend_last_head(backend);

    (void)id;
    (void)ctx;
    if (strncmp(head, "GET ", 4) != 0) {
        plan_change(ret_plan, head[0] == 'P');
        return;
    }
    names.looks++;
    snprintf(names.look_head, sizeof names.look_head, "%s", head);
    ret_plan->delay_us = names.look_delay_us;
    ret_plan->body = names.description;
    ret_plan->status = names.look_status;
    if (!names.exists) {
        ret_plan->status = 404;
        ret_plan->body = "{}";
    }
    if (names.look_deaths > 0) {
        names.look_deaths--;
        ret_plan->fault = FLOW_FAULT_RESET_BEFORE;
    }
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    memset(&names, 0, sizeof names);
    names.deaths = 1;
    world.write_options.is_supervised = true;
    names.description = created;
    world.write_options.is_gateway = true;
    world.backend.on_plan = plan_names;
}

static void end(void)
{
    flow_world_end(&world);
}

static struct flow_client *create(const char *body)
{
    struct flow_client *client = flow_world_client(&world);

    client->keeps_bodies = true;
    flow_client_printf(client,
                       "POST /api/v2/tenants/t/databases/d/collections?id=1 HTTP/1.1\r\n"
                       "Host: chroma\r\nContent-Type: application/json\r\n"
                       "Authorization: Bearer x\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
    return client;
}

static struct flow_client *delete_name(const char *name)
{
    struct flow_client *client = flow_world_client(&world);

    client->keeps_bodies = true;
    flow_client_printf(client,
                       "DELETE /api/v2/tenants/t/databases/d/collections/%s?id=2 HTTP/1.1\r\n"
                       "Host: chroma\r\n\r\n",
                       name);
    return client;
}

static void die_and_answer(struct flow_client *client, unsigned status)
{
    flow_world_run_ms(&world, 100);
    ck_assert_uint_eq(client->answer_count, 0);
    proxy_backend_ended(world.proxy);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, status);
    if (status >= 500)
        ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
    else
        ck_assert_ptr_null(strstr(flow_client_head(client, 0), "Executed:"));
}

START_TEST(a_lost_creation_is_settled_by_looking)
{
    struct flow_client *client;

    names.is_applied = _i == 0;
    flow_world_start(&world);
    client = create("{\"name\":\"abc\",\"metadata\":null}");
    die_and_answer(client, 200);
    ck_assert_str_eq(flow_client_body(client, 0), created);
    ck_assert_uint_eq(names.creations, _i == 0 ? 1 : 2);
    ck_assert_uint_eq(names.looks, 1);
    ck_assert_ptr_nonnull(
        strstr(names.look_head, "GET /api/v2/tenants/t/databases/d/collections/abc?id=1 HTTP/1.1"));
    ck_assert_ptr_nonnull(strstr(names.look_head, "Authorization: Bearer x\r\n"));
    ck_assert_ptr_null(strstr(names.look_head, "Content-"));
}
END_TEST

/* The look is made again when Chroma dies under it; not found, the creation is sent; and what kills
 * Chroma each time is not sent for ever. */
START_TEST(a_look_and_a_creation_may_die_again)
{
    struct flow_client *client;

    names.look_deaths = 1;
    names.deaths = 1 + (unsigned)_i;
    flow_world_start(&world);
    client = create("{\"name\":\"abc\"}");
    for (int i = 0; i < 20; i++) {
        flow_world_run_ms(&world, 300);
        proxy_backend_ended(world.proxy);
    }
    ck_assert_uint_eq(client->answer_count, 1);
    ck_assert_uint_eq(client->answers[0].status, _i < 2 ? 200 : 502);
    ck_assert_uint_eq(names.creations, _i == 0 ? 2 : 3);
}
END_TEST

enum doubt {
    NO_GATEWAY,
    PYTHON,
    UNKNOWN_FAMILY,
    USED,
    OTHER_ATTRIBUTES,
    LOOK_FAILS,
    SAME_CREATED,
    SAME_DELETED,
    ANY_CREATED,
    UNREADABLE_NAME,
    SAME_DELETED_WHILE_LOOKING,
    DOUBT_COUNT
};

START_TEST(a_creation_in_doubt_is_not_settled)
{
    bool                is_unreadable = _i == UNREADABLE_NAME;
    struct flow_client *client;

    names.is_applied = true;
    world.write_options.is_gateway = _i != NO_GATEWAY;
    if (_i == PYTHON || _i == UNKNOWN_FAMILY)
        world.family = _i == PYTHON ? CHROMA_FAMILY_PYTHON : CHROMA_FAMILY_UNKNOWN;
    names.description = _i == USED ? used : created;
    names.look_status = _i == LOOK_FAILS ? 500 : 0;
    names.look_delay_us = _i == SAME_DELETED_WHILE_LOOKING ? 100000 : 0;
    flow_world_start(&world);
    client = create(is_unreadable            ? "{\"name\":\"a\\u0062c\"}"
                    : _i == OTHER_ATTRIBUTES ? "{\"name\":\"abc\",\"metadata\":{\"a\":1}}"
                                             : "{\"name\":\"abc\"}");
    flow_world_run_ms(&world, 1);
    if (_i == SAME_CREATED)
        create("{\"name\":\"abc\",\"get_or_create\":true}");
    if (_i == ANY_CREATED)
        create("{\"name\":\"a\\u0062d\"}");
    if (_i == SAME_DELETED)
        delete_name("abc");
    flow_world_run_ms(&world, 100);
    proxy_backend_ended(world.proxy);
    flow_world_run_ms(&world, 200);
    if (_i == SAME_DELETED_WHILE_LOOKING)
        delete_name("abc");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 502);
    ck_assert_ptr_nonnull(strstr(flow_client_head(client, 0), "Executed: maybe\r\n"));
    ck_assert_uint_eq(names.creations, _i == SAME_CREATED || _i == ANY_CREATED ? 2 : 1);
}
END_TEST

START_TEST(a_creation_is_given_up_at_its_deadline_while_it_is_looked_for)
{
    struct flow_client *client;

    world.proxy_options.deadline_write_us = 2 * second_us;
    names.look_delay_us = 60 * (uint64_t)second_us;
    flow_world_start(&world);
    client = create("{\"name\":\"abc\"}");
    die_and_answer(client, 504);
    ck_assert_uint_eq(names.looks, 1);
    ck_assert_uint_eq(names.creations, 1);
}
END_TEST

/* By itself, and in a lane; applied before the death, or not. */
START_TEST(a_lost_deletion_is_sent_again_and_then_there_is_nothing_to_delete)
{
    struct flow_client *client;

    names.exists = true;
    names.is_applied = _i % 2 == 0;
    world.write_options.is_coalescing = _i / 2 == 0;
    flow_world_start(&world);
    client = delete_name("abc");
    die_and_answer(client, 200);
    ck_assert_str_eq(flow_client_body(client, 0), "{}");
    ck_assert_uint_eq(names.deletions, 2);
    ck_assert(!names.exists);
}
END_TEST

START_TEST(a_deletion_that_was_not_lost_is_answered_by_Chroma)
{
    struct flow_client *client;

    names.deaths = 0;
    world.write_options.is_coalescing = _i == 0;
    flow_world_start(&world);
    client = delete_name("abc");
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert_uint_eq(client->answers[0].status, 404);
}
END_TEST

/* Somebody creates the same while it is not known; another name does not matter. */
START_TEST(a_deletion_in_doubt_is_not_sent_again)
{
    bool                is_same = _i % 2 == 0, is_proved = _i / 4 == 0;
    struct flow_client *client, *creator;

    names.exists = true;
    names.is_applied = true;
    world.write_options.is_coalescing = _i / 2 % 2 == 0;
    flow_world_start(&world);
    client = delete_name("abc");
    flow_world_run_ms(&world, 10);
    creator = create(is_same ? "{\"name\":\"abc\"}" : "{\"name\":\"abd\"}");
    flow_world_run_ms(&world, 100);
    if (is_proved)
        proxy_backend_ended(world.proxy);
    ck_assert(flow_world_run_to_answers(&world, client, 1));
    ck_assert(flow_world_run_to_answers(&world, creator, 1));
    ck_assert_uint_eq(creator->answers[0].status, 200);
    ck_assert_uint_eq(client->answers[0].status, is_proved && !is_same ? 200 : 502);
    ck_assert_uint_eq(names.deletions, is_proved && !is_same ? 2 : 1);
    ck_assert(is_same ? names.exists : true);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_settled");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_loop_test(tcase, a_lost_creation_is_settled_by_looking, 0, 2);
    tcase_add_loop_test(tcase, a_look_and_a_creation_may_die_again, 0, 3);
    tcase_add_loop_test(tcase, a_creation_in_doubt_is_not_settled, 0, DOUBT_COUNT);
    tcase_add_test(tcase, a_creation_is_given_up_at_its_deadline_while_it_is_looked_for);
    tcase_add_loop_test(tcase, a_lost_deletion_is_sent_again_and_then_there_is_nothing_to_delete, 0,
                        4);
    tcase_add_loop_test(tcase, a_deletion_that_was_not_lost_is_answered_by_Chroma, 0, 2);
    tcase_add_loop_test(tcase, a_deletion_in_doubt_is_not_sent_again, 0, 8);
    return check_main("flow_settled", tcase);
}
