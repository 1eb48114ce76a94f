/* What must hold: the kernel's count of kills is found in v1 and v2, inside and outside of a
 * container, and nothing else is taken for it. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "child/oom_counter.h"
#include "support/check_main.h"

static char root[64];

static void setup(void)
{
    strcpy(root, "/tmp/test_oom_counter.XXXXXX");
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

START_TEST(v2_counts_in_memory_events)
{
    put("/proc/self/cgroup", "0::/a.slice/b.scope\n");
    put("/sys/fs/cgroup/a.slice/b.scope/memory.events",
        "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
    ck_assert_uint_eq(oom_counter_read(root), 5);
}
END_TEST

START_TEST(in_a_container_the_mount_is_the_cgroup)
{
    put("/proc/self/cgroup", "0::/docker/0123\n");
    put("/sys/fs/cgroup/memory.events", "oom_kill 2\n");
    ck_assert_uint_eq(oom_counter_read(root), 2);
}
END_TEST

START_TEST(v1_counts_in_memory_oom_control)
{
    put("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n0::/x\n");
    put("/sys/fs/cgroup/memory/x/memory.oom_control",
        "oom_kill_disable 9\nunder_oom 8\noom_kill 7\n");
    put("/sys/fs/cgroup/cpu,cpuacct/x/memory.oom_control", "oom_kill 100\n");
    ck_assert_uint_eq(oom_counter_read(root), 7);
}
END_TEST

START_TEST(what_cannot_be_read_counts_nothing)
{
    ck_assert_uint_eq(oom_counter_read(root), 0);
    put("/proc/self/cgroup", "nonsense\n0::/gone\n");
    ck_assert_uint_eq(oom_counter_read(root), 0);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("oom_counter");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, v2_counts_in_memory_events);
    tcase_add_test(tcase, in_a_container_the_mount_is_the_cgroup);
    tcase_add_test(tcase, v1_counts_in_memory_oom_control);
    tcase_add_test(tcase, what_cannot_be_read_counts_nothing);
    return check_main("oom_counter", tcase);
}
