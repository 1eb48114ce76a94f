/* What must hold: the folder is for its user only, stands where it should, and goes with its files.
 * What a killed process has left goes with the next start; what is in use, or nothing of ours,
 * stays.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/private_folder.h"
#include "child/wrapped_processes.h"
#include "support/check_main.h"
#include "support/waiting_process.h"

static struct private_folder folder;
static struct error          error;
static char                  place[] = "/tmp/test.XXXXXX";

static void set_up(void)
{
    strcpy(place, "/tmp/test.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place));
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    setenv("TMPDIR", place, 1);
}

static void tear_down(void)
{
    ck_assert_int_eq(rmdir(place), 0); /* nothing was left there */
}

static void make(void)
{
    ck_assert_int_eq(private_folder_make(&folder, &error), STATUS_OK);
}

static bool stands(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0;
}

static void make_file(const char *at, const char *name)
{
    char path[PRIVATE_FOLDER_PATH_SIZE + 32];

    snprintf(path, sizeof path, "%s/%s", at, name);
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

/* A process that makes one with a file in it and waits. Its path is put into `path`. */
static pid_t start_maker(char *path)
{
    int   ends[2];
    pid_t id;

    ck_assert_int_eq(pipe(ends), 0);
    id = fork();
    if (id == 0) {
        make();
        make_file(folder.path, "chroma.yaml");
        if (write(ends[1], folder.path, PRIVATE_FOLDER_SIZE) == PRIVATE_FOLDER_SIZE)
            pause();
        _exit(1);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], path, PRIVATE_FOLDER_SIZE), PRIVATE_FOLDER_SIZE);
    close(ends[0]);
    return id;
}

START_TEST(it_is_private_and_goes_with_its_files)
{
    struct stat status;
    char        path[PRIVATE_FOLDER_SIZE];

    make();
    strcpy(path, folder.path);
    ck_assert(strncmp(path, place, strlen(place)) == 0);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0700);
    make_file(path, "file");
    private_folder_remove(&folder);
    ck_assert(!stands(path));
    private_folder_remove(&folder);
}
END_TEST

START_TEST(a_place_that_is_too_long_or_relative_is_passed_over)
{
    char too_long[200] = "/tmp/";

    memset(too_long + 5, 'x', sizeof too_long - 6);
    setenv("XDG_RUNTIME_DIR", too_long, 1);
    setenv("TMPDIR", "here", 1);
    make();
    ck_assert(strncmp(folder.path, "/tmp/chromabouncer.", 19) == 0);
    private_folder_remove(&folder);
}
END_TEST

START_TEST(where_the_caller_places_it_leftovers_go_and_others_stay)
{
    char                  deep[300], left[PRIVATE_FOLDER_SIZE];
    struct private_folder other;

    snprintf(deep, sizeof deep, "%s/%0200d", place, 0); /* longer than the path of a socket */
    ck_assert_int_eq(mkdir(deep, 0700), 0);
    ck_assert_int_eq(private_folder_make_in(&other, deep, &error), STATUS_OK);
    ck_assert(strncmp(other.path, deep, strlen(deep)) == 0 && stands(other.path));
    waiting_process_end(start_maker(left));
    ck_assert_int_eq(private_folder_make_in(&folder, place, &error), STATUS_OK);
    ck_assert(!stands(left));
    private_folder_remove(&folder);
    ck_assert_int_eq(private_folder_make_in(&folder, deep, &error), STATUS_OK);
    ck_assert(stands(other.path));
    private_folder_remove(&folder);
    private_folder_remove(&other);
    ck_assert_int_eq(rmdir(deep), 0);
    ck_assert_int_ne(private_folder_make_in(&folder, deep, &error), STATUS_OK);
    ck_assert_str_eq(error.text, "No such file or directory");
}
END_TEST

START_TEST(what_a_killed_process_has_left_goes_with_the_next_start)
{
    char  left[PRIVATE_FOLDER_SIZE], used[PRIVATE_FOLDER_SIZE];
    pid_t user = start_maker(used);

    waiting_process_end(start_maker(left));
    ck_assert(stands(left) && stands(used));
    make();
    ck_assert(!stands(left));
    ck_assert(stands(used));
    waiting_process_end(user);
    private_folder_remove(&folder);
    make();
    ck_assert(!stands(used));
    private_folder_remove(&folder);
}
END_TEST

START_TEST(it_stays_while_an_application_names_its_door)
{
    char  left[PRIVATE_FOLDER_SIZE], door[PRIVATE_FOLDER_SIZE + 16];
    pid_t application;

    waiting_process_end(start_maker(left));
    /* By another name of the same place. */
    snprintf(door, sizeof door, "/tmp/.%s/hook.sock", left + strlen("/tmp"));
    application = waiting_process_start(WRAPPED_PROCESSES_VARIABLE, door);
    make();
    ck_assert(stands(left));
    private_folder_remove(&folder);
    waiting_process_end(application);
    make();
    ck_assert(!stands(left));
    private_folder_remove(&folder);
}
END_TEST

START_TEST(what_is_not_known_to_be_ours_stays)
{
    char without_lock[64], link[64], target[64], file[128];

    snprintf(without_lock, sizeof without_lock, "%s/chromabouncer.aaaaaa", place);
    snprintf(target, sizeof target, "%s/precious", place);
    snprintf(link, sizeof link, "%s/chromabouncer.bbbbbb", place);
    ck_assert_int_eq(mkdir(without_lock, 0700) | mkdir(target, 0700) | symlink(target, link), 0);
    make_file(target, "lock");
    make();
    snprintf(file, sizeof file, "%s/lock", target);
    ck_assert(stands(without_lock) && stands(link) && stands(file));
    private_folder_remove(&folder);
    ck_assert_int_eq(unlink(file) | unlink(link) | rmdir(target) | rmdir(without_lock), 0);
}
END_TEST

START_TEST(where_others_can_rename_and_of_others_nothing_goes)
{
    char left[PRIVATE_FOLDER_SIZE];

    if (geteuid() != 0)
        return; /* cannot give a folder away */
    waiting_process_end(start_maker(left));
    ck_assert_int_eq(chown(place, 1, 1) | chmod(place, 0777), 0);
    make();
    ck_assert(stands(left));
    private_folder_remove(&folder);
    ck_assert_int_eq(chown(left, 1, 1) | chmod(place, 01777), 0); /* of another user */
    make();
    ck_assert(stands(left));
    private_folder_remove(&folder);
    ck_assert_int_eq(chown(left, 0, 0), 0);
    make();
    ck_assert(!stands(left));
    private_folder_remove(&folder);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("private_folder");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, it_is_private_and_goes_with_its_files);
    tcase_add_test(tcase, a_place_that_is_too_long_or_relative_is_passed_over);
    tcase_add_test(tcase, where_the_caller_places_it_leftovers_go_and_others_stay);
    tcase_add_test(tcase, what_a_killed_process_has_left_goes_with_the_next_start);
    tcase_add_test(tcase, it_stays_while_an_application_names_its_door);
    tcase_add_test(tcase, what_is_not_known_to_be_ours_stays);
    tcase_add_test(tcase, where_others_can_rename_and_of_others_nothing_goes);
    return check_main("private_folder", tcase);
}
