/* guard_look - may this write be sent, or would it take too much from what is guarded?
 *
 * Asked when it is the write's turn, in its place among those of its collection, so that what came
 * before it is applied and counted, and nothing overtakes it. Where the write itself does not tell,
 * Chroma is asked on behalf of its client: for the collection's name, where the collection table
 * does not know it or others may have changed it (role sidecar), and how many records a filter
 * finds (chroma_removal.h). What cannot be found out counts as guarded, and as too much.
 *
 *   delete, conditional commit   more than guard.records_max records would go
 *   a change of a collection     its new name would not be guarded
 *   an unknown route             always
 *
 * A question that Chroma cannot be asked is put off as the write would be.
 *
 * Thread: event loop only, but for guard_look_scan(). Memory: some 10 KiB for
 * each of these writes, and Chroma's answers, which are charged.
 */
#ifndef LANES_GUARD_LOOK_H
#define LANES_GUARD_LOOK_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"

struct turn;
struct write;

enum guard_look_answer {
    GUARD_LOOK_PASSES,
    GUARD_LOOK_REFUSED, /* its client was told */
    GUARD_LOOK_AGAIN,   /* Chroma could not be asked: nothing was sent, try later */
    GUARD_LOOK_ASKS
};

/* From the loop. It may free the write. */
typedef void guard_look_fn(struct write *write, enum guard_look_answer answer, void *ctx);

/* This write, to the collection of the UUID in its path, is to be looked at; `confirm` (copied) is
 * what the request says. It is freed with the write. False: out of memory. */
MUST_CHECK bool guard_look_new(struct write *write, struct bytes confirm);

/* Read the body. On any thread, if nobody else touches the write meanwhile. */
void guard_look_scan(struct write *write);

/* It is about to be sent. PASSES or AGAIN at once, or ASKS: then `fn` is called, with one of the
 * other three. The granted `turn` is taken if Chroma is asked; NULL: it waits for one. */
enum guard_look_answer guard_look(struct write *write, struct turn *turn, guard_look_fn *fn,
                                  void *ctx);

/* Will `fn` be called? */
bool guard_look_is_asking(const struct write *write);

#endif
