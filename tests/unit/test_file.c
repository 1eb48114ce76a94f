/* What must hold: short transfers and interruptions are gone over, all else is reported as what it
 * is, and an fsync that failed is never tried again. */
#include "io/file.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"
#include "support/check_main.h"

static char            dir[] = "/tmp/test_file.XXXXXX";
static char            path[64], other[64];
static struct file_ops ops;
static int             calls, fail_from, fail_errno;

static void setup(void)
{
    strcpy(dir + strlen(dir) - 6, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/file", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    ops = file_ops_system;
    calls = 0;
    fail_from = 1;
}

static void teardown(void)
{
    unlink(path);
    unlink(other);
    rmdir(dir);
}

static int opened(void)
{
    int fd;

    ck_assert_int_eq(file_open(&ops, path, O_RDWR | O_CREAT, &fd), STATUS_OK);
    return fd;
}

/* Interrupted every other time, else one byte at a time. */
static ssize_t short_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    errno = EINTR;
    return ++calls % 2 == 0 ? -1 : pwrite(fd, data, size > 0, offset);
}

static ssize_t short_pread(int fd, void *data, size_t size, off_t offset)
{
    errno = EINTR;
    return ++calls % 2 == 0 ? -1 : pread(fd, data, size > 0, offset);
}

static ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    errno = fail_errno;
    return ++calls >= fail_from ? -1 : pwrite(fd, data, size / 2, offset);
}

static ssize_t failing_pread(int fd, void *data, size_t size, off_t offset)
{
    (void)fd;
    (void)data;
    (void)size;
    (void)offset;
    errno = fail_errno;
    return -1;
}

static ssize_t full_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    (void)fd;
    (void)data;
    (void)size;
    (void)offset;
    return 0;
}

static int failing_open(const char *name, int flags, mode_t mode)
{
    errno = fail_errno;
    return ++calls >= fail_from ? -1 : file_ops_system.open(name, flags, mode);
}

static int interrupted_open(const char *name, int flags, mode_t mode)
{
    errno = EINTR;
    return ++calls < 3 ? -1 : file_ops_system.open(name, flags, mode);
}

static int failing_fsync(int fd)
{
    (void)fd;
    calls++;
    errno = fail_errno;
    return -1;
}

static int failing_ftruncate(int fd, off_t size)
{
    (void)fd;
    (void)size;
    errno = fail_errno;
    return -1;
}

static int failing_rename(const char *from, const char *to)
{
    (void)from;
    (void)to;
    errno = fail_errno;
    return -1;
}

static int failing_unlink(const char *name)
{
    (void)name;
    errno = fail_errno;
    return -1;
}

static void *failing_mmap(void *address, size_t size, int protection, int flags, int fd,
                          off_t offset)
{
    (void)address;
    (void)size;
    (void)protection;
    (void)flags;
    (void)fd;
    (void)offset;
    errno = fail_errno;
    return MAP_FAILED;
}

START_TEST(short_and_interrupted_transfers_are_completed)
{
    const char text[] = "sixteen bytes ..";
    char       back[sizeof text];
    int        fd = opened();

    ops.pwrite = short_pwrite;
    ops.pread = short_pread;
    ck_assert_int_eq(file_write(&ops, fd, text, sizeof text, 5), STATUS_OK);
    ck_assert_int_eq(calls, 2 * (int)sizeof text - 1);
    ck_assert_int_eq(file_read(&ops, fd, back, sizeof back, 5), STATUS_OK);
    ck_assert_str_eq(back, text);
    file_close(&ops, fd);
    calls = 0;
    ops.open = interrupted_open;
    ck_assert_int_eq(file_open(&ops, path, O_RDONLY, &fd), STATUS_OK);
    ck_assert_int_eq(calls, 3);
    file_close(&ops, fd);
    file_close(&ops, -1);
}
END_TEST

START_TEST(a_full_disk_and_a_broken_one_are_reported)
{
    static const int errors[] = {ENOSPC, EIO, EDQUOT};
    char             data[100] = "";
    int              fd = opened();

    ops.pwrite = failing_pwrite;
    ops.pread = failing_pread;
    ops.ftruncate = failing_ftruncate;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        fail_errno = errors[i];
        for (fail_from = 1; fail_from <= 3; fail_from++) {
            calls = 0;
            ck_assert_int_eq(file_write(&ops, fd, data, sizeof data, 0), STATUS_IO_FAILED);
            ck_assert_int_eq(calls, fail_from);
            ck_assert_int_eq(errno, errors[i]);
        }
        ck_assert_int_eq(file_read(&ops, fd, data, sizeof data, 0), STATUS_IO_FAILED);
        ck_assert_int_eq(file_truncate(&ops, fd, 10), STATUS_IO_FAILED);
    }
    /* A write that takes nothing would be tried for ever. */
    ops.pwrite = full_pwrite;
    ck_assert_int_eq(file_write(&ops, fd, data, sizeof data, 0), STATUS_IO_FAILED);
    file_close(&ops, fd);
}
END_TEST

START_TEST(a_failed_fsync_is_reported_and_not_tried_again)
{
    int fd = opened();

    ops.fsync = failing_fsync;
    for (int i = 0; i < 2; i++) {
        calls = 0;
        fail_errno = i == 0 ? EIO : EINTR;
        ck_assert_int_eq(file_sync(&ops, fd), STATUS_IO_FAILED);
        ck_assert_int_eq(calls, 1);
        ck_assert_int_eq(file_sync_dir(&ops, path), STATUS_IO_FAILED);
    }
    file_close(&ops, fd);
}
END_TEST

START_TEST(the_folder_of_any_path_is_synced)
{
    ck_assert_int_eq(file_sync_dir(&ops, path), STATUS_OK);
    ck_assert_int_eq(file_sync_dir(&ops, "name"), STATUS_OK);
    ck_assert_int_eq(file_sync_dir(&ops, "/name"), STATUS_OK);
    ck_assert_int_eq(file_sync_dir(&ops, "/nowhere/at/all"), STATUS_NOT_FOUND);
    ops.open = failing_open;
    fail_errno = EACCES;
    ck_assert_int_eq(file_sync_dir(&ops, path), STATUS_NOT_PERMITTED);
}
END_TEST

START_TEST(what_opening_was_refused_for_is_told)
{
    static const struct {
        int         error;
        enum status status;
    } cases[] = {{ENOENT, STATUS_NOT_FOUND},     {ENOTDIR, STATUS_NOT_FOUND},
                 {EACCES, STATUS_NOT_PERMITTED}, {EPERM, STATUS_NOT_PERMITTED},
                 {EROFS, STATUS_NOT_PERMITTED},  {EMFILE, STATUS_IO_FAILED},
                 {ENOSPC, STATUS_IO_FAILED}};
    int fd = -1;

    ops.open = failing_open;
    ops.rename = failing_rename;
    ops.unlink = failing_unlink;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fail_errno = cases[i].error;
        ck_assert_int_eq(file_open(&ops, path, O_RDWR, &fd), cases[i].status);
        ck_assert_int_eq(fd, -1);
        ck_assert_int_eq(file_rename(&ops, path, other), cases[i].status);
        ck_assert_int_eq(file_unlink(&ops, path),
                         cases[i].error == ENOENT ? STATUS_OK : cases[i].status);
    }
}
END_TEST

START_TEST(reading_past_the_end_is_corruption)
{
    char     data[8];
    uint64_t size;
    int      fd = opened();

    ck_assert_int_eq(file_write(&ops, fd, "abc", 3, 0), STATUS_OK);
    ck_assert_int_eq(file_read(&ops, fd, data, 4, 0), STATUS_CORRUPT);
    ck_assert_int_eq(file_read(&ops, fd, data, 1, 3), STATUS_CORRUPT);
    ck_assert_int_eq(file_read(&ops, fd, data, 0, 99), STATUS_OK);
    ck_assert_int_eq(file_size(fd, &size), STATUS_OK);
    ck_assert_uint_eq(size, 3);
    file_close(&ops, fd);
    ck_assert_int_eq(file_size(fd, &size), STATUS_IO_FAILED);
    ck_assert_int_eq(file_open(&ops, dir, O_RDONLY | O_DIRECTORY, &fd), STATUS_OK);
    ck_assert_int_eq(file_size(fd, &size), STATUS_INVALID);
    file_close(&ops, fd);
}
END_TEST

START_TEST(a_mapping_shows_later_writes_and_punched_holes)
{
    const void *data = NULL;
    uint64_t    size;
    int         fd = opened();

    ck_assert_int_eq(file_truncate(&ops, fd, 8192), STATUS_OK);
    ck_assert_int_eq(file_map(&ops, fd, 4096, 4096, &data), STATUS_OK);
    ck_assert_int_eq(file_write(&ops, fd, "abc", 3, 4096), STATUS_OK);
    ck_assert_mem_eq(data, "abc", 3);
    file_punch(&ops, fd, 4096, 4096);
    ck_assert_int_eq(file_size(fd, &size), STATUS_OK);
    ck_assert_uint_eq(size, 8192);
    file_unmap(&ops, data, 4096);
    file_unmap(&ops, NULL, 4096);
    ops.mmap = failing_mmap;
    fail_errno = ENOMEM;
    ck_assert_int_eq(file_map(&ops, fd, 0, 4096, &data), STATUS_NO_MEMORY);
    fail_errno = EACCES;
    ck_assert_int_eq(file_map(&ops, fd, 0, 4096, &data), STATUS_IO_FAILED);
    file_close(&ops, fd);
}
END_TEST

START_TEST(a_renamed_file_takes_the_place_of_the_old)
{
    char data[4] = "";
    int  fd = opened();

    ck_assert_int_eq(file_write(&ops, fd, "new", 3, 0), STATUS_OK);
    file_close(&ops, fd);
    ck_assert_int_eq(file_open(&ops, other, O_RDWR | O_CREAT, &fd), STATUS_OK);
    file_close(&ops, fd);
    ck_assert_int_eq(file_rename(&ops, path, other), STATUS_OK);
    ck_assert_int_eq(file_open(&ops, other, O_RDONLY, &fd), STATUS_OK);
    ck_assert_int_eq(file_read(&ops, fd, data, 3, 0), STATUS_OK);
    ck_assert_str_eq(data, "new");
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    file_close(&ops, fd);
    ck_assert_int_eq(file_unlink(&ops, path), STATUS_OK); /* was not there */
    ck_assert_int_eq(file_rename(&ops, path, other), STATUS_NOT_FOUND);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("file");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, short_and_interrupted_transfers_are_completed);
    tcase_add_test(tcase, a_full_disk_and_a_broken_one_are_reported);
    tcase_add_test(tcase, a_failed_fsync_is_reported_and_not_tried_again);
    tcase_add_test(tcase, the_folder_of_any_path_is_synced);
    tcase_add_test(tcase, what_opening_was_refused_for_is_told);
    tcase_add_test(tcase, reading_past_the_end_is_corruption);
    tcase_add_test(tcase, a_mapping_shows_later_writes_and_punched_holes);
    tcase_add_test(tcase, a_renamed_file_takes_the_place_of_the_old);
    return check_main("file", tcase);
}
