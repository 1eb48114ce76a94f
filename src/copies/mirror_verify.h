/* mirror_verify - is what a complete copy answers what Chroma answers? for `ctl mirror verify`
 *
 * All records, a page at a time in their order with everything that they have, asked of Chroma
 * behind all that waits for it, and of the copy. Only if no write was under way from the sending of
 * the question until the copy has answered do the two have to say the same (same_answer.h); else
 * the page is asked once more. If they do not, that is logged and the copy is made anew.
 *
 * One collection at a time. Thread: event loop, and a worker that compares.
 * Memory: a page with its two answers, charged to MEMORY_ACCOUNT_MIRROR.
 */
#ifndef COPIES_MIRROR_VERIFY_H
#define COPIES_MIRROR_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/error.h"

struct mirror_keeper;
struct mirror_verify;

enum mirror_verify_state {
    MIRROR_VERIFY_NONE,
    MIRROR_VERIFY_RUNNING,
    MIRROR_VERIFY_SAME,
    MIRROR_VERIFY_DIFFERENT,
    MIRROR_VERIFY_ENDED /* before its end: see its reason */
};

/* The last one. */
struct mirror_verify_info {
    enum mirror_verify_state state;
    uint8_t                  uuid[16];
    uint64_t                 records; /* that were compared, up to the end of a page that differs */
    uint64_t                 again;   /* pages that were asked once more, for a write came */
    const char              *reason;  /* static storage; "" */
};

/* "running". Static storage. */
const char *mirror_verify_state_name(enum mirror_verify_state state);

/* `keeper` is borrowed. NULL: no memory. */
struct mirror_verify *mirror_verify_new(struct mirror_keeper *keeper);

/* What is under way is given up; the workers have ended. NULL is a no-op. */
void mirror_verify_free(struct mirror_verify *verify);

/* STATUS_NOT_FOUND      there is no copy of this collection.
 * STATUS_AGAIN          another is being verified. `error` says so. */
MUST_CHECK enum status mirror_verify_begin(struct mirror_verify *verify, const uint8_t uuid[16],
                                           struct error *error);

/* All is NONE for NULL. */
struct mirror_verify_info mirror_verify_tell(const struct mirror_verify *verify);

#endif
