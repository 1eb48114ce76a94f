/* What must hold: up after one answer below 500, down after two failures, with a reason; the
 * limits are asked for each time it comes up. */
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"
#include "support/tiny_backend.h"
#include "upstream/upstream_health.h"

static const char alive[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
static const char limits[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{\"max_batch_size\":5461}";
static const char failing[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
static const char unknown[] = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n";

static struct tiny_backend          backend;
static struct loop                 *loop;
static struct worker_pool          *workers;
static struct memory_account_budget budget;
static struct upstream_pool        *pool;
static struct upstream_health      *health;
static int                          changes;

static void on_change(void *ctx)
{
    ck_assert_ptr_eq(ctx, &changes);
    changes++;
}

static void setup(void)
{
    struct upstream_pool_options options = {.connections_max = 1,
                                            .connect_timeout_us = 1000000,
                                            .idle_timeout_us = 60000000,
                                            .resolve_interval_us = 60000000,
                                            .head_bytes_max = 4096};

    tiny_backend_init(&backend);
    options.backend = tiny_backend_address(&backend);
    plain_budget_init(&budget, 1 << 30);
    loop = loop_new();
    workers =
        worker_pool_new(loop, &(struct worker_pool_options){.threads = {[WORKER_POOL_NAME] = 1}});
    pool = upstream_pool_new(loop, workers, &budget, &options);
    ck_assert_ptr_nonnull(pool);
}

static void teardown(void)
{
    upstream_health_free(health);
    worker_pool_free(workers);
    upstream_pool_free(pool);
    loop_free(loop);
    tiny_backend_done(&backend);
}

static void begin(const char *answer)
{
    struct upstream_health_options options = {
        .backend = tiny_backend_address(&backend), .interval_us = 5000, .timeout_us = 1000000};

    if (answer != NULL)
        tiny_backend_listen(&backend);
    backend.answer = answer;
    health = upstream_health_new(loop, pool, &options, on_change, &changes);
    ck_assert_ptr_nonnull(health);
    ck_assert_int_eq(upstream_health_state(health), UPSTREAM_HEALTH_UNKNOWN);
}

static bool is_up(void)
{
    tiny_backend_turn(&backend);
    return upstream_health_state(health) == UPSTREAM_HEALTH_UP;
}

static bool is_down(void)
{
    tiny_backend_turn(&backend);
    return upstream_health_state(health) == UPSTREAM_HEALTH_DOWN;
}

static bool knows_limits(void)
{
    tiny_backend_turn(&backend);
    return upstream_health_batch_records_max(health) != 0;
}

START_TEST(it_is_up_after_one_answer_and_learns_the_limits)
{
    begin(limits); /* any answer is a life sign */
    loop_drive_until(loop, is_up);
    ck_assert_uint_eq(upstream_health_stats(health)->up, 1);
    ck_assert_str_eq(upstream_health_problem(health), "");
    loop_drive_until(loop, knows_limits);
    ck_assert_uint_eq(upstream_health_batch_records_max(health), 5461);
    ck_assert_int_ge(changes, 2);
    ck_assert_ptr_nonnull(strstr(backend.got[0], "GET /api/v2/heartbeat HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(backend.got[1], "GET /api/v2/version HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(backend.got[2], "GET /api/v2/pre-flight-checks HTTP/1.1\r\n"));
}
END_TEST

static bool is_rust(void)
{
    tiny_backend_turn(&backend);
    return upstream_health_is_rust(health);
}

/* What may be merged hangs on it. */
START_TEST(only_a_version_of_1_or_more_counts_as_known)
{
    static const char *const others[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\"0.6.3\"",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\"\"",
        "HTTP/1.1 401 No\r\nContent-Length: 7\r\n\r\n\"1.0.0\"",
    };

    begin(others[0]);
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        uint64_t checks = upstream_health_stats(health)->checks;

        backend.answer = others[i];
        do {
            loop_drive_for(loop, 5000);
            tiny_backend_turn(&backend);
        } while (upstream_health_stats(health)->checks < checks + 3);
        ck_assert(!upstream_health_is_rust(health));
    }
    backend.answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n\"1.0.0\"";
    loop_drive_until(loop, is_rust);
    backend.answer = failing;
    loop_drive_until(loop, is_down);
    ck_assert(!upstream_health_is_rust(health));
}
END_TEST

START_TEST(limits_are_asked_for_until_they_are_known)
{
    begin(alive);
    loop_drive_until(loop, is_up);
    loop_drive_for(loop, 10000);
    tiny_backend_turn(&backend);
    ck_assert_uint_eq(upstream_health_batch_records_max(health), 0);
    backend.answer = limits;
    loop_drive_until(loop, knows_limits);
}
END_TEST

START_TEST(nobody_there_is_down_with_a_reason)
{
    begin(NULL);
    loop_drive_until(loop, is_down);
    ck_assert_int_eq(changes, 1);
    ck_assert_uint_eq(upstream_health_stats(health)->up, 0);
    ck_assert_uint_ge(upstream_health_stats(health)->failures, 1);
    ck_assert_str_ne(upstream_health_problem(health), "");
}
END_TEST

START_TEST(an_answer_of_500_or_more_is_a_failure)
{
    begin(failing);
    loop_drive_until(loop, is_down);
    ck_assert_ptr_nonnull(strstr(upstream_health_problem(health), "503"));
}
END_TEST

START_TEST(an_answer_below_500_is_a_life_sign)
{
    begin(unknown);
    loop_drive_until(loop, is_up);
}
END_TEST

START_TEST(it_goes_down_after_two_failures_and_comes_up_again)
{
    uint64_t failures;

    begin(alive);
    loop_drive_until(loop, is_up);
    backend.answer = failing;
    loop_drive_until(loop, is_down);
    failures = upstream_health_stats(health)->failures;
    ck_assert_uint_ge(failures, 2);
    backend.answer = alive;
    loop_drive_until(loop, is_up);
    ck_assert_str_eq(upstream_health_problem(health), "");
}
END_TEST

START_TEST(no_answer_in_time_is_a_failure)
{
    begin(alive);
    backend.answer = NULL;
    upstream_health_set_times(health, 5000, 20000);
    loop_drive_until(loop, is_down);
    ck_assert_str_ne(upstream_health_problem(health), "");
}
END_TEST

START_TEST(no_check_is_made_while_all_places_for_connections_are_taken)
{
    ck_assert(upstream_pool_take_place(pool));
    begin(alive);
    loop_drive_for(loop, 12000);
    tiny_backend_turn(&backend);
    ck_assert_uint_eq(backend.count, 0);
    upstream_pool_give_place(pool);
    loop_drive_until(loop, is_up);
}
END_TEST

START_TEST(it_may_be_freed_while_it_asks)
{
    begin(alive);
    backend.answer = NULL;
    loop_drive_for(loop, 3000);
    upstream_health_free(health);
    health = NULL;
    loop_drive_for(loop, 2000);
    ck_assert_int_eq(changes, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("upstream_health");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, only_a_version_of_1_or_more_counts_as_known);
    tcase_add_test(tcase, it_is_up_after_one_answer_and_learns_the_limits);
    tcase_add_test(tcase, limits_are_asked_for_until_they_are_known);
    tcase_add_test(tcase, nobody_there_is_down_with_a_reason);
    tcase_add_test(tcase, an_answer_of_500_or_more_is_a_failure);
    tcase_add_test(tcase, an_answer_below_500_is_a_life_sign);
    tcase_add_test(tcase, it_goes_down_after_two_failures_and_comes_up_again);
    tcase_add_test(tcase, no_answer_in_time_is_a_failure);
    tcase_add_test(tcase, no_check_is_made_while_all_places_for_connections_are_taken);
    tcase_add_test(tcase, it_may_be_freed_while_it_asks);
    return check_main("upstream_health", tcase);
}
