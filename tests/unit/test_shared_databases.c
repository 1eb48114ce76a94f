/* What must hold: a database that two processes have open is found once, with both, however often
 * each has opened it and under which name; what one process has open is not; nor what we have. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/shared_databases.h"
#include "support/check_main.h"

enum { CHILDREN_MAX = 16 };

static char                   folder[] = "/tmp/shared_databases.XXXXXX";
static pid_t                  children[CHILDREN_MAX];
static size_t                 child_count;
static struct shared_database databases[SHARED_DATABASES_MAX];
static struct stat            wanted;

static void setup(void)
{
    int fd;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    fd = open("chroma.sqlite3", O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &wanted), 0);
    close(fd);
    ck_assert_int_eq(symlink(".", "other_name"), 0);
}

static void teardown(void)
{
    char command[64];

    for (size_t i = 0; i < child_count; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void open_in_a_process(const char *path, int times)
{
    int  ready[2];
    char byte;

    ck_assert_int_eq(pipe(ready), 0);
    children[child_count] = fork();
    if (children[child_count] == 0) {
        while (times-- > 0 && open(path, O_RDONLY) >= 0)
            continue;
        _exit(write(ready[1], "x", 1) == 1 ? pause() : 1);
    }
    child_count++;
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
}

/* Others may run on this machine: only ours counts. */
static const struct shared_database *find_ours(void)
{
    size_t                        count = shared_databases_find(databases);
    const struct shared_database *found = NULL;

    for (size_t i = 0; i < count; i++)
        if (databases[i].device == wanted.st_dev && databases[i].file == wanted.st_ino) {
            ck_assert_ptr_null(found);
            found = &databases[i];
        }
    return found;
}

START_TEST(one_process_shares_nothing)
{
    int fd = open("chroma.sqlite3", O_RDONLY | O_CLOEXEC);

    ck_assert_ptr_null(find_ours());
    close(fd); /* a child would have it, too */
    open_in_a_process("chroma.sqlite3", 3);
    fd = open("chroma.sqlite3", O_RDONLY);
    ck_assert_ptr_null(find_ours());
    close(fd);
}
END_TEST

START_TEST(two_processes_do_under_whatever_name)
{
    const struct shared_database *found;
    char                          quoted[64];

    open_in_a_process("chroma.sqlite3", 2);
    open_in_a_process("other_name/chroma.sqlite3", 2);
    found = find_ours();
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(found->process_count, 2);
    ck_assert(found->processes[0] == children[0] || found->processes[1] == children[0]);
    ck_assert(found->processes[0] == children[1] || found->processes[1] == children[1]);
    snprintf(quoted, sizeof quoted, "'%s'", folder);
    ck_assert_str_eq(found->directory, quoted);
}
END_TEST

START_TEST(more_than_their_bound_are_counted)
{
    const struct shared_database *found;

    for (int i = 0; i < SHARED_DATABASES_PROCESSES_MAX + 2; i++)
        open_in_a_process("chroma.sqlite3", 1);
    found = find_ours();
    ck_assert_ptr_nonnull(found);
    ck_assert_uint_eq(found->process_count, SHARED_DATABASES_PROCESSES_MAX + 2);
}
END_TEST

START_TEST(other_files_are_none)
{
    ck_assert_int_eq(system("touch my_chroma.sqlite3 chroma.sqlite3-wal"), 0);
    for (int i = 0; i < 2; i++) {
        open_in_a_process("my_chroma.sqlite3", 1);
        open_in_a_process("chroma.sqlite3-wal", 1);
    }
    for (size_t i = 0, count = shared_databases_find(databases); i < count; i++)
        ck_assert_ptr_null(strstr(databases[i].directory, folder));
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("shared_databases");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, one_process_shares_nothing);
    tcase_add_test(tcase, two_processes_do_under_whatever_name);
    tcase_add_test(tcase, more_than_their_bound_are_counted);
    tcase_add_test(tcase, other_files_are_none);
    return check_main("shared_databases", tcase);
}
