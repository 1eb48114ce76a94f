/* What must hold: one has the lock at a time, until it lets go or dies, whatever way the path is
 * written; where there can be no lock that is no error of the caller's. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/directory_lock.h"
#include "support/check_main.h"

static char folder[64], path[100];

static void setup(void)
{
    strcpy(folder, "/tmp/test_directory_lock.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/db", folder);
}

static void teardown(void)
{
    rmdir(path);
    ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(the_directory_is_made_and_locked_by_one_at_a_time)
{
    char other_way[120];
    int  first, second;

    snprintf(other_way, sizeof other_way, "%s/../db/.", path);
    ck_assert_int_eq(directory_lock_take(path, &first), STATUS_OK);
    ck_assert_int_ge(first, 0);
    ck_assert_int_eq(directory_lock_take(other_way, &second), STATUS_AGAIN);
    ck_assert_int_eq(second, -1);
    close(first);
    ck_assert_int_eq(directory_lock_take(other_way, &second), STATUS_OK);
    close(second);
}
END_TEST

START_TEST(the_lock_of_the_dead_is_free)
{
    int   lock;
    pid_t child = fork();

    if (child == 0)
        _exit(directory_lock_take(path, &lock) == STATUS_OK ? 0 : 1);
    waitpid(child, &lock, 0);
    ck_assert_int_eq(lock, 0);
    ck_assert_int_eq(directory_lock_take(path, &lock), STATUS_OK);
    close(lock);
}
END_TEST

START_TEST(without_a_directory_there_is_no_lock)
{
    char below[120];
    int  lock;

    snprintf(below, sizeof below, "%s/not/there", folder);
    ck_assert_int_eq(directory_lock_take(below, &lock), STATUS_IO_FAILED);
    ck_assert_int_eq(lock, -1);
    ck_assert_int_eq(directory_lock_take("/dev/null", &lock), STATUS_IO_FAILED);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("directory_lock");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_directory_is_made_and_locked_by_one_at_a_time);
    tcase_add_test(tcase, the_lock_of_the_dead_is_free);
    tcase_add_test(tcase, without_a_directory_there_is_no_lock);
    return check_main("directory_lock", tcase);
}
