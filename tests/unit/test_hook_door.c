/* What must hold: a request reaches its handler whole and is answered once, now or later; garbage,
 * too much, silence and too many visitors harm nobody. */
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "child/hook_door.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

#define NOTE "{\"hook\":1,\"op\":\"note\",\"what\":\"x\",\"path\":\"/a\"}\n"

static char                 folder[] = "/tmp/hook_door.XXXXXX", path[64];
static struct loop         *loop;
static struct hook_door    *door;
static struct error         error;
static struct hook_visitor *visitors[300];
static int                  asked, gone;
static bool                 answers_at_once;
static int                  client = -1;
static char                 heard[512];
static bool                 has_ended;

static void on_request(struct hook_visitor *visitor, const struct hook_request *request,
                       pid_t process, void *ctx)
{
    ck_assert_ptr_eq(ctx, &asked);
    ck_assert_str_eq(request->what, "x");
    ck_assert_int_eq(process, getpid());
    if (asked < (int)COUNT_OF(visitors))
        visitors[asked] = visitor;
    asked++;
    if (answers_at_once)
        hook_door_answer(visitor, BYTES_LITERAL("yes\n"));
}

static void on_gone(struct hook_visitor *visitor, void *ctx)
{
    ck_assert_ptr_eq(ctx, &asked);
    ck_assert_ptr_eq(visitor, visitors[0]);
    gone++;
}

static const struct hook_door_events events = {.on_request = on_request, .on_gone = on_gone};

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    loop = loop_new();
    ck_assert_int_eq(hook_door_new(loop, path, &events, &asked, &door, &error), STATUS_OK);
}

static void teardown(void)
{
    hook_door_free(door);
    loop_free(loop);
    unlink(path);
    rmdir(folder);
}

static int visit(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static bool is_answered(void)
{
    ssize_t size = recv(client, heard + strlen(heard), sizeof heard - 1 - strlen(heard), 0);

    has_ended = has_ended || size == 0;
    return has_ended;
}

static bool has_asked(void)
{
    return asked > 0;
}

static bool has_gone(void)
{
    return gone > 0;
}

START_TEST(a_request_in_pieces_is_answered_and_the_connection_closed)
{
    answers_at_once = true;
    client = visit();
    say(client, "{\"hook\":1,\"op\":\"note\",");
    loop_drive_for(loop, 3000);
    ck_assert_int_eq(asked, 0);
    say(client, "\"what\":\"x\",\"path\":\"/a\"}\n");
    loop_drive_until(loop, is_answered);
    ck_assert_str_eq(heard, "yes\n");
    ck_assert_int_eq(gone, 0);
}
END_TEST

START_TEST(an_answer_may_come_later)
{
    client = visit();
    say(client, NOTE);
    loop_drive_until(loop, has_asked);
    loop_drive_for(loop, 3000);
    ck_assert(!is_answered());
    hook_door_answer(visitors[0], BYTES_LITERAL("later\n"));
    loop_drive_until(loop, is_answered);
    ck_assert_str_eq(heard, "later\n");
}
END_TEST

START_TEST(who_leaves_before_the_answer_is_told)
{
    client = visit();
    say(client, NOTE);
    loop_drive_until(loop, has_asked);
    close(client);
    loop_drive_until(loop, has_gone);
    ck_assert_int_eq(gone, 1);
}
END_TEST

START_TEST(nonsense_is_answered_with_a_reason)
{
    client = visit();
    say(client, "hello\n");
    loop_drive_until(loop, is_answered);
    ck_assert_ptr_nonnull(strstr(heard, "\"ok\":false,\"reason\":\"not JSON"));
    ck_assert_int_eq(asked, 0);
}
END_TEST

START_TEST(a_line_that_does_not_end_is_cut_off)
{
    static char much[HOOK_REQUEST_LINE_MAX + 2];

    memset(much, 'x', sizeof much - 1);
    client = visit();
    say(client, much);
    loop_drive_until(loop, is_answered);
    ck_assert_str_eq(heard, "");
}
END_TEST

START_TEST(more_visitors_than_fit_are_served_when_others_have_left)
{
    int fds[HOOK_DOOR_VISITORS_MAX];

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        fds[i] = visit(); /* says nothing */
        loop_drive_for(loop, 100);
    }
    answers_at_once = true;
    client = visit();
    say(client, NOTE);
    loop_drive_for(loop, 5000);
    ck_assert_int_eq(asked, 0);
    close(fds[0]);
    loop_drive_until(loop, is_answered);
    ck_assert_str_eq(heard, "yes\n");
}
END_TEST

START_TEST(the_door_may_close_while_visitors_wait)
{
    client = visit();
    say(client, NOTE);
    loop_drive_until(loop, has_asked);
    hook_door_free(door);
    door = NULL;
    ck_assert(is_answered());
    ck_assert_int_eq(gone, 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("hook_door");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_request_in_pieces_is_answered_and_the_connection_closed);
    tcase_add_test(tcase, an_answer_may_come_later);
    tcase_add_test(tcase, who_leaves_before_the_answer_is_told);
    tcase_add_test(tcase, nonsense_is_answered_with_a_reason);
    tcase_add_test(tcase, a_line_that_does_not_end_is_cut_off);
    tcase_add_test(tcase, more_visitors_than_fit_are_served_when_others_have_left);
    tcase_add_test(tcase, the_door_may_close_while_visitors_wait);
    return check_main("hook_door", tcase);
}
