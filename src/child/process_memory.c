#include "child/process_memory.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"

static uint64_t read_own_memory(pid_t process);
static bool     is_own_memory(const char *line);

uint64_t process_memory_read(pid_t group)
{
    DIR           *processes = opendir("/proc");
    struct dirent *entry;
    uint64_t       sum = 0;

    if (processes == NULL)
        return 0;
    while ((entry = readdir(processes)) != NULL) {
        pid_t process = (pid_t)atoi(entry->d_name); /* 0: no process */

        if (process > 0 && getpgid(process) == group)
            sum += read_own_memory(process);
    }
    closedir(processes);
    return sum;
}

static uint64_t read_own_memory(pid_t process)
{
    char               path[64], line[256];
    FILE              *file;
    unsigned long long kib;
    uint64_t           sum = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)process);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (is_own_memory(line) && sscanf(line, "%*[^:]: %llu kB", &kib) == 1)
            sum += kib << 10;
    fclose(file);
    return sum;
}

static bool is_own_memory(const char *line)
{
    static const char *const names[] = {"RssAnon:", "RssShmem:", "VmSwap:"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strncmp(line, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}
