/* What must hold: one line gets one answer and the end; only the same user gets in; whatever is
 * sent, and however slowly, costs bounded memory and nobody else's answer. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/control_server.h"
#include "support/check_main.h"
#include "support/loop_drive.h"
#include "support/plain_budget.h"

enum { MANY = 2 * CONTROL_SERVER_CLIENTS_MAX };

static char                         directory[] = "/tmp/test_control_server.XXXXXX";
static char                         path[64];
static struct loop                 *loop;
static struct memory_account_budget budget;
static struct control_server       *server;
static int                          clients[MANY];
static size_t                       client_count;
static char                         received[1 << 20];
static size_t                       received_size;
static bool                         ended;
static int                          asked;

/* Answers with the words; "big" with much, "bad" not at all. */
static int answer(void *ctx, size_t word_count, const char *const *words, json_t *out,
                  struct error *error)
{
    ck_assert_ptr_eq(ctx, &asked);
    asked++;
    if (strcmp(words[0], "bad") == 0) {
        error_set(error, STATUS_INVALID, "what \"%s\"?", words[word_count - 1]);
        return EX_CONFIG;
    }
    if (strcmp(words[0], "big") == 0) {
        static char big[600000];

        memset(big, 'x', sizeof big - 1);
        return json_object_set_new(out, "big", json_string(big)) == 0 ? EX_OK : EX_OSERR;
    }
    json_object_set_new(out, "count", json_integer((json_int_t)word_count));
    json_object_set_new(out, "last", json_string(words[word_count - 1]));
    return EX_OK;
}

static void setup(void)
{
    asked = 0;
    client_count = 0;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/control", directory);
    plain_budget_init(&budget, 1 << 30);
    loop = loop_new();
    ck_assert_int_eq(control_server_new(loop, &budget.accounts[MEMORY_ACCOUNT_OTHER], path, answer,
                                        &asked, &server, NULL),
                     STATUS_OK);
}

static void teardown(void)
{
    control_server_free(server);
    loop_free(loop);
    while (client_count > 0)
        close(clients[--client_count]);
    ck_assert_int_ne(access(path, F_OK), 0);
    rmdir(directory);
    ck_assert_uint_eq(budget.used, 0);
    strcpy(directory + strlen(directory) - 6, "XXXXXX");
}

static int new_client(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    clients[client_count++] = fd;
    received_size = 0;
    ended = false;
    return fd;
}

static void say(int fd, const char *data, size_t size)
{
    ck_assert_int_eq(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* The last client: everything up to the end. */
static bool has_ended(void)
{
    ssize_t size;

    while ((size = recv(clients[client_count - 1], received + received_size,
                        sizeof received - 1 - received_size, 0)) > 0)
        received_size += (size_t)size;
    received[received_size] = '\0';
    ended = size == 0 || (size < 0 && errno == ECONNRESET);
    return ended;
}

static const char *ask(const char *line)
{
    say(new_client(), line, strlen(line));
    loop_drive_until(loop, has_ended);
    return received;
}

START_TEST(line_is_answered_and_the_connection_ends)
{
    ck_assert_str_eq(ask("stats\n"), "{\"count\":1,\"last\":\"stats\"}\n");
    ck_assert_str_eq(ask("set a=b \t c\r\n"), "{\"count\":3,\"last\":\"c\"}\n");
    ck_assert_str_eq(ask("one\ntwo\n"), "{\"count\":1,\"last\":\"one\"}\n");
    ck_assert_int_eq(asked, 3);
}
END_TEST

START_TEST(refusal_has_its_words_and_its_exit_status)
{
    ck_assert_str_eq(ask("bad x\n"), "{\"error\":\"what \\\"x\\\"?\",\"exit\":78}\n");
}
END_TEST

START_TEST(line_may_come_in_pieces_and_answer_may_be_large)
{
    int fd = new_client();

    say(fd, "bi", 2);
    loop_drive_for(loop, 3000);
    say(fd, "g\n", 2);
    loop_drive_until(loop, has_ended);
    ck_assert_uint_eq(received_size, strlen("{\"big\":\"\"}\n") + 599999);
}
END_TEST

/* As `echo big | nc -U` does. */
START_TEST(client_may_close_its_side_before_it_reads)
{
    int fd = new_client();

    say(fd, "big\n", 4);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    loop_drive_until(loop, has_ended);
    ck_assert_uint_eq(received_size, strlen("{\"big\":\"\"}\n") + 599999);
}
END_TEST

START_TEST(garbage_is_refused)
{
    char line[CONTROL_SERVER_LINE_MAX + 2];

    ck_assert_str_eq(ask("\n"),
                     "{\"error\":\"a request is a line of 1 to 8 words\",\"exit\":64}\n");
    ck_assert_ptr_nonnull(strstr(ask("1 2 3 4 5 6 7 8 9\n"), "\"exit\":64"));
    say(new_client(), "a\0b\n", 4);
    loop_drive_until(loop, has_ended);
    ck_assert_ptr_nonnull(strstr(received, "\"exit\":64"));
    ck_assert_int_eq(asked, 0);

    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n'; /* one more than fits */
    say(new_client(), line, sizeof line);
    loop_drive_until(loop, has_ended);
    ck_assert_str_eq(received, "");
    line[sizeof line - 2] = '\n';
    say(new_client(), line, sizeof line - 1);
    loop_drive_until(loop, has_ended);
    ck_assert_int_eq(asked, 1);
}
END_TEST

START_TEST(many_and_silent_clients_harm_nobody)
{
    for (size_t i = 0; i < CONTROL_SERVER_CLIENTS_MAX; i++)
        new_client();
    loop_drive_for(loop, 3000);
    new_client(); /* one too many */
    loop_drive_until(loop, has_ended);
    ck_assert_str_eq(received, "");
    close(clients[0]);
    loop_drive_for(loop, 3000);
    clients[0] = clients[--client_count];
    ck_assert_str_eq(ask("stats\n"), "{\"count\":1,\"last\":\"stats\"}\n");
}
END_TEST

START_TEST(client_that_leaves_is_forgotten)
{
    int fd = new_client();

    say(fd, "big\n", 4);
    loop_drive_for(loop, 3000);
    close(fd);
    client_count--;
    fd = new_client();
    say(fd, "half", 4);
    close(fd);
    client_count--;
    loop_drive_for(loop, 3000);
    ck_assert_str_eq(ask("stats\n"), "{\"count\":1,\"last\":\"stats\"}\n");
}
END_TEST

/* The loop was held up, and the sender was not willing to wait. */
START_TEST(what_nobody_waits_for_is_not_carried_out)
{
    int fd = new_client();

    say(fd, "drain\n", 6); /* not accepted yet */
    close(fd);
    client_count--;
    fd = new_client();
    loop_drive_for(loop, 3000);
    say(fd, "pause\n", 6); /* accepted, not read yet */
    close(fd);
    client_count--;
    loop_drive_for(loop, 3000);
    ck_assert_int_eq(asked, 0);
    ck_assert_str_eq(ask("stats\n"), "{\"count\":1,\"last\":\"stats\"}\n");
    ck_assert_int_eq(asked, 1);
}
END_TEST

START_TEST(only_the_same_user_and_root_may_ask)
{
    struct stat found;

    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0600);
    ck_assert(control_server_may_ask(1000, 1000));
    ck_assert(control_server_may_ask(1000, 0));
    ck_assert(!control_server_may_ask(1000, 1001));
    ck_assert(!control_server_may_ask(0, 1000));
}
END_TEST

/* The mode of the file is not all that protects it. */
START_TEST(another_user_who_can_open_the_file_gets_nothing)
{
    int fd;

    if (geteuid() != 0)
        return; /* only root can become somebody else */
    ck_assert_int_eq(chmod(directory, 0777), 0);
    ck_assert_int_eq(chmod(path, 0666), 0);
    ck_assert_int_eq(seteuid(65534), 0);
    fd = new_client();
    ck_assert_int_eq(seteuid(0), 0);
    say(fd, "stats\n", 6);
    loop_drive_until(loop, has_ended);
    ck_assert_str_eq(received, "");
    ck_assert_int_eq(asked, 0);
}
END_TEST

START_TEST(path_in_use_is_not_taken)
{
    struct control_server *second = NULL;
    struct error           error;

    ck_assert_int_ne(control_server_new(loop, &budget.accounts[MEMORY_ACCOUNT_OTHER], path, answer,
                                        &asked, &second, &error),
                     STATUS_OK);
    ck_assert_ptr_null(second);
    ck_assert_str_eq(ask("stats\n"), "{\"count\":1,\"last\":\"stats\"}\n");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("control_server");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, line_is_answered_and_the_connection_ends);
    tcase_add_test(tcase, refusal_has_its_words_and_its_exit_status);
    tcase_add_test(tcase, line_may_come_in_pieces_and_answer_may_be_large);
    tcase_add_test(tcase, client_may_close_its_side_before_it_reads);
    tcase_add_test(tcase, garbage_is_refused);
    tcase_add_test(tcase, many_and_silent_clients_harm_nobody);
    tcase_add_test(tcase, client_that_leaves_is_forgotten);
    tcase_add_test(tcase, what_nobody_waits_for_is_not_carried_out);
    tcase_add_test(tcase, only_the_same_user_and_root_may_ask);
    tcase_add_test(tcase, another_user_who_can_open_the_file_gets_nothing);
    tcase_add_test(tcase, path_in_use_is_not_taken);
    return check_main("control_server", tcase);
}
