/* What must hold: a process runs with clean signals in a group of its own, its lines come whole,
 * its end is told once with all it has written, and it does not outlive us. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child_process.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

static struct loop          *loop;
static struct child_process *process;
static struct error          error;
static char                  lines[8192], errors[8192];
static size_t                longest;
static int                   ends, wait_status;
static bool                  restarts;

static const char *const again[] = {"sh", "-c", "echo again", NULL};

static void on_line(struct bytes line, bool is_error, void *ctx)
{
    char *to = is_error ? errors : lines;

    ck_assert_ptr_eq(ctx, &ends);
    ck_assert(memchr(line.data, '\n', line.size) == NULL);
    if (line.size > longest)
        longest = line.size;
    if (strlen(to) + line.size + 2 < sizeof lines)
        sprintf(to + strlen(to), "%.*s;", (int)line.size, line.data);
}

static void on_exit_told(int status, void *ctx)
{
    (void)ctx;
    ends++;
    wait_status = status;
    ck_assert_int_eq(child_process_id(process), 0);
    if (restarts) {
        restarts = false;
        ck_assert_int_eq(child_process_start(process, again, NULL, NULL, &error), STATUS_OK);
    }
}

static const struct child_process_events events = {.on_line = on_line, .on_exit = on_exit_told};

static bool has_ended(void)
{
    return ends == 1;
}

static bool has_ended_twice(void)
{
    return ends == 2;
}

static bool has_lines(void)
{
    return lines[0] != '\0';
}

static void setup(void)
{
    loop = loop_new();
    process = child_process_new(loop, &events, &ends);
    ck_assert_ptr_nonnull(process);
}

static void teardown(void)
{
    child_process_free(process);
    loop_free(loop);
}

static void run(const char *script)
{
    const char *const words[] = {"sh", "-c", script, NULL};

    ck_assert_int_eq(child_process_start(process, words, NULL, NULL, &error), STATUS_OK);
}

static void run_to_end(const char *script)
{
    run(script);
    loop_drive_until(loop, has_ended);
}

START_TEST(both_outputs_come_line_by_line_and_before_the_end_is_told)
{
    run_to_end("echo one; echo; printf 'two \\r\\nthree'; echo four >&2; exit 7");
    ck_assert_str_eq(lines, "one;two;three;");
    ck_assert_str_eq(errors, "four;");
    ck_assert(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 7);
    ck_assert_ptr_nonnull(strstr(child_process_last_lines(process, 100), "one | two"));
}
END_TEST

START_TEST(colours_are_left_out)
{
    run_to_end("printf '\\033[1m\\033[38;5;069mred\\033[0m and \\033[\\n\\033x\\n'");
    ck_assert_str_eq(lines, "red and;\033x;");
}
END_TEST

START_TEST(a_line_without_end_comes_in_pieces_and_the_last_lines_are_bounded)
{
    run_to_end("head -c 5000 /dev/zero | tr '\\0' x; echo; echo the last words");
    ck_assert_uint_eq(longest, CHILD_PROCESS_LINE_MAX);
    ck_assert_uint_lt(strlen(child_process_last_lines(process, 9999)), CHILD_PROCESS_LAST_SIZE);
    ck_assert_str_eq(child_process_last_lines(process, 100), "the last words");
}
END_TEST

START_TEST(the_end_of_what_it_said_is_whole_lines_and_whole_characters)
{
    run_to_end(
        "echo first; echo '((( ###'; echo second; echo; echo 'third \xe2\x98\x81\xef\xb8\x8f'");
    ck_assert_str_eq(child_process_last_lines(process, 100), "first | second | third \u2601\ufe0f");
    ck_assert_str_eq(child_process_last_lines(process, 28), "second | third \u2601\ufe0f");
    ck_assert_str_eq(child_process_last_lines(process, 20), "third \u2601\ufe0f");
    ck_assert_str_eq(child_process_last_lines(process, 7), " \u2601\ufe0f");
    ck_assert_str_eq(child_process_last_lines(process, 5), "\ufe0f");
    ck_assert_str_eq(child_process_last_lines(process, 2), "");
}
END_TEST

START_TEST(lines_that_do_not_fit_any_more_go_as_wholes)
{
    const char *last;

    run_to_end("for i in 1 2 3 4; do printf \"line $i \"; head -c 400 /dev/zero | tr '\\0' x; "
               "echo; done");
    last = child_process_last_lines(process, CHILD_PROCESS_LAST_SIZE);
    ck_assert(strncmp(last, "line 3 xx", 9) == 0);
    ck_assert_ptr_nonnull(strstr(last, " | line 4 xx"));
}
END_TEST

START_TEST(more_than_a_pipe_holds_is_told_when_it_has_ended)
{
    run_to_end("seq 1 60000 >&2; echo end");
    ck_assert_str_eq(lines, "end;");
    ck_assert_ptr_nonnull(strstr(child_process_last_lines(process, 100), "60000"));
}
END_TEST

START_TEST(no_ignored_signal_and_no_mask_is_inherited)
{
    sigset_t all;

    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigfillset(&all);
    sigdelset(&all, SIGCHLD);
    sigprocmask(SIG_SETMASK, &all, NULL);
    /* 32 and 33 are the C library's own: nobody can reset what he inherited of them. */
    run_to_end("grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/000000018/000000000/'");
    ck_assert_str_eq(lines, "SigBlk:\t0000000000000000;SigIgn:\t0000000000000000;");
}
END_TEST

START_TEST(it_leads_a_group_of_its_own_and_signals_reach_all_of_it)
{
    run("sleep 100 & echo ready; wait");
    loop_drive_until(loop, has_lines);
    ck_assert_int_eq(getpgid(child_process_id(process)), child_process_id(process));
    child_process_signal(process, SIGINT);
    child_process_signal(process, SIGTERM);
    loop_drive_until(loop, has_ended);
    ck_assert(WIFSIGNALED(wait_status));
}
END_TEST

static pid_t left_behind;

static bool is_reaped(void)
{
    return kill(left_behind, 0) != 0 && errno == ESRCH;
}

START_TEST(what_it_leaves_behind_is_killed_and_reaped)
{
    run_to_end("sleep 100 >/dev/null 2>&1 & echo $!");
    left_behind = atoi(lines);
    ck_assert_int_gt(left_behind, 0);
    loop_drive_until(loop, is_reaped); /* a zombie would still be there */
}
END_TEST

START_TEST(another_one_may_be_started_when_the_end_is_told)
{
    restarts = true;
    run("echo first");
    loop_drive_until(loop, has_ended_twice);
    ck_assert_str_eq(lines, "first;again;");
}
END_TEST

START_TEST(the_environment_is_ours_with_more_and_without_some)
{
    const char *const words[] = {"sh", "-c", "echo $MORE $OURS [$SECRET_A] $CHROMABOUNCER_CHILD_OF",
                                 NULL};
    const char *const extra[] = {"MORE=3", NULL};
    char              wanted[64];

    setenv("MORE", "2", 1);
    setenv("OURS", "4", 1);
    setenv("SECRET_A", "5", 1);
    ck_assert_int_eq(child_process_start(process, words, extra, "SECRET_", &error), STATUS_OK);
    loop_drive_until(loop, has_ended);
    snprintf(wanted, sizeof wanted, "3 4 [] %d;", (int)getpid());
    ck_assert_str_eq(lines, wanted);
}
END_TEST

START_TEST(what_cannot_be_run_is_said_and_nothing_is_left)
{
    const char *const absent[] = {"/nonexistent/program", NULL};
    const char *const bad[] = {"/proc/self/environ", NULL};

    ck_assert_int_eq(child_process_start(process, absent, NULL, NULL, &error), STATUS_NOT_FOUND);
    ck_assert_int_eq(child_process_start(process, bad, NULL, NULL, &error), STATUS_NOT_PERMITTED);
    ck_assert_int_eq(child_process_id(process), 0);
    run_to_end("echo works");
    ck_assert_str_eq(lines, "works;");
}
END_TEST

/* The parent is a process of its own here, killed without a chance to clean up. */
START_TEST(it_gets_INT_when_we_are_killed)
{
    int     ends_of_pipe[2];
    char    said[32] = "";
    pid_t   parent;
    ssize_t size;

    ck_assert_int_eq(pipe(ends_of_pipe), 0);
    parent = fork();
    if (parent == 0) {
        char script[128];

        snprintf(script, sizeof script,
                 "trap 'echo interrupted >/proc/%d/fd/%d; exit' INT; echo ready; sleep 100 & wait",
                 (int)getppid(), ends_of_pipe[1]);
        setup();
        run(script);
        loop_drive_until(loop, has_lines);
        kill(getpid(), SIGKILL);
    }
    waitpid(parent, NULL, 0);
    size = read(ends_of_pipe[0], said, sizeof said - 1);
    ck_assert_int_gt(size, 0);
    ck_assert_str_eq(said, "interrupted\n");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("child_process");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, both_outputs_come_line_by_line_and_before_the_end_is_told);
    tcase_add_test(tcase, colours_are_left_out);
    tcase_add_test(tcase, the_end_of_what_it_said_is_whole_lines_and_whole_characters);
    tcase_add_test(tcase, lines_that_do_not_fit_any_more_go_as_wholes);
    tcase_add_test(tcase, a_line_without_end_comes_in_pieces_and_the_last_lines_are_bounded);
    tcase_add_test(tcase, more_than_a_pipe_holds_is_told_when_it_has_ended);
    tcase_add_test(tcase, no_ignored_signal_and_no_mask_is_inherited);
    tcase_add_test(tcase, it_leads_a_group_of_its_own_and_signals_reach_all_of_it);
    tcase_add_test(tcase, what_it_leaves_behind_is_killed_and_reaped);
    tcase_add_test(tcase, another_one_may_be_started_when_the_end_is_told);
    tcase_add_test(tcase, the_environment_is_ours_with_more_and_without_some);
    tcase_add_test(tcase, what_cannot_be_run_is_said_and_nothing_is_left);
    tcase_add_test(tcase, it_gets_INT_when_we_are_killed);
    return check_main("child_process", tcase);
}
