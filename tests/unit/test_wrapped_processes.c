/* What must hold: a process is known by its environment or because it has asked, as long as it runs
 * and no longer. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/wrapped_processes.h"
#include "support/check_main.h"
#include "support/waiting_process.h"

static struct wrapped_processes processes;

static pid_t start(const char *value)
{
    return waiting_process_start(WRAPPED_PROCESSES_VARIABLE, value);
}

START_TEST(a_process_is_known_by_its_environment)
{
    pid_t id = start("/some/where");

    ck_assert(wrapped_processes_is_any_marked("/some/where"));
    ck_assert(wrapped_processes_is_any_marked("/where"));
    ck_assert(!wrapped_processes_is_any_marked("/some"));
    ck_assert(!wrapped_processes_is_any_marked("WRAP=/some/where")); /* that is the name */
    waiting_process_end(id);
    ck_assert(!wrapped_processes_is_any_marked("/where"));
}
END_TEST

START_TEST(a_process_that_has_asked_is_known_until_it_ends)
{
    pid_t first = start(NULL), second = start(NULL);

    ck_assert(!wrapped_processes_is_any_known_alive(&processes));
    wrapped_processes_add(&processes, first);
    wrapped_processes_add(&processes, first);
    wrapped_processes_add(&processes, second);
    ck_assert_uint_eq(processes.count, 2);
    waiting_process_end(first);
    ck_assert(wrapped_processes_is_any_known_alive(&processes));
    ck_assert_uint_eq(processes.count, 1);
    wrapped_processes_add(&processes, first); /* there is no such process */
    waiting_process_end(second);
    ck_assert(!wrapped_processes_is_any_known_alive(&processes));
    ck_assert_uint_eq(processes.count, 0);
    wrapped_processes_done(&processes);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("wrapped_processes");

    tcase_add_test(tcase, a_process_is_known_by_its_environment);
    tcase_add_test(tcase, a_process_that_has_asked_is_known_until_it_ends);
    return check_main("wrapped_processes", tcase);
}
