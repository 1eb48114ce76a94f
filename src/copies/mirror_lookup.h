/* mirror_lookup - which collection has this name? asked of Chroma, for `ctl mirror fill`
 *
 * One name at a time, as the keeper's other questions without credentials. What Chroma says is
 * learned by the collection_table, where the caller then finds it.
 *
 * Thread: event loop only. Memory: the name and an answer, up to a bound.
 */
#ifndef COPIES_MIRROR_LOOKUP_H
#define COPIES_MIRROR_LOOKUP_H

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/error.h"
#include "base/status.h"
#include "chroma/collection_facts.h"

struct mirror_keeper;
struct mirror_lookup;

/* `keeper` is borrowed. NULL: no memory. */
struct mirror_lookup *mirror_lookup_new(struct mirror_keeper *keeper);

/* What is under way is given up. NULL is a no-op. */
void mirror_lookup_free(struct mirror_lookup *lookup);

/* Call it again until it is over; each outcome but the first is told once, then the name is asked
 * for anew.
 * STATUS_AGAIN            it is being asked for, or another name is, or the proxy is paused.
 * STATUS_OK               Chroma has it.
 * STATUS_NOT_FOUND        Chroma has not.
 * STATUS_NOT_IMPLEMENTED  Chroma did not say. `error` says what, here and above.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status mirror_lookup_ask(struct mirror_lookup *lookup, struct scope scope,
                                         struct bytes name, struct error *error);

#endif
