/* write_settle - what became of a creation or a deletion under which our own Chroma died
 *
 * Sent twice these answer otherwise than once, so they are settled by looking, when the next Chroma
 * runs: a collection to be created is asked for by its name; where it does not exist the creation
 * is sent again, and where it does, as asked for and without records, its description is the
 * answer. A deletion is sent again, which is the look: 404 says that the first one was applied.
 *
 * That is only right if nobody else can have done it in between: every write comes through us, and
 * no other one that may have created, deleted or renamed this collection was with us at the same
 * time, which makes both contested. And only where `not there` is known to be 404: Rust.
 *
 * Thread: event loop only.
 */
#ifndef LANES_WRITE_SETTLE_H
#define LANES_WRITE_SETTLE_H

#include <stdbool.h>

#include "lanes/write.h"

enum write_settled {
    WRITE_SETTLED_DONE,   /* it was applied, and this is the answer */
    WRITE_SETTLED_ABSENT, /* it was not */
    WRITE_SETTLED_UNKNOWN,
    WRITE_SETTLED_AGAIN /* Chroma could not be asked */
};

/* From the loop. `head` and `body`, of DONE, are borrowed for the call. */
typedef void (*write_settle_fn)(struct write *write, enum write_settled settled,
                                const struct http_head *head, struct bytes body);

/* `write`, which is in proxy->writes, is submitted: whom does it contest? */
void write_settle_enter(struct write *write);

/* May it be settled, as far as is known now? False for what is harmless to repeat, too. */
bool write_settle_may(const struct write *write);

/* Ask for the collection that `write` was to create; write->look is there until it is over.
 * False: out of memory. */
MUST_CHECK bool write_settle_look(struct write *write, write_settle_fn on_settled);

/* Do not tell. No-op when nobody looks. */
void write_settle_cancel(struct write *write);

/* Was it lost, and says `status` now that it had been applied? Of a deletion. */
bool write_settle_is_deleted(const struct write *write, int status);

#endif
