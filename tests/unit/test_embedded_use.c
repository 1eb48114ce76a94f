/* What must hold: processes are counted once for each directory, directories are told apart and
 * bounded, and what they are called is only text. */
#include <stdio.h>

#include "admin/embedded_use.h"
#include "support/check_main.h"

static struct embedded_use use;

static void setup(void)
{
    memset(&use, 0, sizeof use);
}

static void note(const char *directory, enum embedded_use_why why, long process, uint64_t now_us)
{
    embedded_use_note(&use, bytes_of(directory), why, process, now_us);
}

static const char *said(size_t entry)
{
    static char evidence[128];

    embedded_use_say(&use.entries[entry], evidence, sizeof evidence);
    return evidence;
}

START_TEST(a_process_counts_once_for_each_directory)
{
    note("/srv/a", EMBEDDED_USE_OTHER, 12, 1);
    note("/srv/a", EMBEDDED_USE_OTHER, 12, 2);
    ck_assert_str_eq(said(0),
                     "1 process, the last 12: another directory than the one that is served");
    note("/srv/a", EMBEDDED_USE_STAYED, 13, 3);
    note("/srv/b", EMBEDDED_USE_BESIDE, 12, 4);
    ck_assert_str_eq(use.entries[0].directory, "'/srv/a'");
    ck_assert_str_eq(said(0), "2 processes, the last 13: it could not be served");
    ck_assert_str_eq(use.entries[1].directory, "'/srv/b'");
    ck_assert_str_eq(said(1), "1 process, the last 12: the Chroma that runs here has it open, too");
    ck_assert_uint_eq(embedded_use_processes(&use), 3);
}
END_TEST

START_TEST(both_are_bounded)
{
    char directory[2 * EMBEDDED_USE_PATH_SIZE];

    for (long i = 1; i <= 2 * EMBEDDED_USE_PROCESSES_MAX; i++)
        note("/srv/a", EMBEDDED_USE_OTHER, i, 1);
    ck_assert_str_eq(said(0), "at least 32 processes, the last 32: another directory than the one "
                              "that is served");
    for (uint64_t i = 1; i < EMBEDDED_USE_MAX + 1; i++) {
        snprintf(directory, sizeof directory, "/srv/%u", (unsigned)i);
        note(directory, EMBEDDED_USE_OTHER, 1, 1 + i);
    }
    ck_assert_str_eq(use.entries[0].directory, "'/srv/16'"); /* the oldest made room */
    ck_assert_uint_eq(embedded_use_processes(&use), EMBEDDED_USE_MAX);
    memset(directory, 'x', sizeof directory);
    directory[sizeof directory - 1] = '\0';
    directory[1] = '\x1b';
    note(directory, EMBEDDED_USE_OTHER, 1, 100);
    ck_assert_int_eq(strncmp(use.entries[1].directory, "'x?xxx", 6), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("embedded_use");

    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, a_process_counts_once_for_each_directory);
    tcase_add_test(tcase, both_are_bounded);
    return check_main("embedded_use", tcase);
}
