/* hook_door - the unix socket at which start-up hooks ask
 *
 * One line in, one line out, then the connection is closed. Only processes of our own user are
 * heard, whatever the mode of the socket's file. An answer may come later; who leaves meanwhile is
 * forgotten.
 *
 * Thread: event loop only. Memory: a line of at most HOOK_REQUEST_LINE_MAX for each visitor, of
 * whom there are HOOK_DOOR_VISITORS_MAX at most; more wait in the backlog of the socket.
 */
#ifndef CHILD_HOOK_DOOR_H
#define CHILD_HOOK_DOOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "child/hook_request.h"
#include "io/loop.h"

/* Its name in the private folder of a run. */
#define HOOK_DOOR_NAME "hook.sock"

enum { HOOK_DOOR_VISITORS_MAX = 256 };

struct hook_door;    /* opaque */
struct hook_visitor; /* opaque: one who waits for an answer */

/* A whole request has come; it is borrowed. `process` is who asks, as the kernel says. Each visitor
 * is answered once, here or later, unless on_gone is told first. */
struct hook_door_events {
    void (*on_request)(struct hook_visitor *visitor, const struct hook_request *request,
                       pid_t process, void *ctx);
    /* `visitor` has gone away and must not be answered. */
    void (*on_gone)(struct hook_visitor *visitor, void *ctx);
};

/* Listen at `path`. `events` is borrowed.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY  `error` says why. */
MUST_CHECK enum status hook_door_new(struct loop *loop, const char *path,
                                     const struct hook_door_events *events, void *ctx,
                                     struct hook_door **ret_door, struct error *error);

/* Close everything; on_gone is not told. NULL is a no-op. */
void hook_door_free(struct hook_door *door);

/* Send `answer` (borrowed, one line) and close. The visitor is gone then. */
void hook_door_answer(struct hook_visitor *visitor, struct bytes answer);

#endif
