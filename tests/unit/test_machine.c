/* What must hold: the lowest limit of a cgroup and of those above it counts, in v1 and v2, inside
 * and outside of a container; what cannot be read does not limit. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/machine.h"
#include "support/check_main.h"

static char root[64];

static void setup(void)
{
    strcpy(root, "/tmp/test_machine.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void teardown(void)
{
    char command[100];

    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const char *text)
{
    char  path[300];
    FILE *file;

    snprintf(path, sizeof path, "%s%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(without_limits_it_is_the_whole_machine)
{
    struct machine machine;

    machine_read(root, &machine);
    ck_assert(!machine.memory_limited);
    ck_assert_uint_gt(machine.memory_bytes, 1 << 20);
    ck_assert_uint_ge(machine.cpus, 1);
    ck_assert_uint_gt(machine.descriptors_max, 10);
}
END_TEST

START_TEST(lowest_limit_on_the_way_up_counts_in_v2)
{
    struct machine machine;

    put("/proc/self/cgroup", "0::/a.slice/b.scope\n");
    put("/sys/fs/cgroup/a.slice/b.scope/memory.max", "max\n");
    put("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "50000 100000\n");
    put("/sys/fs/cgroup/a.slice/memory.max", "67108864\n");
    put("/sys/fs/cgroup/a.slice/cpu.max", "max 100000\n");
    machine_read(root, &machine);
    ck_assert(machine.memory_limited);
    ck_assert_uint_eq(machine.memory_bytes, 67108864);
    ck_assert_uint_eq(machine.cpus, 1);
}
END_TEST

START_TEST(container_sees_its_own_cgroup_as_the_root)
{
    struct machine machine;

    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "1000000\n");
    machine_read(root, &machine);
    ck_assert_uint_eq(machine.memory_bytes, 1000000);
}
END_TEST

START_TEST(v1_paths_that_a_container_does_not_have_are_skipped)
{
    struct machine machine;

    put("/proc/self/cgroup", "11:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=x:/\nbad\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    machine_read(root, &machine);
    ck_assert_uint_eq(machine.memory_bytes, 2000000);
    ck_assert_uint_eq(machine.cpus, 1);
}
END_TEST

START_TEST(v1_has_no_limit_at_all_as_a_huge_number)
{
    struct machine machine;

    put("/proc/self/cgroup", "11:memory:/\n4:cpu,cpuacct:/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    machine_read(root, &machine);
    ck_assert(!machine.memory_limited);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("machine");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, without_limits_it_is_the_whole_machine);
    tcase_add_test(tcase, lowest_limit_on_the_way_up_counts_in_v2);
    tcase_add_test(tcase, container_sees_its_own_cgroup_as_the_root);
    tcase_add_test(tcase, v1_paths_that_a_container_does_not_have_are_skipped);
    tcase_add_test(tcase, v1_has_no_limit_at_all_as_a_huge_number);
    return check_main("machine", tcase);
}
