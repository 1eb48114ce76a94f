/* process_memory - how much memory the processes of a group take for themselves
 *
 * What cannot be dropped and read again from a file: private and shared memory without one, in
 * memory or swapped out. It is what brings the kernel to kill. Reads /proc, which may take
 * milliseconds: never on the loop. Thread: any.
 */
#ifndef CHILD_PROCESS_MEMORY_H
#define CHILD_PROCESS_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

/* Bytes, 0 when there is no such group. */
uint64_t process_memory_read(pid_t group);

#endif
