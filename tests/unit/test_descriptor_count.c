/* What must hold: the count is true where the system knows it, and else that of the last walk,
 * which is not the loop's. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/descriptor_count.h"
#include "support/check_main.h"
#include "support/loop_drive.h"

static const struct worker_pool_options options = {.threads = {[WORKER_POOL_SCAN] = 1}};

static struct loop             *loop;
static struct worker_pool      *workers;
static struct descriptor_count *count;
static char                     folder[] = "/tmp/test_descriptor_count.XXXXXX";

static void setup(void)
{
    loop = loop_new();
    workers = worker_pool_new(loop, &options);
    ck_assert_ptr_nonnull(workers);
}

static void teardown(void)
{
    worker_pool_free(workers);
    descriptor_count_free(count);
    loop_free(loop);
}

static void make_file(const char *name)
{
    char path[64];
    int  fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_CREAT | O_RDWR, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_file(const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

START_TEST(descriptors_are_counted)
{
    uint64_t before;
    int      fd;

    count = descriptor_count_new(workers, "/proc/self/fd");
    before = descriptor_count_get(count);
    ck_assert_uint_ge(before, 3);
    fd = dup(1);
    (void)descriptor_count_get(count); /* where a worker walks */
    loop_drive_for(loop, 20000);
    ck_assert_uint_eq(descriptor_count_get(count), before + 1);
    close(fd);
}
END_TEST

static bool is_seen(void)
{
    return descriptor_count_get(count) == 3;
}

START_TEST(where_the_size_does_not_say_it_a_worker_walks)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    make_file("a");
    make_file("b");
    count = descriptor_count_new(workers, folder);
    ck_assert_uint_eq(descriptor_count_get(count), 2);
    make_file("c");
    ck_assert_uint_eq(descriptor_count_get(count), 2); /* the loop has not turned */
    loop_drive_until(loop, is_seen);
    remove_file("a");
    remove_file("b");
    remove_file("c");
    rmdir(folder);
}
END_TEST

START_TEST(what_cannot_be_read_counts_nothing)
{
    count = descriptor_count_new(workers, "/nowhere");
    ck_assert_uint_eq(descriptor_count_get(count), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("descriptor_count");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, descriptors_are_counted);
    tcase_add_test(tcase, where_the_size_does_not_say_it_a_worker_walks);
    tcase_add_test(tcase, what_cannot_be_read_counts_nothing);
    return check_main("descriptor_count", tcase);
}
