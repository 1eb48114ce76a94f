/* collection_schema - may every metadata key and the documents of this collection be filtered by?
 *
 * By default they may. A schema of the user's can switch that off for single keys or types, and
 * Chroma then refuses such a filter; it can also have indexes that queries do not come to.
 *
 * Thread: any. Memory: none.
 */
#ifndef CHROMA_COLLECTION_SCHEMA_H
#define CHROMA_COLLECTION_SCHEMA_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* `body` describes the collection: the answer to getting or creating it. False also for what is not
 * understood. Without a schema they may. */
MUST_CHECK bool collection_schema_is_default(struct bytes body);

#endif
