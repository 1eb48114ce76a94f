/* What is told of finished requests: how much a read asked for and whether it is the same question,
 * without looking at more bodies than the budget allows. */
#include <stdio.h>
#include <string.h>

#include "calls/look_budget.h"
#include "flow/flow_world.h"
#include "support/check_main.h"

#define PATH(uuid) "/api/v2/tenants/t/databases/d/collections/" uuid "/"
#define ONE        PATH("11111111-2222-3333-4444-555555555555")
#define OTHER      PATH("11111111-2222-3333-4444-666666666666")
#define EVERYTHING "{\"ids\":null,\"limit\":null,\"include\":[]}"

enum { TOLD_MAX = 60 };

static struct flow_world   world;
static struct flow_client *client;
static unsigned            status;

/* All that was told. */
static struct read_facts told[TOLD_MAX];
static bool              from_cache[TOLD_MAX];
static size_t            told_count;

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    (void)backend;
    (void)id;
    (void)ctx;
    ret_plan->delay_us = 1000;
    ret_plan->status = status;
    ret_plan->fields = "Content-Type: application/json\r\n";
    ret_plan->is_bare = true;
}

static void on_told(void *ctx, const struct finished_request *request)
{
    (void)ctx;
    ck_assert_uint_lt(told_count, TOLD_MAX);
    from_cache[told_count] = request->is_from_cache;
    told[told_count++] = request->facts;
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    flow_world_keep_answers(&world);
    world.backend.on_plan = plan;
    status = 200;
    told_count = 0;
    flow_world_start(&world);
    proxy_on_finished(world.proxy, on_told, NULL);
    client = flow_world_client(&world);
    flow_world_run_ms(&world, 3000); /* so that there is credit */
}

static void end(void)
{
    flow_world_end(&world);
}

static void send(const char *path, const char *body)
{
    flow_client_printf(client, "POST %s HTTP/1.1\r\nHost: chroma\r\nContent-Length: %zu\r\n\r\n",
                       path, strlen(body));
    flow_client_send(client, body);
}

/* What is told of one request. */
static const struct read_facts *ask(const char *path, const char *body)
{
    size_t before = told_count;

    send(path, body);
    ck_assert(flow_world_run_to_answers(&world, client, before + 1));
    ck_assert_uint_eq(told_count, before + 1);
    return &told[before];
}

START_TEST(what_a_read_asks_for_is_told)
{
    const struct read_facts *facts = ask(ONE "get", EVERYTHING);

    ck_assert(facts->is_unfiltered_get && facts->n_results == 0 && facts->question != 0);
    facts = ask(ONE "get", "{\"limit\":10}");
    ck_assert(!facts->is_unfiltered_get && facts->question != 0);
    facts = ask(ONE "query", "{\"query_embeddings\":[[1]],\"n_results\":5000}");
    ck_assert(!facts->is_unfiltered_get && facts->n_results == 5000);
    facts = ask("/api/v1/collections/11111111-2222-3333-4444-555555555555/get", "{}");
    ck_assert(facts->is_unfiltered_get);
}
END_TEST

START_TEST(the_same_question_is_known_again_also_from_the_cache)
{
    uint64_t one = ask(ONE "get", EVERYTHING)->question;

    ck_assert_uint_ne(ask(OTHER "get", EVERYTHING)->question, one);
    ck_assert_uint_ne(ask(ONE "get", "{\"offset\":1}")->question, one);
    ck_assert_uint_ne(ask(ONE "query", "{\"query_embeddings\":[[1]]}")->question, one);
    ck_assert(!from_cache[0]);
    ck_assert_uint_eq(ask(ONE "get", EVERYTHING)->question, one);
    ck_assert(from_cache[told_count - 1]);
}
END_TEST

START_TEST(of_what_is_no_answered_read_nothing_is_told)
{
    ck_assert_uint_eq(ask(ONE "get", "no JSON")->question, 0);
    ck_assert_uint_eq(ask(ONE "count", "")->question, 0);
    ck_assert_uint_eq(ask(ONE "delete", "{\"ids\":[\"a\"]}")->question, 0);
    status = 404;
    ck_assert_uint_eq(ask(ONE "get", "{\"offset\":7}")->question, 0);
    ck_assert(!told[told_count - 1].is_unfiltered_get);
}
END_TEST

/* One second's worth of credit and no more. */
START_TEST(of_many_bodies_a_part_is_looked_at)
{
    enum { SIZE = 8192 };
    static char body[SIZE + 1];
    size_t      looked_at = 0;

    snprintf(body, sizeof body, "{\"query_embeddings\":[[%0*d]],\"n_results\":10}", SIZE - 42, 1);
    memset(strstr(body, "[[") + 2, ' ', SIZE - 43);
    for (int i = 0; i < TOLD_MAX; i++)
        send(ONE "query", body);
    ck_assert(flow_world_run_to_answers(&world, client, TOLD_MAX));
    for (size_t i = 0; i < TOLD_MAX; i++)
        looked_at += told[i].question != 0;
    ck_assert_uint_ge(looked_at, LOOK_BUDGET_CREDIT_MAX / SIZE);
    ck_assert_uint_le(looked_at, LOOK_BUDGET_CREDIT_MAX / SIZE + 3);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_facts");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, what_a_read_asks_for_is_told);
    tcase_add_test(tcase, the_same_question_is_known_again_also_from_the_cache);
    tcase_add_test(tcase, of_what_is_no_answered_read_nothing_is_told);
    tcase_add_test(tcase, of_many_bodies_a_part_is_looked_at);
    return check_main("flow_facts", tcase);
}
