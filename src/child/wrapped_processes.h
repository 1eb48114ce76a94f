/* wrapped_processes - does anything of the application that `wrap` has started still run?
 *
 * A process belongs to it that has our variable in its environment, as the children of the first
 * one inherit it: also those that have daemonised, whose parents are gone. And one that has asked
 * at our door, whatever it has made of its environment since.
 *
 * Reads /proc, which takes milliseconds: never on the loop, but for wrapped_processes_add().
 */
#ifndef CHILD_WRAPPED_PROCESSES_H
#define CHILD_WRAPPED_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

/* The variable: the path of our door. */
#define WRAPPED_PROCESSES_VARIABLE "CHROMABOUNCER_WRAP"

/* Processes that have asked, at most; more than that are known by their environment only. */
enum { WRAPPED_PROCESSES_MAX = 256 };

/* Zero-initialised is empty. */
struct wrapped_processes {
    int    handles[WRAPPED_PROCESSES_MAX]; /* pidfds: numbers of processes are used again */
    pid_t  ids[WRAPPED_PROCESSES_MAX];
    size_t count;
};

/* Remember one that has asked; twice is once. Those that are gone make room. */
void wrapped_processes_add(struct wrapped_processes *processes, pid_t id);

/* Does one of them still run? Those that are gone are forgotten. */
bool wrapped_processes_is_any_known_alive(struct wrapped_processes *processes);

/* Is there another process whose door's path ends with `end`? */
bool wrapped_processes_is_any_marked(const char *end);

void wrapped_processes_done(struct wrapped_processes *processes);

#endif
