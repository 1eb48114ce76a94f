/* control_server - the control socket: one line asked, one JSON object answered
 *
 * A client connects to the unix socket, sends `VERB [WORD]...` and a newline, and gets a JSON
 * object on one line; then the connection ends. Only the user of this process, and root, may ask:
 * the file has mode 0600, and the peer's uid is looked at, too. What the words mean is the
 * application's. A line whose sender has closed the connection by the time it is read is not
 * answered: who gave up must not be surprised later. Closing the sending side alone is no giving
 * up.
 *
 * Bounds: CONTROL_SERVER_CLIENTS_MAX connections (one more is closed at once), a line of
 * CONTROL_SERVER_LINE_MAX bytes, CONTROL_SERVER_SECONDS from the connection to the last byte of
 * the answer.
 *
 * Thread: event loop only.
 */
#ifndef ADMIN_CONTROL_SERVER_H
#define ADMIN_CONTROL_SERVER_H

#include <jansson.h>

#include "base/compiler.h"
#include "base/error.h"
#include "base/memory_account.h"
#include "io/loop.h"

struct control_server; /* opaque */

enum {
    CONTROL_SERVER_CLIENTS_MAX = 16,
    CONTROL_SERVER_LINE_MAX = 4096,
    CONTROL_SERVER_WORDS_MAX = 8, /* the verb among them */
    CONTROL_SERVER_SECONDS = 10,
};

/* Answer `words` (borrowed, the verb first, at least one) into `answer`, an empty object. Returns
 * 0, or the exit status (sysexits.h) for the command that asks: `error` says what went wrong, and
 * the client gets {"error":TEXT,"exit":STATUS}. */
typedef int control_server_fn(void *ctx, size_t word_count, const char *const *words,
                              json_t *answer, struct error *error);

/* Listen at `path`; a file of a process that is gone is replaced. All is borrowed but `path`.
 * STATUS_IO_FAILED, STATUS_NOT_PERMITTED, STATUS_NO_MEMORY  `error` says why. */
MUST_CHECK enum status control_server_new(struct loop *loop, struct memory_account *account,
                                          const char *path, control_server_fn *answer, void *ctx,
                                          struct control_server **ret, struct error *error);

/* Close everything and remove the file. NULL is a no-op. */
void control_server_free(struct control_server *server);

/* Does a peer with this uid get answers from a process of `own_uid`? */
bool control_server_may_ask(unsigned own_uid, unsigned peer_uid);

#endif
