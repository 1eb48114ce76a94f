/* What must hold: a program is found where a shell finds it, and what is wrong is said. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child/program_path.h"
#include "support/check_main.h"

static char         folder[] = "/tmp/program_path.XXXXXX";
static char         path[PROGRAM_PATH_SIZE];
static struct error error;

static void put(const char *name, mode_t mode)
{
    int fd = open(name, O_CREAT | O_WRONLY, 0600);

    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(chmod(name, mode), 0);
}

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(mkdir("first", 0700), 0);
    ck_assert_int_eq(mkdir("second", 0700), 0);
    ck_assert_int_eq(mkdir("first/both", 0700), 0); /* a folder is no program */
    put("second/both", 0700);
    put("first/plain", 0600);
    put("here", 0700);
}

static void teardown(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(the_first_program_in_PATH_is_taken)
{
    ck_assert_int_eq(program_path_find("both", "first:second", path, &error), STATUS_OK);
    ck_assert_str_eq(path, "second/both");
    ck_assert_int_eq(program_path_find("here", "first::second", path, &error), STATUS_OK);
    ck_assert_str_eq(path, "./here");
}
END_TEST

START_TEST(a_name_with_a_slash_is_not_looked_for)
{
    ck_assert_int_eq(program_path_find("./here", "first", path, &error), STATUS_OK);
    ck_assert_str_eq(path, "./here");
    ck_assert_int_eq(program_path_find("./nowhere", "first", path, &error), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    ck_assert_int_eq(program_path_find("plain", "first:second", path, &error),
                     STATUS_NOT_PERMITTED);
    ck_assert_str_eq(error.text, "cannot run plain: permission denied");
    ck_assert_int_eq(program_path_find("absent", "first:second", path, &error), STATUS_NOT_FOUND);
    ck_assert_str_eq(error.text, "cannot run absent: it is not in PATH");
    ck_assert_int_eq(program_path_find("here", NULL, path, &error), STATUS_NOT_FOUND);
    ck_assert_int_eq(program_path_find("", "second", path, &error), STATUS_NOT_FOUND);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("program_path");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_first_program_in_PATH_is_taken);
    tcase_add_test(tcase, a_name_with_a_slash_is_not_looked_for);
    tcase_add_test(tcase, what_is_wrong_is_said);
    return check_main("program_path", tcase);
}
