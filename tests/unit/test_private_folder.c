/* What must hold: the folder is for its user only, stands where it should, and goes with its files.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child/private_folder.h"
#include "support/check_main.h"

static char         folder[PRIVATE_FOLDER_SIZE];
static struct error error;

START_TEST(it_is_private_and_goes_with_its_files)
{
    struct stat status;
    char        path[PRIVATE_FOLDER_SIZE + 8];

    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    setenv("TMPDIR", "/tmp", 1);
    ck_assert_int_eq(private_folder_make(folder, &error), STATUS_OK);
    ck_assert(strncmp(folder, "/tmp/", 5) == 0);
    ck_assert_int_eq(stat(folder, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0700);
    snprintf(path, sizeof path, "%s/file", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    private_folder_remove(folder);
    ck_assert_int_ne(stat(folder, &status), 0);
    private_folder_remove("");
}
END_TEST

START_TEST(a_place_that_is_too_long_or_relative_is_passed_over)
{
    char place[200] = "/tmp/";

    memset(place + 5, 'x', sizeof place - 6);
    setenv("XDG_RUNTIME_DIR", place, 1);
    setenv("TMPDIR", "here", 1);
    ck_assert_int_eq(private_folder_make(folder, &error), STATUS_OK);
    ck_assert(strncmp(folder, "/tmp/chromabouncer.", 19) == 0);
    private_folder_remove(folder);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("private_folder");

    tcase_add_test(tcase, it_is_private_and_goes_with_its_files);
    tcase_add_test(tcase, a_place_that_is_too_long_or_relative_is_passed_over);
    return check_main("private_folder", tcase);
}
