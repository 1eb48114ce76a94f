/* machine - what this process may use of the machine it runs on
 *
 * The limits of its cgroup (v1 or v2) and of every cgroup above it count, not what the whole
 * machine has: in a container the two differ, and the lower one decides who is killed.
 */
#ifndef IO_MACHINE_H
#define IO_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

struct machine {
    uint64_t memory_bytes;    /* the cgroup's limit, else the machine's memory; at least 1 */
    bool     memory_limited;  /* by a cgroup */
    uint32_t cpus;            /* usable ones, rounded up; at least 1 */
    uint64_t descriptors_max; /* the hard limit of open descriptors; UINT64_MAX: none */
};

/* Look. `root` is put before /proc and /sys: "" for the real ones. Never fails: what cannot be
 * read does not limit. */
void machine_read(const char *root, struct machine *ret);

/* There are secrets in memory: from now on this process leaves no core, and other processes of its
 * user cannot look into it. Programs that it starts are as ever. */
void machine_hide_memory(void);

#endif
