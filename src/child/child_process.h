/* child_process - one process that is started for us and lives no longer than we do
 *
 * It stands in a process group of its own, so that ^C on the terminal reaches it last, and gets INT
 * from the kernel when this process dies however it dies. Standard input is empty; its two outputs
 * come back line by line. What it leaves behind (its own children) becomes ours by adoption, is
 * killed with it, and is reaped, as is every other orphan when we are process 1.
 *
 * Thread: the one that runs the loop, which must be the process's first: the kernel's signal
 * follows the thread that forked. One child_process per program, as it owns SIGCHLD.
 * Memory: a line buffer for each output, and the last lines.
 */
#ifndef CHILD_CHILD_PROCESS_H
#define CHILD_CHILD_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "io/loop.h"

struct child_process; /* opaque */

enum {
    CHILD_PROCESS_LINE_MAX = 1000,  /* a longer line comes in pieces */
    CHILD_PROCESS_LAST_SIZE = 1001, /* of the last lines, with the NUL */
};

/* In the environment of every child: our process id. */
#define CHILD_PROCESS_VARIABLE "CHROMABOUNCER_CHILD_OF"

struct child_process_events {
    /* A line without its end and without colours, on standard output or, `is_error`, standard
     * error. */
    void (*on_line)(struct bytes line, bool is_error, void *ctx);

    /* It is gone, its group is killed, all of its output was told. `wait_status` as from wait(2).
     * Another one may be started from here. */
    void (*on_exit)(int wait_status, void *ctx);
};

/* Take SIGCHLD over and become the reaper of orphans. NULL when the system refuses. `events` is
 * borrowed. */
struct child_process *child_process_new(struct loop                       *loop,
                                        const struct child_process_events *events, void *ctx);

/* The process, if there is one, is left running (it is told by our own death). NULL is a no-op. */
void child_process_free(struct child_process *process);

/* Run `arguments` (NULL at the end; the program is looked up in PATH unless it has a slash), with
 * our environment and the `extra` variables ("NAME=value", NULL at the end; NULL: none) but those
 * that begin with `without` (NULL: all). Waits until the program has taken over, some
 * milliseconds. None may be running.
 * STATUS_NOT_FOUND, STATUS_NOT_PERMITTED, STATUS_IO_FAILED, STATUS_NO_MEMORY  `error` says why. */
MUST_CHECK enum status child_process_start(struct child_process *process,
                                           const char *const *arguments, const char *const *extra,
                                           const char *without, struct error *error);

/* 0: none runs. It leads a group of the same number. */
pid_t child_process_id(const struct child_process *process);

/* Send a signal to the whole group. No-op when none runs. */
void child_process_signal(struct child_process *process, int signal_number);

/* The last lines that the process, running or gone, has written, with " | " between them: whole
 * lines as many as fit into `size` bytes, or the end of the last one. Lines without any letter or
 * digit are pictures and left out. Borrowed until the next one is written. */
const char *child_process_last_lines(const struct child_process *process, size_t size);

#endif
