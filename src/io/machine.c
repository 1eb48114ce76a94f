#include "io/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* Limits of a cgroup and all above it, while they are found. */
struct limits {
    uint64_t memory_bytes; /* UINT64_MAX: none */
    double   cpus;         /* 0: none */
};

static void     read_cgroups(const char *root, struct limits *limits);
static void     walk_up(const char *mount, char *path, bool v2, struct limits *limits);
static void     read_v2(const char *folder, struct limits *limits);
static void     read_v1(const char *folder, struct limits *limits);
static void     limit_cpus(struct limits *limits, double quota, double period);
static bool     read_line(const char *folder, const char *name, char *out, size_t size);
static bool     has_controller(const char *controllers, const char *name);
static uint32_t usable_cpus(void);

void machine_read(const char *root, struct machine *ret)
{
    struct limits limits = {.memory_bytes = UINT64_MAX};
    struct rlimit descriptors;
    long          pages = sysconf(_SC_PHYS_PAGES), page_size = sysconf(_SC_PAGESIZE);

    ret->memory_bytes = pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size : 1;
    ret->cpus = usable_cpus();
    ret->descriptors_max = UINT64_MAX;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_max != RLIM_INFINITY)
        ret->descriptors_max = descriptors.rlim_max;
    read_cgroups(root, &limits);
    /* v1 has no word for "no limit" but a number near 2^63. */
    ret->memory_limited = limits.memory_bytes > 0 && limits.memory_bytes < ret->memory_bytes;
    if (ret->memory_limited)
        ret->memory_bytes = limits.memory_bytes;
    if (limits.cpus > 0 && limits.cpus < ret->cpus)
        ret->cpus = (uint32_t)limits.cpus + (limits.cpus > (uint32_t)limits.cpus);
}

/* Lines of /proc/self/cgroup: "0::/path" for v2, "4:cpu,cpuacct:/path" for v1. */
static void read_cgroups(const char *root, struct limits *limits)
{
    char  line[PATH_SIZE], mount[PATH_SIZE + 64], file[PATH_SIZE];
    FILE *cgroups;

    snprintf(file, sizeof file, "%s/proc/self/cgroup", root);
    cgroups = fopen(file, "re");
    if (cgroups == NULL)
        return;
    while (fgets(line, sizeof line, cgroups) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');

        if (path == NULL)
            continue;
        controllers++;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (controllers[0] == '\0') {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            walk_up(mount, path, true, limits);
        } else if (has_controller(controllers, "memory") || has_controller(controllers, "cpu")) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, controllers);
            walk_up(mount, path, false, limits);
        }
    }
    fclose(cgroups);
}

/* A container sees its own cgroup as the mount itself, and a path that does not exist there: what
 * is missing is skipped, the walk ends at the mount. */
static void walk_up(const char *mount, char *path, bool v2, struct limits *limits)
{
    char folder[2 * PATH_SIZE];

    for (;;) {
        char *slash = strrchr(path, '/');

        snprintf(folder, sizeof folder, "%s%s", mount, path);
        if (v2)
            read_v2(folder, limits);
        else
            read_v1(folder, limits);
        if (slash == NULL || path[0] == '\0')
            return;
        *slash = '\0';
    }
}

static void read_v2(const char *folder, struct limits *limits)
{
    char               line[64];
    unsigned long long bytes;
    double             quota, period;

    if (read_line(folder, "memory.max", line, sizeof line) && sscanf(line, "%llu", &bytes) == 1 &&
        bytes < limits->memory_bytes)
        limits->memory_bytes = bytes;
    if (read_line(folder, "cpu.max", line, sizeof line) &&
        sscanf(line, "%lf %lf", &quota, &period) == 2)
        limit_cpus(limits, quota, period);
}

static void read_v1(const char *folder, struct limits *limits)
{
    char               line[64];
    unsigned long long bytes;
    double             quota, period;

    if (read_line(folder, "memory.limit_in_bytes", line, sizeof line) &&
        sscanf(line, "%llu", &bytes) == 1 && bytes < limits->memory_bytes)
        limits->memory_bytes = bytes;
    if (read_line(folder, "cpu.cfs_quota_us", line, sizeof line) &&
        sscanf(line, "%lf", &quota) == 1 &&
        read_line(folder, "cpu.cfs_period_us", line, sizeof line) &&
        sscanf(line, "%lf", &period) == 1)
        limit_cpus(limits, quota, period);
}

/* A quota of -1 is none. */
static void limit_cpus(struct limits *limits, double quota, double period)
{
    if (quota <= 0 || period <= 0)
        return;
    if (limits->cpus <= 0 || quota / period < limits->cpus)
        limits->cpus = quota / period;
}

static bool read_line(const char *folder, const char *name, char *out, size_t size)
{
    char  path[2 * PATH_SIZE + 64];
    FILE *file;
    bool  good;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    good = fgets(out, (int)size, file) != NULL;
    fclose(file);
    return good;
}

static bool has_controller(const char *controllers, const char *name)
{
    size_t size = strlen(name);

    for (const char *item = controllers; item != NULL; item = strchr(item, ',')) {
        item += item[0] == ',';
        if (strncmp(item, name, size) == 0 && (item[size] == ',' || item[size] == '\0'))
            return true;
    }
    return false;
}

static uint32_t usable_cpus(void)
{
    cpu_set_t set;
    int       count;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && (count = CPU_COUNT(&set)) > 0)
        return (uint32_t)count;
    return 1;
}

/* Where it is written by a program (core_pattern), RLIMIT_CORE counts for nothing. */
void machine_hide_memory(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0);
}
