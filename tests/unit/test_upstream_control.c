/* What must hold: questions go out as they are given and come back bounded; one connection stays
 * and tells of a restart, a late answer does not break it; places of the pool are taken and given
 * back; each question ends once. */
#include <netinet/in.h>

#include "io/clock.h"
#include "support/check_main.h"
#include "support/tiny_chroma.h"
#include "upstream/upstream_state.h"

static struct upstream_question question;
static struct upstream_answer   last;
static char                     body[4096];
static int                      answers;

static void setup(void)
{
    tiny_chroma_init(4);
    answers = 0;
}

static void on_answer(const struct upstream_answer *answer, void *ctx)
{
    ck_assert_ptr_eq(ctx, &answers);
    last = *answer;
    snprintf(body, sizeof body, "%.*s", (int)answer->body.size,
             answer->body.size == 0 ? "" : answer->body.data);
    answers++;
}

static void ask(const char *path, bool is_light, uint64_t timeout_us)
{
    question = (struct upstream_question){.path = bytes_of(path),
                                          .timeout_us = timeout_us,
                                          .answer_bytes_max = 16,
                                          .is_light = is_light,
                                          .on_answer = on_answer,
                                          .ctx = &answers};
    answers = 0;
    ck_assert_int_eq(upstream_control_ask(tiny.control, &question), STATUS_OK);
    ck_assert(upstream_control_is_asked(&question));
}

static bool is_answered(void)
{
    tiny_backend_turn(&tiny.backend);
    return answers > 0;
}

static void expect_answer(enum status status, unsigned code, const char *text)
{
    loop_drive_until(tiny.loop, is_answered);
    ck_assert_int_eq(answers, 1);
    ck_assert_msg(last.status == status, "%s", last.problem);
    ck_assert_uint_eq(last.code, code);
    ck_assert_str_eq(body, text);
    ck_assert(!upstream_control_is_asked(&question));
}

static bool has_no_connection(void)
{
    return !upstream_control_has_connection(tiny.control);
}

START_TEST(a_question_goes_out_as_it_is_and_its_answer_is_bounded)
{
    tiny_chroma_answer("/a/../b?c=%20", 200, "short");
    tiny_chroma_answer("/long", 200, "0123456789abcdefghij");
    ask("/a/../b?c=%20", true, 1000000);
    expect_answer(STATUS_OK, 200, "short");
    ck_assert(!last.is_cut);
    ask("/long", true, 1000000);
    expect_answer(STATUS_OK, 200, "0123456789abcdef");
    ck_assert(last.is_cut);
    ask("/none", true, 1000000);
    expect_answer(STATUS_OK, 404, "");
}
END_TEST

START_TEST(the_connection_is_used_again_however_long_it_was_idle)
{
    uint64_t first;

    tiny_chroma_answer("/x", 200, "");
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    first = tiny_chroma_number();
    loop_drive_for(tiny.loop, 1100000); /* libcurl counts in seconds */
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert(!last.is_new_connection);
    ck_assert_uint_eq(tiny_chroma_number(), first);
}
END_TEST

/* As a request's answer has said it. */
START_TEST(after_a_retry_after_only_light_questions_go_until_then)
{
    tiny_chroma_answer("/light", 200, "");
    tiny_chroma_answer("/x", 200, "");
    tiny.pool->retry_at_us = loop_now_us(tiny.loop) + 60000000;
    ask("/light", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ask("/x", false, 100000);
    expect_answer(STATUS_AGAIN, 0, "");
    ck_assert_uint_eq(tiny_chroma_asked("/x"), 0);
    tiny.pool->retry_at_us = loop_now_us(tiny.loop) + 100000;
    ask("/x", false, 5000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert_uint_ge(loop_now_us(tiny.loop), tiny.pool->retry_at_us);
    ck_assert_uint_eq(tiny_chroma_asked("/x"), 1);
}
END_TEST

static char posted[4096];

static const char *keep_request(const char *request, void *ctx)
{
    (void)ctx;
    strcat(posted, request);
    return strstr(posted, "{\"x\":1}") == NULL ? NULL
                                               : "HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\n{}";
}

START_TEST(fields_and_a_body_are_sent)
{
    tiny.backend.answer_to = keep_request;
    posted[0] = '\0';
    question = (struct upstream_question){
        .path = BYTES_LITERAL("/p"),
        .fields = BYTES_LITERAL("Authorization: Bearer t\r\nContent-Type: application/json\r\n"),
        .body = BYTES_LITERAL("{\"x\":1}"),
        .timeout_us = 1000000,
        .answer_bytes_max = 16,
        .on_answer = on_answer,
        .ctx = &answers};
    ck_assert_int_eq(upstream_control_ask(tiny.control, &question), STATUS_OK);
    expect_answer(STATUS_OK, 201, "{}");
    ck_assert_ptr_nonnull(strstr(posted, "POST /p HTTP/1.1\r\n"));
    ck_assert_ptr_nonnull(strstr(posted, "\r\nAuthorization: Bearer t\r\n"));
    ck_assert_ptr_nonnull(strstr(posted, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_null(strstr(posted, "Expect"));
}
END_TEST

START_TEST(light_questions_share_a_connection_and_others_open_one)
{
    tiny_chroma_answer("/x", 200, "");
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert(last.is_new_connection);
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert(!last.is_new_connection);
    ck_assert_uint_eq(tiny.backend.count, 1);
    ask("/x", false, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert(last.is_new_connection);
    ck_assert_uint_eq(tiny.backend.count, 2);
    ck_assert(upstream_control_has_connection(tiny.control));
}
END_TEST

START_TEST(the_incarnation_moves_when_the_connection_breaks_and_when_the_next_one_stands)
{
    uint64_t first, lost;

    tiny_chroma_answer("/x", 200, "");
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    first = tiny_chroma_number();
    loop_drive_for(tiny.loop, 20000);
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert_uint_eq(tiny_chroma_number(), first);
    tiny_chroma_stop();
    loop_drive_until(tiny.loop, has_no_connection); /* nobody had to ask */
    lost = tiny_chroma_number();
    ck_assert_uint_gt(lost, first);
    for (int i = 0; i < 3; i++) {
        ask("/x", true, 1000000);
        expect_answer(STATUS_BACKEND_DOWN, 0, "");
        ck_assert_str_ne(last.problem, "");
    }
    ck_assert_uint_eq(tiny_chroma_number(), lost);
    tiny_backend_listen(&tiny.backend);
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert_uint_gt(tiny_chroma_number(), lost);
}
END_TEST

/* It may close what is idle and still take connections. */
START_TEST(a_chroma_that_ends_is_not_taken_for_the_next_one)
{
    uint64_t lost, began_us;

    tiny_chroma_answer("/x", 200, "");
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    tiny_chroma_stop();
    loop_drive_until(tiny.loop, has_no_connection);
    lost = tiny_chroma_number();
    tiny_backend_listen(&tiny.backend);
    began_us = clock_now_us();
    ask("/x", true, 1000000);
    while (clock_now_us() - began_us < 80000) {
        tiny_backend_turn(&tiny.backend);
        loop_drive_for(tiny.loop, 5000);
    }
    ck_assert_uint_eq(tiny_chroma_number(), lost);
    expect_answer(STATUS_OK, 200, "");
    ck_assert_uint_gt(tiny_chroma_number(), lost);
    ck_assert_uint_lt(clock_now_us() - began_us, 500000);
}
END_TEST

START_TEST(an_answer_that_comes_too_late_does_not_break_the_connection)
{
    uint64_t first;

    tiny_chroma_answer("/x", 200, "");
    tiny_chroma_answer("/slow", 0, "");
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    first = tiny_chroma_number();
    ask("/slow", true, 20000);
    expect_answer(STATUS_TIMED_OUT, 0, "");
    ask("/x", true, 1000000); /* meanwhile on another one */
    expect_answer(STATUS_OK, 200, "");
    ck_assert(last.is_new_connection);
    tiny_backend_say(&tiny.backend, 0, "HTTP/1.1 200 Late\r\nContent-Length: 4\r\n\r\nlate");
    loop_drive_for(tiny.loop, 5000);
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert(!last.is_new_connection);
    ck_assert_uint_eq(tiny_chroma_number(), first);
}
END_TEST

START_TEST(a_connection_that_breaks_under_a_question_is_told_and_moves_the_number)
{
    uint64_t first;

    tiny_chroma_answer("/x", 200, "");
    tiny_chroma_answer("/slow", 0, "");
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    first = tiny_chroma_number();
    ask("/slow", true, 1000000);
    while (tiny_chroma_asked("/slow") == 0) {
        tiny_backend_turn(&tiny.backend);
        loop_drive_for(tiny.loop, 500);
    }
    tiny_chroma_stop();
    loop_drive_until(tiny.loop, is_answered);
    ck_assert_int_ne(last.status, STATUS_OK);
    ck_assert_uint_gt(tiny_chroma_number(), first);
}
END_TEST

START_TEST(without_a_place_a_question_waits_and_says_so)
{
    for (int i = 0; i < 4; i++)
        ck_assert(upstream_pool_take_place(tiny.pool));
    tiny_chroma_answer("/x", 200, "");
    ask("/x", true, 30000);
    loop_drive_until(tiny.loop, is_answered);
    ck_assert_int_eq(last.status, STATUS_AGAIN);
    ck_assert_uint_eq(tiny.backend.count, 0);
    ask("/x", true, 2000000);
    loop_drive_for(tiny.loop, 5000);
    upstream_pool_give_place(tiny.pool);
    expect_answer(STATUS_OK, 200, "");
    for (int i = 0; i < 3; i++)
        upstream_pool_give_place(tiny.pool);
}
END_TEST

static size_t free_places(void)
{
    size_t taken = 0;

    while (upstream_pool_take_place(tiny.pool))
        taken++;
    for (size_t i = 0; i < taken; i++)
        upstream_pool_give_place(tiny.pool);
    return taken;
}

static bool can_take_all(void)
{
    tiny_backend_turn(&tiny.backend);
    return free_places() == 2;
}

START_TEST(of_few_connections_none_is_kept)
{
    uint64_t first;

    tiny_chroma_done();
    tiny_chroma_init(2);
    tiny_chroma_answer("/x", 200, "");
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    first = tiny_chroma_number();
    loop_drive_until(tiny.loop, can_take_all);
    ask("/x", true, 1000000);
    expect_answer(STATUS_OK, 200, "");
    ck_assert(last.is_new_connection);
    ck_assert_uint_eq(tiny_chroma_number(), first);
    tiny_chroma_stop(); /* only a question meets it */
    ask("/x", true, 1000000);
    expect_answer(STATUS_BACKEND_DOWN, 0, "");
    ck_assert_uint_gt(tiny_chroma_number(), first);
}
END_TEST

/* A listener of this machine that takes no more connections: a new one is neither refused nor set
 * up. ret_fds: to be closed. */
static struct address full_listener(int ret_fds[4])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          size = sizeof at;
    struct address     address = {.kind = ADDRESS_TCP, .host = "127.0.0.1"};

    ret_fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(ret_fds[0], (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(listen(ret_fds[0], 0), 0);
    ck_assert_int_eq(getsockname(ret_fds[0], (struct sockaddr *)&at, &size), 0);
    address.port = ntohs(at.sin_port);
    for (int i = 1; i < 4; i++) {
        ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(ret_fds[i], (struct sockaddr *)&at, size);
    }
    return address;
}

/* libcurl 7.88 closes such a socket without a word; its number is soon somebody else's. */
START_TEST(a_connection_that_was_never_set_up_is_forgotten)
{
    const bool     gives_up_itself = _i == 1;
    int            fds[4];
    struct address address = full_listener(fds);

    tiny_chroma_done_parts();
    tiny_chroma_init_at(&address, 4);
    if (gives_up_itself) /* else it is cancelled */
        upstream_control_set_options(tiny.control,
                                     &(struct upstream_control_options){.connect_timeout_us = 20000,
                                                                        .keeps_connection = true});
    ask("/x", true, gives_up_itself ? 1000000 : 20000);
    expect_answer(gives_up_itself ? STATUS_BACKEND_DOWN : STATUS_TIMED_OUT, 0, "");
    ck_assert_uint_eq(free_places(), 4);
    ck_assert(has_no_connection());
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
}
END_TEST

START_TEST(cancelled_questions_are_not_told_and_too_many_are_refused)
{
    static struct upstream_question many[UPSTREAM_CONTROL_WAITING_MAX + 1];

    tiny_chroma_answer("/slow", 0, "");
    answers = 0;
    for (size_t i = 0; i < COUNT_OF(many); i++) {
        many[i] = (struct upstream_question){.path = BYTES_LITERAL("/slow"),
                                             .timeout_us = 50000,
                                             .is_light = i % 2 == 0,
                                             .on_answer = on_answer,
                                             .ctx = &answers};
        ck_assert_int_eq(upstream_control_ask(tiny.control, &many[i]),
                         i < UPSTREAM_CONTROL_WAITING_MAX ? STATUS_OK : STATUS_OVERLOADED);
    }
    loop_drive_for(tiny.loop, 5000); /* two are under way */
    for (size_t i = 0; i < COUNT_OF(many); i += 2)
        upstream_control_cancel(tiny.control, &many[i]);
    loop_drive_for(tiny.loop, 150000);
    ck_assert_int_eq(answers, UPSTREAM_CONTROL_WAITING_MAX / 2);
    for (size_t i = 0; i < COUNT_OF(many); i++)
        ck_assert(!upstream_control_is_asked(&many[i]));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("upstream_control");

    tcase_add_checked_fixture(tcase, setup, tiny_chroma_done);
    tcase_add_test(tcase, a_question_goes_out_as_it_is_and_its_answer_is_bounded);
    tcase_add_test(tcase, the_connection_is_used_again_however_long_it_was_idle);
    tcase_add_test(tcase, after_a_retry_after_only_light_questions_go_until_then);
    tcase_add_test(tcase, fields_and_a_body_are_sent);
    tcase_add_test(tcase, light_questions_share_a_connection_and_others_open_one);
    tcase_add_test(tcase,
                   the_incarnation_moves_when_the_connection_breaks_and_when_the_next_one_stands);
    tcase_add_test(tcase, a_chroma_that_ends_is_not_taken_for_the_next_one);
    tcase_add_test(tcase, an_answer_that_comes_too_late_does_not_break_the_connection);
    tcase_add_test(tcase, a_connection_that_breaks_under_a_question_is_told_and_moves_the_number);
    tcase_add_test(tcase, without_a_place_a_question_waits_and_says_so);
    tcase_add_test(tcase, of_few_connections_none_is_kept);
    tcase_add_loop_test(tcase, a_connection_that_was_never_set_up_is_forgotten, 0, 2);
    tcase_add_test(tcase, cancelled_questions_are_not_told_and_too_many_are_refused);
    return check_main("upstream_control", tcase);
}
