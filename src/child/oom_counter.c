#include "child/oom_counter.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

static bool     find_file(char *line, const char *root, char *out, size_t size);
static uint64_t read_count(const char *path);

uint64_t oom_counter_read(const char *root)
{
    char     line[PATH_SIZE], path[2 * PATH_SIZE];
    uint64_t count = 0;
    FILE    *cgroups;

    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    cgroups = fopen(path, "re");
    if (cgroups == NULL)
        return 0;
    while (fgets(line, sizeof line, cgroups) != NULL)
        if (find_file(line, root, path, sizeof path))
            count += read_count(path);
    fclose(cgroups);
    return count;
}

/* "0::/path" for v2, "4:memory:/path" for v1. A container sees its own cgroup as the mount, and a
 * path that does not exist there. */
static bool find_file(char *line, const char *root, char *out, size_t size)
{
    char       *controllers = strchr(line, ':');
    char       *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    const char *mount, *name;
    FILE       *file;

    if (path == NULL)
        return false;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (controllers[1] != '\0' && strcmp(controllers + 1, "memory") != 0)
        return false;
    mount = controllers[1] == '\0' ? "" : "/memory";
    name = controllers[1] == '\0' ? "memory.events" : "memory.oom_control";
    snprintf(out, size, "%s/sys/fs/cgroup%s%s/%s", root, mount, path, name);
    file = fopen(out, "re");
    if (file != NULL)
        fclose(file);
    else
        snprintf(out, size, "%s/sys/fs/cgroup%s/%s", root, mount, name);
    return true;
}

static uint64_t read_count(const char *path)
{
    FILE              *file = fopen(path, "re");
    char               line[128];
    unsigned long long count = 0;

    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "oom_kill %llu", &count) == 1)
            break;
    fclose(file);
    return count;
}
