/* oom_counter - how often the kernel has killed processes of our cgroup for their memory
 *
 * A KILL that comes with a step of this counter was the kernel's. Read before a process is started
 * and after its death. Some system calls; reads files of the kernel only.
 */
#ifndef CHILD_OOM_COUNTER_H
#define CHILD_OOM_COUNTER_H

#include <stdint.h>

/* `root` is put before /proc and /sys: "" for the real ones. 0 where it cannot be known. */
uint64_t oom_counter_read(const char *root);

#endif
