/* write_permit - may a write that has waited still be sent?
 *
 * Who knows puts its permit into the write when that is made (proxy/auth_permit.h). It is asked
 * whenever the write is about to be sent, until a byte of it was: what was sent goes on.
 *
 * Thread: event loop only.
 */
#ifndef LANES_WRITE_PERMIT_H
#define LANES_WRITE_PERMIT_H

#include "lanes/write.h"
#include "writes/coalescer.h"

/* May the write be sent now? One that was refused stays so. */
enum write_permission write_permit_ask(struct write *write);

/* May all members of the batch? NULL: yes. Else what is to be reported of it, as it is not sent:
 * that it is tried again, taken apart, or over. */
const struct coalescer_outcome *write_permit_ask_batch(const struct coalescer_batch *batch);

/* A byte of each may have gone to Chroma: nobody is asked any more. */
void write_permit_note_sent(const struct coalescer_batch *batch);

#endif
