/* What must hold: a row keeps its bits and its place until it is released and no snapshot can
 * refer to it; space is used again then; a call that the system refuses changes nothing. */
#include "index/vector_file.h"

#include <errno.h>
#include <fcntl.h>

#include "support/check_main.h"
#include "support/index_fixture.h"

enum { dim = 5, rows_max = 4 * vector_file_segment_rows, identity = 77 };

static struct file_ops     ops;
static struct index_memory memory;
static struct vector_file  file;
static int64_t             punched;
static int                 failing; /* calls of what is replaced below fail: 1 at all, 2 half */

static ssize_t failing_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    errno = ENOSPC;
    if (failing == 2 && size > 8)
        return pwrite(fd, data, 8, offset); /* a part, then the disk is full */
    return failing != 0 ? -1 : pwrite(fd, data, size, offset);
}

static int failing_ftruncate(int fd, off_t size)
{
    errno = ENOSPC;
    return failing != 0 ? -1 : ftruncate(fd, size);
}

static void *failing_mmap(void *address, size_t size, int protection, int flags, int fd,
                          off_t offset)
{
    return failing != 0 ? (errno = ENOMEM, (void *)-1)
                        : file_ops_system.mmap(address, size, protection, flags, fd, offset);
}

static int failing_fsync(int fd)
{
    (void)fd;
    errno = EIO;
    return failing != 0 ? -1 : 0;
}

static int counting_punch(int fd, off_t offset, off_t size)
{
    punched += size;
    return file_ops_system.punch(fd, offset, size);
}

static void setup(void)
{
    index_fixture_setup();
    ops = file_ops_system;
    ops.fsync = failing_fsync;
    ops.punch = counting_punch;
    punched = failing = 0;
    index_memory_init(&memory, 0);
    ck_assert_int_eq(
        vector_file_create(&file, &memory, &ops, index_fixture_path, dim, identity, rows_max),
        STATUS_OK);
}

static void teardown(void)
{
    vector_file_done(&file);
    ck_assert_uint_eq(memory.used, 0);
    index_fixture_teardown();
}

static void fill(float *vector, uint32_t number)
{
    for (uint32_t i = 0; i < dim; i++)
        vector[i] = (float)(number * dim + i);
}

/* Vectors `first` .. of number `first` and up; returns the first row. Rows must follow each other
 * within a segment. */
static uint32_t append(uint32_t first, uint32_t count)
{
    uint32_t first_row = 0, row;
    float    vector[dim];

    for (uint32_t i = 0; i < count; i++) {
        fill(vector, first + i);
        ck_assert_int_eq(vector_file_append(&file, vector, &row), STATUS_OK);
        first_row = i == 0 ? row : first_row;
        if (row % vector_file_segment_rows != 0)
            ck_assert_uint_eq(row, first_row + i);
    }
    return first_row;
}

static void check_row(uint32_t row, uint32_t number)
{
    float vector[dim];

    fill(vector, number);
    ck_assert_uint_eq((uintptr_t)vector_file_row(&file, row) % 64, 0);
    ck_assert_mem_eq(vector_file_row(&file, row), vector, sizeof vector);
}

static void release(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        vector_file_release(&file, first + i);
}

static enum status open_again(uint32_t with_dim, uint64_t with_identity, uint32_t segments)
{
    struct error error;
    enum status  status;

    vector_file_done(&file);
    status = vector_file_open(&file, &memory, &ops, index_fixture_path, with_dim, with_identity,
                              segments, rows_max, &error);
    ck_assert(status == STATUS_OK || file.table == NULL);
    return status;
}

START_TEST(rows_keep_their_bits)
{
    uint32_t row = append(0, vector_file_segment_rows + 10);

    for (uint32_t i = 0; i < vector_file_segment_rows + 10; i += 7)
        check_row(row + i, i);
    vector_file_announce(&file, row + 8);
    ck_assert_uint_eq(vector_file_dead_bytes(&file), (vector_file_segment_rows - 10) * file.stride);
    ck_assert_int_eq(open_again(dim, identity, 2), STATUS_OK);
    ck_assert(vector_file_claim(&file, row + 3));
    ck_assert(!vector_file_claim(&file, 2 * vector_file_segment_rows));
    vector_file_claimed(&file);
    check_row(row + 3, 3);
}
END_TEST

START_TEST(after_opening_the_emptiest_segment_is_gone_on_with)
{
    uint32_t first = append(0, 2 * vector_file_segment_rows + 10);
    uint32_t second = first + vector_file_segment_rows;

    ck_assert_int_eq(open_again(dim, identity, 3), STATUS_OK);
    ck_assert(vector_file_claim(&file, first + 9));
    ck_assert(vector_file_claim(&file, second + 3));
    ck_assert(vector_file_claim(&file, second + 1));
    vector_file_claimed(&file);
    /* What lies behind the last claimed row counts for nothing; what was claimed stays. */
    ck_assert_uint_eq(append(7777, 5), second + 4);
    check_row(second + 3, vector_file_segment_rows + 3);
    check_row(first + 9, 9);
    /* The third holds no claimed row: it is next. */
    (void)append(0, vector_file_segment_rows - 9);
    ck_assert_uint_eq(append(1, 1), second + vector_file_segment_rows);
    /* One restart after the other needs no segment each. */
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_int_eq(open_again(dim, identity, 1), STATUS_OK);
        ck_assert(vector_file_claim(&file, first + i));
        vector_file_claimed(&file);
        ck_assert_uint_eq(append(i + 1, 1), first + i + 1);
        ck_assert_uint_eq(file.segments, 1);
    }
}
END_TEST

START_TEST(without_a_snapshot_a_dead_segment_is_used_again_at_once)
{
    uint32_t first = append(0, vector_file_segment_rows), second;

    release(first, vector_file_segment_rows); /* still the current one */
    second = append(1, 1);
    ck_assert_uint_ne(second / vector_file_segment_rows, first / vector_file_segment_rows);
    ck_assert_int_gt(punched, 0);
    (void)append(2, vector_file_segment_rows - 1);
    ck_assert_uint_eq(append(3, 1), first);
    check_row(second, 1);
}
END_TEST

START_TEST(what_a_snapshot_may_refer_to_is_not_overwritten_before_the_next)
{
    uint32_t first = append(0, vector_file_segment_rows), other;

    vector_file_reclaim(&file); /* the first snapshot */
    (void)append(1, 1);
    release(first, vector_file_segment_rows);
    (void)append(2, vector_file_segment_rows - 1);
    other = append(3, 1);
    ck_assert_uint_ne(other / vector_file_segment_rows, first / vector_file_segment_rows);
    check_row(first + 9, 9);
    ck_assert_int_eq(punched, 0);
    vector_file_reclaim(&file);
    ck_assert_int_gt(punched, 0);
    (void)append(4, vector_file_segment_rows - 1);
    ck_assert_uint_eq(append(5, 1), first);
}
END_TEST

START_TEST(a_segment_less_than_half_alive_is_worth_emptying)
{
    uint32_t first = append(0, vector_file_segment_rows), segment;

    release(first, vector_file_segment_rows - 10);
    ck_assert(!vector_file_find_sparse(&file, &segment)); /* it is the current one */
    (void)append(1, 1);
    ck_assert(vector_file_find_sparse(&file, &segment));
    ck_assert_uint_eq(segment, first / vector_file_segment_rows);
}
END_TEST

START_TEST(a_full_disk_changes_nothing)
{
    uint32_t row = append(0, 1), live = file.live_rows, again;
    float    vector[dim] = {0};

    ops.pwrite = failing_pwrite;
    for (failing = 1; failing <= 2; failing++) {
        ck_assert_int_eq(vector_file_append(&file, vector, &again), STATUS_IO_FAILED);
        ck_assert_uint_eq(file.live_rows, live);
        check_row(row, 0);
    }
    failing = 0;
    ck_assert_uint_eq(append(1, 1), row + 1); /* the half-written row is written over */
    check_row(row + 1, 1);
}
END_TEST

START_TEST(rows_that_could_not_be_synced_are_lost_for_good)
{
    (void)append(0, 1);
    ck_assert_int_eq(vector_file_sync(&file), STATUS_OK);
    failing = 1;
    ck_assert_int_eq(vector_file_sync(&file), STATUS_IO_FAILED);
    failing = 0; /* the system has dropped them, and knows no more of it */
    ck_assert_int_eq(vector_file_sync(&file), STATUS_IO_FAILED);
    ck_assert_int_eq(open_again(dim, identity, 1), STATUS_OK);
    ck_assert_int_eq(vector_file_sync(&file), STATUS_OK);
}
END_TEST

START_TEST(a_segment_that_cannot_be_had_changes_nothing)
{
    uint32_t row = append(0, vector_file_segment_rows), again, used = file.segments;
    float    vector[dim] = {0};

    failing = 1;
    ops.ftruncate = failing_ftruncate;
    ck_assert_int_eq(vector_file_append(&file, vector, &again), STATUS_IO_FAILED);
    ops.ftruncate = file_ops_system.ftruncate;
    ops.mmap = failing_mmap;
    ck_assert_int_eq(vector_file_append(&file, vector, &again), STATUS_NO_MEMORY);
    ck_assert_uint_eq(file.segments, used);
    failing = 0;
    (void)append(1, 1);
    check_row(row, 0);
    ck_assert_uint_eq(file.segments, used + 1);
}
END_TEST

START_TEST(more_rows_than_agreed_are_refused)
{
    float       vector[dim] = {0};
    uint32_t    row, added = 0;
    enum status status;

    while ((status = vector_file_append(&file, vector, &row)) == STATUS_OK)
        added++;
    ck_assert_int_eq(status, STATUS_LIMIT_REACHED);
    ck_assert_uint_ge(added, 2 * rows_max);
}
END_TEST

START_TEST(a_file_that_is_not_the_right_one_is_refused)
{
    uint64_t size;
    char     byte = 'X';
    int      fd;

    (void)append(0, 1);
    ck_assert_int_eq(open_again(dim + 1, identity, 1), STATUS_CORRUPT);
    ck_assert_int_eq(open_again(dim, identity + 1, 1), STATUS_CORRUPT);
    ck_assert_int_eq(open_again(dim, identity, 2), STATUS_CORRUPT);
    ck_assert_int_eq(open_again(dim, identity, UINT32_MAX), STATUS_CORRUPT);
    ops.mmap = failing_mmap;
    failing = 1;
    ck_assert_int_eq(open_again(dim, identity, 1), STATUS_NO_MEMORY);
    failing = 0;
    ck_assert_int_eq(open_again(dim, identity, 1), STATUS_OK);
    ck_assert_int_eq(file_size(file.fd, &size), STATUS_OK);
    fd = open(index_fixture_path, O_RDWR);
    for (int at = 0; at < 28; at++) {
        char was;

        ck_assert_int_eq(pread(fd, &was, 1, at), 1);
        ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
        ck_assert_int_eq(open_again(dim, identity, 1), STATUS_CORRUPT);
        ck_assert_int_eq(pwrite(fd, &was, 1, at), 1);
    }
    ck_assert_int_eq(ftruncate(fd, (off_t)size - 1), 0);
    ck_assert_int_eq(open_again(dim, identity, 1), STATUS_CORRUPT);
    ck_assert_int_eq(ftruncate(fd, 10), 0);
    ck_assert_int_eq(open_again(dim, identity, 0), STATUS_CORRUPT);
    close(fd);
    unlink(index_fixture_path);
    ck_assert_int_eq(open_again(dim, identity, 0), STATUS_NOT_FOUND);
    memory.countdown = 0;
    ck_assert_int_eq(open_again(dim, identity, 0), STATUS_NO_MEMORY);
}
END_TEST

START_TEST(a_header_that_cannot_be_written_leaves_nothing_open)
{
    vector_file_done(&file);
    ops.pwrite = failing_pwrite;
    failing = 1;
    ck_assert_int_eq(
        vector_file_create(&file, &memory, &ops, index_fixture_path, dim, identity, rows_max),
        STATUS_IO_FAILED);
    ck_assert(file.table == NULL && file.fd == -1);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("vector_file");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, rows_keep_their_bits);
    tcase_add_test(tcase, after_opening_the_emptiest_segment_is_gone_on_with);
    tcase_add_test(tcase, without_a_snapshot_a_dead_segment_is_used_again_at_once);
    tcase_add_test(tcase, what_a_snapshot_may_refer_to_is_not_overwritten_before_the_next);
    tcase_add_test(tcase, a_segment_less_than_half_alive_is_worth_emptying);
    tcase_add_test(tcase, a_full_disk_changes_nothing);
    tcase_add_test(tcase, rows_that_could_not_be_synced_are_lost_for_good);
    tcase_add_test(tcase, a_segment_that_cannot_be_had_changes_nothing);
    tcase_add_test(tcase, more_rows_than_agreed_are_refused);
    tcase_add_test(tcase, a_file_that_is_not_the_right_one_is_refused);
    tcase_add_test(tcase, a_header_that_cannot_be_written_leaves_nothing_open);
    return check_main("vector_file", tcase);
}
