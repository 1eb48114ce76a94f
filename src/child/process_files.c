#include "child/process_files.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool walk_one(pid_t process, process_files_fn on_file, void *ctx);

bool process_files_walk(pid_t group, process_files_fn on_file, void *ctx)
{
    DIR           *processes = opendir("/proc");
    struct dirent *entry;
    bool           enough = false;

    if (processes == NULL)
        return false;
    while (!enough && (entry = readdir(processes)) != NULL) {
        pid_t process = (pid_t)atoi(entry->d_name); /* 0: no process */

        if (process > 0 && process != getpid() && (group == 0 || getpgid(process) == group))
            enough = walk_one(process, on_file, ctx);
    }
    closedir(processes);
    return enough;
}

static bool walk_one(pid_t process, process_files_fn on_file, void *ctx)
{
    char           path[64], link[PATH_MAX];
    DIR           *files;
    struct dirent *entry;
    bool           enough = false;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)process);
    files = opendir(path);
    if (files == NULL)
        return false;
    while (!enough && (entry = readdir(files)) != NULL) {
        ssize_t size = readlinkat(dirfd(files), entry->d_name, link, sizeof link - 1);

        if (size <= 0)
            continue;
        link[size] = '\0';
        enough = on_file(process, atoi(entry->d_name), link, ctx);
    }
    closedir(files);
    return enough;
}

bool process_files_stat(pid_t process, int fd, const char *link, const char *end,
                        struct stat *ret_status)
{
    size_t size = strlen(link), end_size = strlen(end);
    char   path[64];

    if (size < end_size || strcmp(link + size - end_size, end) != 0)
        return false;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)process, fd);
    return stat(path, ret_status) == 0;
}

bool process_files_walk_own(process_files_fn on_file, void *ctx)
{
    return walk_one(getpid(), on_file, ctx);
}
