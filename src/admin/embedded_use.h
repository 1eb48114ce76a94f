/* embedded_use - processes that open a Chroma directory themselves, though a server could serve
 * them
 *
 * Pure: time is an argument. Bound: EMBEDDED_USE_MAX directories, of which the one that nobody was
 * noted for longest makes room, and of each EMBEDDED_USE_PROCESSES_MAX processes; 6 KiB.
 */
#ifndef ADMIN_EMBEDDED_USE_H
#define ADMIN_EMBEDDED_USE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
    EMBEDDED_USE_MAX = 16,
    EMBEDDED_USE_PROCESSES_MAX = 32,
    EMBEDDED_USE_PATH_SIZE = 256 /* longer ones are cut */
};

enum embedded_use_why {
    EMBEDDED_USE_OTHER,  /* under `wrap`: it is not the directory that is served */
    EMBEDDED_USE_STAYED, /* under `wrap`: it could not be served */
    EMBEDDED_USE_BESIDE  /* it is open in a Chroma that we run, too */
};

struct embedded_use_entry {
    char                  directory[EMBEDDED_USE_PATH_SIZE]; /* in quotes; "": free */
    enum embedded_use_why why;                               /* of the last */
    uint64_t              last_us;
    long                  processes[EMBEDDED_USE_PROCESSES_MAX];
    size_t                process_count; /* at the bound: there may be more */
};

/* Zero-initialised is empty. */
struct embedded_use {
    struct embedded_use_entry entries[EMBEDDED_USE_MAX];
};

/* Process `process` has opened `directory`. Noted twice it counts once. */
void embedded_use_note(struct embedded_use *use, struct bytes directory, enum embedded_use_why why,
                       long process, uint64_t now_us);

/* Processes of all directories. */
uint64_t embedded_use_processes(const struct embedded_use *use);

/* How it is known, for people. */
void embedded_use_say(const struct embedded_use_entry *entry, char *evidence, size_t size);

#endif
