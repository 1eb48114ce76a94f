/* daemon_child - Chroma as a child of this program: started, watched, started again, ended
 *
 * Requests wait for their turns, within their deadlines, from the beginning and whenever Chroma
 * does not run; health checks rest meanwhile. Before a start nobody else may have the directory
 * open: one who is there is named and ends the attempt, but what an earlier run left behind is
 * waited for. The directory is locked from then on; one who holds that lock is about to be there.
 * Ready is when the listening socket is Chroma's own and a heartbeat was answered. Then, once a
 * second, or less often where that takes long, a worker looks for others at its port and its
 * directory: while there are none, every write to this Chroma comes through here.
 *
 * Private to app/. Thread: the loop's, which must be the process's first.
 */
#ifndef APP_DAEMON_CHILD_H
#define APP_DAEMON_CHILD_H

#include "app/daemon_state.h"
#include "base/byte_buffer.h"

struct daemon_child; /* opaque */

struct daemon_child_events {
    /* It answers; also after each restart. */
    void (*on_ready)(void *ctx);

    /* It cannot be started, and nothing more is tried. `reason` is borrowed. */
    void (*on_failed)(const char *reason, void *ctx);

    /* It has ended after daemon_child_stop(). */
    void (*on_stopped)(void *ctx);
};

/* Hold requests and health checks back. NULL when out of memory; `events` is borrowed. */
struct daemon_child *daemon_child_new(struct daemon                    *daemon,
                                      const struct daemon_child_events *events, void *ctx);

/* The worker pool must be gone. NULL is a no-op; a running Chroma gets INT when this process
 * ends. */
void daemon_child_free(struct daemon_child *child);

/* What to run, at `port` of the loopback address, on `directory` ("": not known). The words, NULL
 * at the end, and the variables ("NAME=value", NULL at the end; NULL: none) are borrowed as long as
 * `child` lives. */
struct daemon_child_command {
    const char *const *arguments;
    const char *const *variables;
    const char        *without; /* variables of ours that begin so are left out */
    const char        *directory;
    uint16_t           port;
};

/* Start it, and keep it running. Once. */
void daemon_child_begin(struct daemon_child *child, const struct daemon_child_command *command);

/* End it, which is ready, between requests, and start it anew: its directory was replaced, and is
 * locked anew. on_ready or on_failed tells. */
void daemon_child_renew(struct daemon_child *child);

/* End it: INT now, KILL at `kill_at_us`; on_stopped tells. */
void daemon_child_stop(struct daemon_child *child, uint64_t kill_at_us);

/* Was it not started because another process has the directory open? */
bool daemon_child_found_user(const struct daemon_child *child);

/* Has it been ready once? */
bool daemon_child_was_ready(const struct daemon_child *child);

/* Are collections of exec.warm being touched? */
bool daemon_child_is_warming(const struct daemon_child *child);

/* It was ended by daemon_child_stop(), having been ready, without being killed; nobody else was
 * ever seen to use it, and its directory is still locked by us. Then, when the workers are gone:
 * keep the copies. */
void daemon_child_keep_copies(struct daemon_child *child);

/* More may be known of which Chroma it is. */
void daemon_child_on_backend(struct daemon_child *child);

/* The health check's state has changed. */
void daemon_child_on_health(struct daemon_child *child);

/* Append its metrics. Outcomes as metric_print(). */
MUST_CHECK enum status daemon_child_print_metrics(const struct daemon_child *child,
                                                  struct byte_buffer        *out);

#endif
