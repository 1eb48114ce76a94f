/* What must hold: the mode changes both ways and back, nothing is lost by it, and what is no
 * database or is as it should be is left alone. */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "child/database_mode.h"
#include "support/check_main.h"

static char         folder[] = "/tmp/database_mode.XXXXXX", path[64];
static struct error error;

static void setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/chroma.sqlite3", folder);
}

static void teardown(void)
{
    char command[64];

    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static sqlite3 *open_database(void)
{
    sqlite3 *database;

    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    return database;
}

static void run(sqlite3 *database, const char *text)
{
    ck_assert_int_eq(sqlite3_exec(database, text, NULL, NULL, NULL), SQLITE_OK);
}

static int on_row(void *ctx, int count, char **values, char **names)
{
    (void)names;
    ck_assert_int_eq(count, 1);
    snprintf(ctx, 32, "%s", values[0]);
    return 0;
}

static const char *ask(const char *text)
{
    static char answer[32];
    sqlite3    *database = open_database();

    answer[0] = '\0';
    ck_assert_int_eq(sqlite3_exec(database, text, on_row, answer, NULL), SQLITE_OK);
    sqlite3_close(database);
    return answer;
}

START_TEST(it_changes_there_and_back_and_keeps_what_is_stored)
{
    sqlite3 *database = open_database();

    run(database, "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (7)");
    sqlite3_close(database);
    ck_assert_int_eq(database_mode_set(folder, false, &error), STATUS_AGAIN);
    ck_assert_int_eq(database_mode_set(folder, true, &error), STATUS_OK);
    ck_assert_int_eq(database_mode_set(folder, true, &error), STATUS_AGAIN);
    ck_assert_str_eq(ask("PRAGMA journal_mode"), "wal");
    ck_assert_str_eq(ask("SELECT n FROM t"), "7");
    ck_assert_int_eq(database_mode_set(folder, false, &error), STATUS_OK);
    ck_assert_str_eq(ask("PRAGMA journal_mode"), "delete");
    ck_assert_str_eq(ask("SELECT n FROM t"), "7");
}
END_TEST

START_TEST(what_is_no_database_is_left_alone)
{
    int fd;

    ck_assert_int_eq(database_mode_set(folder, true, &error), STATUS_AGAIN);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(database_mode_set(folder, true, &error), STATUS_AGAIN);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(write(fd, "nonsense", 8), 8);
    close(fd);
    ck_assert_int_eq(database_mode_set(folder, true, &error), STATUS_AGAIN);
}
END_TEST

START_TEST(a_damaged_database_is_told)
{
    sqlite3 *database = open_database();
    int      fd;

    run(database, "CREATE TABLE t (n INTEGER)");
    sqlite3_close(database);
    fd = open(path, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "\xff\xff\xff", 3, 16), 3); /* an impossible page size */
    close(fd);
    error.text[0] = '\0';
    ck_assert_int_eq(database_mode_set(folder, true, &error), STATUS_IO_FAILED);
    ck_assert_str_ne(error.text, "");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("database_mode");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, it_changes_there_and_back_and_keeps_what_is_stored);
    tcase_add_test(tcase, what_is_no_database_is_left_alone);
    tcase_add_test(tcase, a_damaged_database_is_told);
    return check_main("database_mode", tcase);
}
