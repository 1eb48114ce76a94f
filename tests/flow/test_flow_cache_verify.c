/* What Chroma says otherwise than the cache is found out, and only that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "flow/flow_world.h"
#include "support/check_main.h"

#define COLLECTION "/api/v2/tenants/t/databases/d/collections/11111111-2222-3333-4444-555555555555"

enum { SETTLED_MS = 20 }; /* what was compared by then is told */

static struct flow_world   world;
static struct flow_client *reader;
static uint64_t            read_delay_us;
static unsigned            read_status;
static const char         *read_body;
static bool                read_breaks;

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    bool is_write = strstr(flow_backend_last_head(backend), "/upsert") != NULL;

    (void)id;
    (void)ctx;
    ret_plan->delay_us = is_write ? 1000 : read_delay_us;
    ret_plan->status = is_write ? 200 : read_status;
    ret_plan->body = is_write ? NULL : read_body;
    ret_plan->fault = !is_write && read_breaks ? FLOW_FAULT_RESET_BEFORE : FLOW_FAULT_NONE;
    ret_plan->fields = is_write ? NULL : "Content-Type: application/json\r\n";
    ret_plan->is_bare = !is_write;
}

static void begin_with(uint32_t per_million)
{
    flow_world_begin(&world, 1);
    flow_world_keep_answers(&world);
    world.proxy_options.cache.verify_per_million = per_million;
    world.backend.on_plan = plan;
    read_delay_us = 1000;
    read_status = 200;
    read_body = "{\"metadatas\":[{\"a\":1,\"b\":2}]}";
    read_breaks = false;
    flow_world_start(&world);
    reader = flow_world_client(&world);
}

static void begin(void)
{
    begin_with(1000000);
}

static void end(void)
{
    flow_world_end(&world);
}

static bool asks(const char *request)
{
    size_t answers = reader->answer_count;

    flow_client_send(reader, request);
    ck_assert(flow_world_run_to_answers(&world, reader, answers + 1));
    return strstr(flow_client_head(reader, answers), "Cache-Status: chromabouncer; hit\r\n") !=
           NULL;
}

static bool is_hit(void)
{
    return asks("POST " COLLECTION "/get HTTP/1.1\r\nHost: chroma\r\nContent-Length: 2\r\n\r\n{}");
}

/* So many were verified with this result. */
static uint64_t verified(const char *result)
{
    struct byte_buffer page = {0};
    char               name[80];
    const char        *found;
    uint64_t           value = 0;

    snprintf(name, sizeof name, "chromabouncer_cache_verified_total{result=\"%s\"} ", result);
    ck_assert_int_eq(proxy_print_metrics(world.proxy, &page), STATUS_OK);
    found = memmem(byte_buffer_bytes(&page).data, byte_buffer_size(&page), name, strlen(name));
    if (found != NULL)
        value = strtoull(found + strlen(name), NULL, 10);
    byte_buffer_done(&page);
    return value;
}

START_TEST(what_is_the_same_is_counted_and_stays)
{
    ck_assert(!is_hit());
    read_body = "{\"metadatas\":[{\"b\":2,\"a\":1}]}"; /* in another order */
    ck_assert(is_hit());
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(world.backend.request_count, 2);
    ck_assert_uint_eq(verified("same"), 1);
    ck_assert_str_eq(flow_client_body(reader, 1), flow_client_body(reader, 0));
    ck_assert(is_hit());
}
END_TEST

START_TEST(what_differs_is_forgotten)
{
    ck_assert(!is_hit());
    read_body = "{\"metadatas\":[{\"a\":1,\"b\":3}]}";
    ck_assert(is_hit());
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(verified("different"), 1);
    ck_assert(!is_hit());
    ck_assert(is_hit());
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(verified("same"), 1);
    read_status = 404;
    ck_assert(is_hit());
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(verified("different"), 2);
    ck_assert(!is_hit());
}
END_TEST

START_TEST(what_a_write_crossed_says_nothing)
{
    struct flow_client *writer = flow_world_client(&world);

    ck_assert(!is_hit());
    read_delay_us = 50000;
    read_body = "{}";
    ck_assert(is_hit());
    flow_world_run_ms(&world, 5);
    flow_world_request_record(writer, "upsert", 1);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    flow_world_run_ms(&world, 50 + SETTLED_MS);
    ck_assert_uint_eq(verified("changed"), 1);
    ck_assert_uint_eq(verified("different"), 0);
}
END_TEST

/* Whichever records it was about. */
START_TEST(what_a_write_of_others_crossed_says_nothing_either)
{
    const char *get = "POST " COLLECTION "/get HTTP/1.1\r\nHost: chroma\r\nContent-Length: 14"
                      "\r\n\r\n{\"ids\":[\"w9\"]}";
    struct flow_client *writer = flow_world_client(&world);

    proxy_set_backend(world.proxy, &(struct proxy_backend){.family = CHROMA_FAMILY_RUST,
                                                           .batch_records_max = 5461,
                                                           .incarnation = 7});
    flow_world_run_ms(&world, 11000);
    ck_assert(!asks(get));
    flow_world_request_record(writer, "upsert", 1);
    ck_assert(flow_world_run_to_answers(&world, writer, 1));
    ck_assert(!asks(get));
    read_delay_us = 50000;
    read_body = "{}";
    ck_assert(asks(get));
    flow_world_run_ms(&world, 5);
    flow_world_request_record(writer, "upsert", 1);
    ck_assert(flow_world_run_to_answers(&world, writer, 2));
    flow_world_run_ms(&world, 50 + SETTLED_MS);
    ck_assert_uint_eq(verified("changed"), 1);
    ck_assert_uint_eq(verified("different"), 0);
    ck_assert(asks(get));
}
END_TEST

START_TEST(no_answer_says_nothing_either)
{
    ck_assert(!is_hit());
    read_status = 503;
    ck_assert(is_hit());
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(verified("unanswered"), 1);
    read_breaks = true;
    ck_assert(is_hit());
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(verified("unanswered"), 2);
    read_breaks = false;
    read_status = 200;
    read_delay_us = UINT64_C(100) * 1000000; /* beyond deadline.read */
    ck_assert(is_hit());
    flow_world_run_ms(&world, 61000);
    ck_assert_uint_eq(verified("unanswered"), 3);
    ck_assert_uint_eq(verified("different"), 0);
}
END_TEST

START_TEST(one_is_verified_at_a_time_and_nobody_waits_for_it)
{
    ck_assert(!is_hit());
    read_delay_us = 50000;
    for (unsigned i = 0; i < 10; i++)
        ck_assert(is_hit());
    ck_assert_uint_eq(world.backend.request_count, 2);
    flow_world_run_ms(&world, 50 + SETTLED_MS);
    ck_assert_uint_eq(verified("same"), 1);
    ck_assert(is_hit());
    flow_world_run_ms(&world, 10); /* the world ends while it is under way */
    ck_assert_uint_eq(world.backend.request_count, 3);
}
END_TEST

/* A get has a body, a count has none. */
START_TEST(it_is_asked_as_the_client_asked)
{
    static const char count[] = "GET " COLLECTION "/count HTTP/1.1\r\nHost: chroma\r\n\r\n";

    read_body = "7";
    ck_assert(!asks(count));
    ck_assert(asks(count));
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(verified("same"), 1);
    ck_assert_ptr_nonnull(strstr(flow_backend_last_head(&world.backend), "GET " COLLECTION));
}
END_TEST

START_TEST(a_share_of_the_hits_is_verified_and_none_by_default)
{
    uint64_t first;

    end();
    begin_with(200000);
    ck_assert(!is_hit());
    for (unsigned i = 0; i < 60; i++) {
        ck_assert(is_hit());
        flow_world_run_ms(&world, SETTLED_MS);
    }
    first = verified("same");
    ck_assert_msg(first >= 1 && first <= 40, "%u", (unsigned)first);
    end();
    begin_with(0);
    ck_assert(!is_hit());
    ck_assert(is_hit());
    flow_world_run_ms(&world, SETTLED_MS);
    ck_assert_uint_eq(world.backend.request_count, 1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_cache_verify");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, what_is_the_same_is_counted_and_stays);
    tcase_add_test(tcase, what_differs_is_forgotten);
    tcase_add_test(tcase, what_a_write_crossed_says_nothing);
    tcase_add_test(tcase, what_a_write_of_others_crossed_says_nothing_either);
    tcase_add_test(tcase, no_answer_says_nothing_either);
    tcase_add_test(tcase, one_is_verified_at_a_time_and_nobody_waits_for_it);
    tcase_add_test(tcase, it_is_asked_as_the_client_asked);
    tcase_add_test(tcase, a_share_of_the_hits_is_verified_and_none_by_default);
    return check_main("flow_cache_verify", tcase);
}
