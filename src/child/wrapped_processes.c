#include "child/wrapped_processes.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The environment of a process is a few pages; more of it is not read. */
enum { environment_max = 1 << 18 };

static bool is_running(int handle);
static bool is_marked(pid_t process, const char *end, char *text);
static bool is_door(const char *variable, const char *end);

void wrapped_processes_add(struct wrapped_processes *processes, pid_t id)
{
    int handle;

    for (size_t i = 0; i < processes->count; i++)
        if (processes->ids[i] == id && is_running(processes->handles[i]))
            return;
    if (processes->count == WRAPPED_PROCESSES_MAX)
        wrapped_processes_is_any_known_alive(processes);
    if (processes->count == WRAPPED_PROCESSES_MAX)
        return;
    handle = (int)syscall(SYS_pidfd_open, id, 0);
    if (handle < 0)
        return; /* it is gone */
    processes->ids[processes->count] = id;
    processes->handles[processes->count++] = handle;
}

/* A pidfd is readable when its process has ended. */
static bool is_running(int handle)
{
    struct pollfd poll_fd = {.fd = handle, .events = POLLIN};

    return poll(&poll_fd, 1, 0) == 0;
}

bool wrapped_processes_is_any_known_alive(struct wrapped_processes *processes)
{
    for (size_t i = 0; i < processes->count;) {
        if (is_running(processes->handles[i])) {
            i++;
            continue;
        }
        close(processes->handles[i]);
        processes->count--;
        processes->handles[i] = processes->handles[processes->count];
        processes->ids[i] = processes->ids[processes->count];
    }
    return processes->count > 0;
}

bool wrapped_processes_is_any_marked(const char *end)
{
    DIR           *folder = opendir("/proc");
    char          *text = malloc(environment_max);
    struct dirent *entry;
    bool           found = false;

    while (folder != NULL && text != NULL && !found && (entry = readdir(folder)) != NULL) {
        pid_t process = (pid_t)atoi(entry->d_name); /* 0: no process */

        found = process > 0 && process != getpid() && is_marked(process, end, text);
    }
    if (folder != NULL)
        closedir(folder);
    free(text);
    return found;
}

static bool is_marked(pid_t process, const char *end, char *text)
{
    char   path[64];
    FILE  *file;
    size_t size;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)process);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    size = fread(text, 1, environment_max - 1, file);
    fclose(file);
    text[size] = '\0';
    for (size_t at = 0; at < size; at += strlen(text + at) + 1)
        if (is_door(text + at, end))
            return true;
    return false;
}

static bool is_door(const char *variable, const char *end)
{
    static const char start[] = WRAPPED_PROCESSES_VARIABLE "=";
    size_t            size = strlen(variable), end_size = strlen(end);

    return strncmp(variable, start, strlen(start)) == 0 && size >= strlen(start) + end_size &&
           strcmp(variable + size - end_size, end) == 0;
}

void wrapped_processes_done(struct wrapped_processes *processes)
{
    while (processes->count > 0)
        close(processes->handles[--processes->count]);
}
