/* What an operator forgets is not answered any more, nor kept when it was on its way. */
#include <stdio.h>
#include <string.h>

#include "flow/flow_world.h"
#include "proxy/cache_report.h"
#include "support/check_main.h"

#define COLLECTIONS "/api/v2/tenants/t/databases/d/collections/"

static const char *const uuids[] = {"11111111-2222-3333-4444-555555555555",
                                    "66666666-7777-8888-9999-000000000000"};
static struct flow_world world;
static uint64_t          read_delay_us;

static void plan(struct flow_backend *backend, unsigned id, struct flow_plan *ret_plan, void *ctx)
{
    (void)backend;
    (void)id;
    (void)ctx;
    ret_plan->delay_us = read_delay_us;
    ret_plan->status = 200;
    ret_plan->fields = "Content-Type: application/json\r\n";
    ret_plan->is_bare = true;
}

static void begin(void)
{
    flow_world_begin(&world, 1);
    flow_world_keep_answers(&world);
    world.backend.on_plan = plan;
    read_delay_us = 1000;
    flow_world_start(&world);
}

static void end(void)
{
    flow_world_end(&world);
}

static void send_read(struct flow_client *client, unsigned collection)
{
    flow_client_printf(client,
                       "POST " COLLECTIONS "%s/get HTTP/1.1\r\nHost: chroma\r\n"
                       "Content-Length: 2\r\n\r\n{}",
                       uuids[collection]);
}

static bool is_hit(struct flow_client *client, unsigned collection)
{
    size_t answers = client->answer_count;

    send_read(client, collection);
    ck_assert(flow_world_run_to_answers(&world, client, answers + 1));
    return strstr(flow_client_head(client, answers), "Cache-Status: chromabouncer; hit\r\n") !=
           NULL;
}

static uint64_t flush(unsigned collection)
{
    uint8_t uuid[16];

    ck_assert(cache_report_find(world.proxy, bytes_of(uuids[collection]), uuid));
    return cache_report_flush_collection(world.proxy, uuid);
}

START_TEST(what_is_kept_and_saved_is_told_by_collection)
{
    struct cache_usage_row rows[QUERY_CACHE_OWNERS_MAX];
    struct cache_report    report;
    struct flow_client    *client = flow_world_client(&world);

    ck_assert(!is_hit(client, 1));
    for (unsigned i = 0; i < 4; i++)
        ck_assert(is_hit(client, 0) == (i > 0));
    cache_report_read(world.proxy, &report);
    ck_assert(report.is_on);
    ck_assert_uint_eq(report.stats.entries, 2);
    ck_assert_uint_eq(report.stats.hits, 3);
    ck_assert_uint_eq(cache_report_list(world.proxy, QUERY_CACHE_COLLECTION, rows), 2);
    ck_assert_uint_eq(rows[0].collection[0], 0x11);
    ck_assert_uint_eq(rows[0].counts.lookups, 4);
    ck_assert_uint_eq(rows[0].counts.hits, 3);
    ck_assert_uint_eq(rows[0].counts.saved_us, report.stats.saved_us);
    ck_assert_uint_ge(rows[0].counts.saved_us, 3000);
    ck_assert_uint_eq(rows[0].holding.entries, 1);
    ck_assert_uint_eq(rows[1].counts.hits, 0);
    ck_assert_uint_eq(rows[1].holding.entries, 1);
    ck_assert_uint_eq(cache_report_list(world.proxy, QUERY_CACHE_SERVICE, rows), 1);
    ck_assert_str_eq(rows[0].service, "default");
    ck_assert_uint_eq(rows[0].counts.lookups, 5);
}
END_TEST

START_TEST(one_collection_is_forgotten_and_no_other)
{
    struct flow_client *client = flow_world_client(&world);

    for (unsigned i = 0; i < 4; i++)
        ck_assert(is_hit(client, i % 2) == (i >= 2));
    ck_assert_uint_eq(flush(0), 1);
    ck_assert(is_hit(client, 1));
    ck_assert(!is_hit(client, 0));
    ck_assert(is_hit(client, 0));
}
END_TEST

START_TEST(all_is_forgotten)
{
    struct flow_client *client = flow_world_client(&world);

    ck_assert(!is_hit(client, 0) && !is_hit(client, 1));
    ck_assert_uint_eq(cache_report_flush(world.proxy), 2);
    ck_assert_uint_eq(cache_report_flush(world.proxy), 0);
    ck_assert(!is_hit(client, 0) && !is_hit(client, 1));
    ck_assert(is_hit(client, 0) && is_hit(client, 1));
}
END_TEST

START_TEST(what_was_on_its_way_is_not_kept)
{
    struct flow_client *client = flow_world_client(&world);

    read_delay_us = 50000;
    for (unsigned i = 0; i < 2; i++) {
        send_read(client, 0);
        flow_world_run_ms(&world, 5);
        ck_assert_uint_eq(i == 0 ? flush(0) : cache_report_flush(world.proxy), 0);
        ck_assert(flow_world_run_to_answers(&world, client, i + 1));
    }
    ck_assert(!is_hit(client, 0));
    ck_assert(is_hit(client, 0));
}
END_TEST

START_TEST(a_name_that_is_not_known_is_none)
{
    static const char *const names[] = {"", "/", "//", "a", "t/d", "t/d/a", "t/d/", "a/b/c/d"};
    uint8_t                  uuid[16];

    for (size_t i = 0; i < COUNT_OF(names); i++)
        ck_assert_msg(!cache_report_find(world.proxy, bytes_of(names[i]), uuid), "%s", names[i]);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("flow_cache_report");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, what_is_kept_and_saved_is_told_by_collection);
    tcase_add_test(tcase, one_collection_is_forgotten_and_no_other);
    tcase_add_test(tcase, all_is_forgotten);
    tcase_add_test(tcase, what_was_on_its_way_is_not_kept);
    tcase_add_test(tcase, a_name_that_is_not_known_is_none);
    return check_main("flow_cache_report", tcase);
}
