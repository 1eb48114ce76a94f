/* What must hold: the cap on connections, their reuse and retirement, the order of who waits, and
 * what a transfer promises: one last callback, a write never sent twice. */
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"
#include "support/tiny_backend.h"
#include "upstream/upstream_pool.h"
#include "upstream/upstream_transfer.h"

static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* One request and what became of it. */
struct asked {
    struct upstream_transfer *transfer;
    char                      body[64];
    unsigned                  status;
    bool                      is_over, failed, sent;
    enum status               why;
    int                       order; /* in which it ended */
};

static struct tiny_backend          backend;
static struct loop                 *loop;
static struct worker_pool          *workers;
static struct memory_account_budget budget;
static struct upstream_pool        *pool;
static struct upstream_pool_options options = {.connections_max = 2,
                                               .connect_timeout_us = 1000000,
                                               .idle_timeout_us = 60000000,
                                               .resolve_interval_us = 60000000,
                                               .head_bytes_max = 4096};
static struct asked                 asked[8];
static int                          over_count;

static void end(struct asked *one)
{
    ck_assert(!one->is_over);
    one->is_over = true;
    one->order = over_count++;
}

static void on_interim(const struct http_head *head, void *ctx)
{
    (void)head;
    (void)ctx;
}

static void on_head(const struct http_head *head, void *ctx)
{
    ((struct asked *)ctx)->status = head->status;
}

static void on_body(struct bytes data, void *ctx)
{
    strncat(((struct asked *)ctx)->body, data.data, data.size);
}

static void on_flush(void *ctx)
{
    (void)ctx;
}

static void on_end(void *ctx)
{
    end(ctx);
}

static void on_failure(enum status why, bool sent, void *ctx)
{
    struct asked *one = ctx;

    end(one);
    one->failed = true;
    one->why = why;
    one->sent = sent;
}

static void on_writable(void *ctx)
{
    (void)ctx;
}

static const struct upstream_transfer_events events = {.on_interim = on_interim,
                                                       .on_head = on_head,
                                                       .on_body = on_body,
                                                       .on_flush = on_flush,
                                                       .on_end = on_end,
                                                       .on_failure = on_failure,
                                                       .on_writable = on_writable};

static void setup(void)
{
    tiny_backend_init(&backend);
    tiny_backend_listen(&backend);
    backend.answer = ok;
    plain_budget_init(&budget, 1 << 30);
    loop = loop_new();
    workers =
        worker_pool_new(loop, &(struct worker_pool_options){.threads = {[WORKER_POOL_NAME] = 1}});
    options.backend = tiny_backend_address(&backend);
    pool = upstream_pool_new(loop, workers, &budget, &options);
    ck_assert_ptr_nonnull(pool);
}

static void teardown(void)
{
    worker_pool_free(workers);
    upstream_pool_free(pool);
    loop_free(loop);
    ck_assert_uint_eq(budget.used, 0);
    tiny_backend_done(&backend);
}

static enum status start(size_t i, bool is_write)
{
    static const char       reads[] = "GET /r HTTP/1.1\r\nHost: h\r\n\r\n";
    static const char       writes[] = "POST /w HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    struct upstream_request request = {.head = bytes_of(is_write ? writes : reads),
                                       .is_write = is_write};

    asked[i] = (struct asked){.order = -1};
    return upstream_transfer_start(pool, &request, &events, &asked[i], &asked[i].transfer);
}

static void must_start(size_t i, bool is_write)
{
    ck_assert_int_eq(start(i, is_write), STATUS_OK);
    ck_assert(!asked[i].is_over); /* never inside a call */
}

static size_t wanted;

static bool are_over(void)
{
    tiny_backend_turn(&backend);
    for (size_t i = 0; i < wanted; i++)
        if (!asked[i].is_over)
            return false;
    return true;
}

/* Until the first `count` requests are over. */
static void finish(size_t count)
{
    wanted = count;
    loop_drive_until(loop, are_over);
}

static bool is_heard(void)
{
    tiny_backend_turn(&backend);
    return backend.count > 0 && strstr(backend.got[0], "\r\n\r\n") != NULL;
}

static bool none_is_idle(void)
{
    tiny_backend_turn(&backend);
    return upstream_pool_stats(pool)->idle == 0;
}

static bool all_have_ended(void)
{
    tiny_backend_turn(&backend);
    for (size_t i = 0; i < backend.count; i++)
        if (backend.fds[i] >= 0 && !backend.ends[i])
            return false;
    return true;
}

START_TEST(an_answer_is_told_in_full_and_the_connection_is_used_again)
{
    const struct upstream_pool_stats *stats;

    for (int i = 0; i < 3; i++) {
        must_start(0, i == 1);
        finish(1);
        ck_assert(!asked[0].failed);
        ck_assert_uint_eq(asked[0].status, 200);
        ck_assert_str_eq(asked[0].body, "ok");
    }
    stats = upstream_pool_stats(pool);
    ck_assert_uint_eq(stats->opened, 1);
    ck_assert_uint_eq(stats->reused, 2);
    ck_assert_uint_eq(stats->idle, 1);
}
END_TEST

START_TEST(the_cap_is_never_exceeded)
{
    must_start(0, false);
    ck_assert(upstream_pool_has_room(pool));
    must_start(1, false);
    ck_assert(!upstream_pool_has_room(pool));
    ck_assert_int_eq(start(2, false), STATUS_OVERLOADED);
    finish(2);
    ck_assert(upstream_pool_has_room(pool));
    must_start(2, false);
    finish(3);
    ck_assert_uint_eq(backend.count, 2);
}
END_TEST

START_TEST(a_lowered_cap_closes_connections_as_they_become_idle)
{
    must_start(0, false);
    must_start(1, false);
    finish(2);
    ck_assert_uint_eq(upstream_pool_stats(pool)->idle, 2);
    options.connections_max = 1;
    upstream_pool_set_options(pool, &options);
    must_start(0, false);
    finish(1);
    ck_assert_uint_eq(upstream_pool_stats(pool)->idle, 1);
}
END_TEST

START_TEST(nobody_there_is_told_with_a_reason_and_nothing_was_sent)
{
    close(backend.listener);
    backend.listener = -1;
    must_start(0, true);
    finish(1);
    ck_assert_int_eq(asked[0].why, STATUS_BACKEND_DOWN);
    ck_assert(!asked[0].sent);
    ck_assert_ptr_nonnull(strstr(upstream_pool_problem(pool), backend.path));
    tiny_backend_listen(&backend);
    must_start(0, true);
    finish(1);
    ck_assert(!asked[0].failed);
    ck_assert_str_eq(upstream_pool_problem(pool), "");
}
END_TEST

START_TEST(unsolicited_bytes_retire_an_idle_connection)
{
    must_start(0, false);
    finish(1);
    tiny_backend_say(&backend, 0, "HTTP/1.1 200 OK\r\n\r\n");
    loop_drive_until(loop, none_is_idle);
    ck_assert_uint_eq(upstream_pool_stats(pool)->unsolicited, 1);
    must_start(0, false);
    finish(1);
    ck_assert_str_eq(asked[0].body, "ok");
}
END_TEST

START_TEST(a_connection_whose_answer_says_close_is_not_used_again)
{
    backend.answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    must_start(0, false);
    finish(1);
    ck_assert_uint_eq(upstream_pool_stats(pool)->idle, 0);
    loop_drive_until(loop, all_have_ended);
}
END_TEST

START_TEST(an_idle_connection_is_closed_in_time)
{
    options.idle_timeout_us = 5000;
    upstream_pool_set_options(pool, &options);
    must_start(0, false);
    finish(1);
    loop_drive_until(loop, none_is_idle);
    loop_drive_until(loop, all_have_ended);
}
END_TEST

/* The backend closes an idle connection, unseen by the pool until the next use. */
static void close_unseen(void)
{
    must_start(0, false);
    finish(1);
    tiny_backend_close(&backend, 0);
}

START_TEST(a_read_on_a_connection_that_was_closed_is_sent_on_a_fresh_one)
{
    close_unseen();
    must_start(0, false);
    finish(1);
    ck_assert(!asked[0].failed);
    ck_assert_uint_eq(backend.count, 2);
}
END_TEST

START_TEST(a_write_looks_before_it_uses_an_idle_connection)
{
    close_unseen();
    must_start(0, true);
    finish(1);
    ck_assert(!asked[0].failed);
    ck_assert_uint_eq(backend.requests, 2);
}
END_TEST

START_TEST(a_write_that_was_sent_and_not_answered_is_not_sent_again)
{
    must_start(0, false);
    finish(1);
    backend.answer = NULL;
    memset(backend.got[0], 0, sizeof backend.got[0]);
    must_start(0, true); /* on the used connection */
    loop_drive_until(loop, is_heard);
    tiny_backend_close(&backend, 0);
    backend.answer = ok;
    finish(1);
    ck_assert_int_eq(asked[0].why, STATUS_BACKEND_RESET);
    ck_assert(asked[0].sent);
    ck_assert_uint_eq(backend.count, 1);
}
END_TEST

START_TEST(an_answer_that_is_not_http_is_told)
{
    backend.answer = "SSH-2.0 hello\r\n\r\n";
    must_start(0, false);
    finish(1);
    ck_assert_int_eq(asked[0].why, STATUS_BACKEND_GARBLED);
    ck_assert_uint_eq(upstream_pool_stats(pool)->garbled, 1);
    ck_assert_uint_eq(upstream_pool_stats(pool)->idle, 0);
}
END_TEST

START_TEST(a_cancelled_read_cuts_its_connection_and_is_not_told)
{
    backend.answer = NULL;
    must_start(0, false);
    loop_drive_until(loop, is_heard);
    upstream_transfer_cancel(asked[0].transfer);
    loop_drive_until(loop, all_have_ended);
    ck_assert(!asked[0].is_over);
    ck_assert_uint_eq(upstream_pool_stats(pool)->busy, 0);
}
END_TEST

START_TEST(a_place_for_the_owner_s_own_connection_counts_and_closes_an_idle_one)
{
    must_start(0, false);
    must_start(1, false);
    ck_assert(!upstream_pool_take_place(pool));
    finish(2);
    ck_assert(upstream_pool_take_place(pool));
    ck_assert_uint_eq(upstream_pool_stats(pool)->idle, 1);
    must_start(0, false);
    ck_assert_int_eq(start(1, false), STATUS_OVERLOADED);
    finish(1);
    upstream_pool_give_place(pool);
    ck_assert(upstream_pool_has_room(pool));
}
END_TEST

START_TEST(a_paused_answer_waits)
{
    backend.answer = NULL;
    must_start(0, false);
    loop_drive_until(loop, is_heard);
    upstream_transfer_pause(asked[0].transfer);
    tiny_backend_say(&backend, 0, ok);
    loop_drive_for(loop, 3000);
    ck_assert_uint_eq(asked[0].status, 0);
    upstream_transfer_resume(asked[0].transfer);
    finish(1);
    ck_assert_str_eq(asked[0].body, "ok");
}
END_TEST

static uint64_t fed;

/* There is always more: what was taken is sent anew, for two gigabytes. */
static void feed(struct bytes data, void *ctx)
{
    (void)ctx;
    fed += data.size;
    if (fed < UINT64_C(2) << 30)
        (void)!send(backend.fds[0], data.data, data.size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool is_fed(void)
{
    tiny_backend_turn(&backend);
    return fed > 0;
}

/* The timer of loop_drive is the somebody else. */
START_TEST(an_answer_without_an_end_lets_others_have_their_turn)
{
    static char                     piece[64 * 1024];
    struct upstream_transfer_events feeding = events;
    const struct upstream_request   request = {.head = BYTES_LITERAL("GET / HTTP/1.1\r\n\r\n")};
    int                             length;

    length = snprintf(piece, sizeof piece, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                      1ull << 40);
    memset(piece + length, 'x', sizeof piece - 1 - (size_t)length);
    feeding.on_body = feed;
    fed = 0;
    asked[0] = (struct asked){.order = -1};
    backend.answer = piece;
    ck_assert_int_eq(
        upstream_transfer_start(pool, &request, &feeding, &asked[0], &asked[0].transfer),
        STATUS_OK);
    loop_drive_until(loop, is_fed);
    ck_assert_uint_lt(fed, UINT64_C(1) << 30);
    upstream_transfer_cancel(asked[0].transfer);
}
END_TEST

START_TEST(times_follow_the_walk_of_a_request)
{
    const struct upstream_transfer_times *times;

    backend.answer = NULL;
    must_start(0, false);
    times = upstream_transfer_times(asked[0].transfer);
    ck_assert_uint_gt(times->started_us, 0);
    loop_drive_until(loop, is_heard);
    ck_assert_uint_ge(times->connected_us, times->started_us);
    ck_assert_uint_eq(times->first_byte_us, 0);
    ck_assert(upstream_transfer_is_sent(asked[0].transfer));
    tiny_backend_say(&backend, 0, ok);
    finish(1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("upstream_pool");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_answer_is_told_in_full_and_the_connection_is_used_again);
    tcase_add_test(tcase, the_cap_is_never_exceeded);
    tcase_add_test(tcase, a_lowered_cap_closes_connections_as_they_become_idle);
    tcase_add_test(tcase, nobody_there_is_told_with_a_reason_and_nothing_was_sent);
    tcase_add_test(tcase, unsolicited_bytes_retire_an_idle_connection);
    tcase_add_test(tcase, a_connection_whose_answer_says_close_is_not_used_again);
    tcase_add_test(tcase, an_idle_connection_is_closed_in_time);
    tcase_add_test(tcase, a_read_on_a_connection_that_was_closed_is_sent_on_a_fresh_one);
    tcase_add_test(tcase, a_write_looks_before_it_uses_an_idle_connection);
    tcase_add_test(tcase, a_write_that_was_sent_and_not_answered_is_not_sent_again);
    tcase_add_test(tcase, an_answer_that_is_not_http_is_told);
    tcase_add_test(tcase, a_cancelled_read_cuts_its_connection_and_is_not_told);
    tcase_add_test(tcase, a_place_for_the_owner_s_own_connection_counts_and_closes_an_idle_one);
    tcase_add_test(tcase, a_paused_answer_waits);
    tcase_add_test(tcase, an_answer_without_an_end_lets_others_have_their_turn);
    tcase_add_test(tcase, times_follow_the_walk_of_a_request);
    return check_main("upstream_pool", tcase);
}
