/* What must hold: a HUP is the terminal's when that has gone, and never under `nohup` or without a
 * terminal. */
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/terminal_hangup.h"
#include "support/check_main.h"

enum { has_come = 3, has_not = 4 };

/* In a process on a terminal of its own: wait for a HUP, exit with what it was. */
static void tell_of_next_hup(bool is_ignored, int ready)
{
    struct terminal_hangup hangup;
    sigset_t               set;
    int                    number;

    signal(SIGHUP, is_ignored ? SIG_IGN : SIG_DFL); /* the tests may run under nohup themselves */
    terminal_hangup_init(&hangup);
    signal(SIGHUP, SIG_DFL); /* it is blocked */
    (void)!write(ready, "x", 1);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigwait(&set, &number);
    _exit(terminal_hangup_has_come(&hangup) ? has_come : has_not);
}

static int what_a_hup_is(bool is_ignored, bool closes)
{
    int      terminal, ready[2], status;
    sigset_t set, before;
    char     byte;
    pid_t    id;

    ck_assert_int_eq(pipe(ready), 0);
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &before);
    id = forkpty(&terminal, NULL, NULL, NULL);
    ck_assert_int_ge(id, 0);
    if (id == 0)
        tell_of_next_hup(is_ignored, ready[1]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    if (closes)
        close(terminal);
    else
        kill(id, SIGHUP);
    ck_assert_int_eq(waitpid(id, &status, 0), id);
    if (!closes)
        close(terminal);
    close(ready[0]);
    close(ready[1]);
    return WEXITSTATUS(status);
}

START_TEST(a_terminal_that_was_closed_has_gone)
{
    ck_assert_int_eq(what_a_hup_is(false, true), has_come);
}
END_TEST

START_TEST(a_HUP_from_somebody_is_not_the_terminals)
{
    ck_assert_int_eq(what_a_hup_is(false, false), has_not);
}
END_TEST

START_TEST(under_nohup_it_is_never)
{
    ck_assert_int_eq(what_a_hup_is(true, true), has_not);
    ck_assert_int_eq(what_a_hup_is(true, false), has_not);
}
END_TEST

START_TEST(without_a_terminal_it_is_never)
{
    struct terminal_hangup hangup;
    int                    status;
    pid_t                  id = fork();

    if (id == 0) {
        setsid();
        terminal_hangup_init(&hangup);
        _exit(terminal_hangup_has_come(&hangup) ? has_come : has_not);
    }
    ck_assert_int_eq(waitpid(id, &status, 0), id);
    ck_assert_int_eq(WEXITSTATUS(status), has_not);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("terminal_hangup");

    tcase_add_test(tcase, a_terminal_that_was_closed_has_gone);
    tcase_add_test(tcase, a_HUP_from_somebody_is_not_the_terminals);
    tcase_add_test(tcase, under_nohup_it_is_never);
    tcase_add_test(tcase, without_a_terminal_it_is_never);
    return check_main("terminal_hangup", tcase);
}
