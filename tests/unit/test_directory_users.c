/* What must hold: whoever has the database open is found with its process, under whatever name it
 * opened it; we and our group are not; and a server that is about to end is told apart. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child_process.h"
#include "child/directory_users.h"
#include "support/check_main.h"

static char                  folder[] = "/tmp/directory_users.XXXXXX";
static struct directory_user user;
static pid_t                 child;

static void setup(void)
{
    int fd;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    fd = open("chroma.sqlite3", O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(symlink(".", "other_name"), 0);
    child = 0;
}

static void teardown(void)
{
    char command[64];

    if (child > 0) {
        kill(-child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Between two programs a process has no environment. */
static void wait_until_it_sleeps(void)
{
    char  path[64], name[32] = "";
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/comm", (int)child);
    for (int i = 0; i < 5000 && strcmp(name, "sleep\n") != 0; i++) {
        usleep(1000);
        file = fopen(path, "r");
        if (file != NULL && fgets(name, sizeof name, file) == NULL)
            name[0] = '\0';
        if (file != NULL)
            fclose(file);
    }
    ck_assert_str_eq(name, "sleep\n");
}

/* A process that has `path` open, with the variable of a child of `starter` if that is not 0. */
static void open_it(const char *path, pid_t starter)
{
    int  ready[2];
    char byte, script[200], variable[64];

    ck_assert_int_eq(pipe(ready), 0);
    snprintf(script, sizeof script, "exec 7<%s; echo x >&%d; exec sleep 100", path, ready[1]);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        snprintf(variable, sizeof variable, "%d", (int)starter);
        if (starter != 0)
            setenv(CHILD_PROCESS_VARIABLE, variable, 1);
        execl("/bin/sh", "sh", "-c", script, NULL);
        _exit(1);
    }
    setpgid(child, child);
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    wait_until_it_sleeps();
}

START_TEST(nobody_uses_it)
{
    int fd = open("chroma.sqlite3", O_RDONLY);

    ck_assert(!directory_users_find(folder, 0, &user)); /* but we */
    ck_assert(!directory_users_find("/nonexistent", 0, &user));
    close(fd);
}
END_TEST

START_TEST(a_user_is_found_under_any_name_of_the_directory)
{
    open_it("other_name/chroma.sqlite3", 0);
    ck_assert(directory_users_find(folder, 0, &user));
    ck_assert_int_eq(user.process, child);
    ck_assert(!user.is_leftover);
    ck_assert(directory_users_find("other_name/", 0, &user));
    ck_assert(!directory_users_find(folder, child, &user)); /* its group is excepted */
}
END_TEST

START_TEST(a_database_of_another_directory_does_not_count)
{
    ck_assert_int_eq(system("mkdir elsewhere && touch elsewhere/chroma.sqlite3"), 0);
    open_it("elsewhere/chroma.sqlite3", 0);
    ck_assert(!directory_users_find(folder, 0, &user));
    ck_assert(directory_users_find("elsewhere", 0, &user));
}
END_TEST

START_TEST(a_database_that_is_a_link_is_one_file)
{
    ck_assert_int_eq(system("mkdir far && mv chroma.sqlite3 far/data && ln -s far/data "
                            "chroma.sqlite3"),
                     0);
    open_it("chroma.sqlite3", 0);
    ck_assert(directory_users_find(folder, 0, &user));
}
END_TEST

START_TEST(a_server_whose_starter_is_gone_is_left_over)
{
    open_it("chroma.sqlite3", 999999999); /* beyond every process number */
    ck_assert(directory_users_find(folder, 0, &user));
    ck_assert(user.is_leftover);
}
END_TEST

START_TEST(a_server_of_a_running_chromabouncer_is_not_left_over)
{
    pid_t grandparent = fork();

    if (grandparent == 0) { /* stands for the other chromabouncer */
        open_it("chroma.sqlite3", getpid());
        _exit(directory_users_find("/nonexistent", 0, &user) ? 1 : pause());
    }
    for (int i = 0; i < 2000 && !directory_users_find(folder, 0, &user); i++)
        usleep(1000);
    ck_assert_int_gt(user.process, 0);
    ck_assert(!user.is_leftover);
    kill(grandparent, SIGKILL);
    waitpid(grandparent, NULL, 0);
    ck_assert(directory_users_find(folder, 0, &user));
    ck_assert(user.is_leftover);
    kill(user.process, SIGKILL);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("directory_users");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nobody_uses_it);
    tcase_add_test(tcase, a_user_is_found_under_any_name_of_the_directory);
    tcase_add_test(tcase, a_database_of_another_directory_does_not_count);
    tcase_add_test(tcase, a_database_that_is_a_link_is_one_file);
    tcase_add_test(tcase, a_server_whose_starter_is_gone_is_left_over);
    tcase_add_test(tcase, a_server_of_a_running_chromabouncer_is_not_left_over);
    return check_main("directory_users", tcase);
}
