/* chroma_repeat - does a write, sent twice in a row, do and answer what it does once?
 *
 * For a Chroma that has certainly ended under a write: then nothing of it is alive, and what is
 * harmless to repeat is sent again.
 *
 * Thread: any. Memory: a tree of the body, for the call.
 */
#ifndef CHROMA_CHROMA_REPEAT_H
#define CHROMA_CHROMA_REPEAT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "chroma/chroma_route.h"

/* True for add, upsert, update, changes by PUT, get_or_create, and a delete of ids alone (its
 * answer counts the ids that were asked for, measured on 1.5.9). False for everything else, and
 * where the body does not say or is larger than some ten kilobytes. */
bool chroma_repeat_is_harmless(enum chroma_operation operation, struct bytes body);

#endif
