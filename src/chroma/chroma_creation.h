/* chroma_creation - the body of a request that creates a collection, beside what is there
 *
 * Thread: any. Memory: two trees, for the call.
 */
#ifndef CHROMA_CHROMA_CREATION_H
#define CHROMA_CHROMA_CREATION_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/compiler.h"

/* The name that `body` asks for; *ret_name points into it. False: it cannot be told, or the body is
 * larger than some ten kilobytes. */
MUST_CHECK bool chroma_creation_name(struct bytes body, struct bytes *ret_name);

/* Is `description`, Chroma's, that of the collection which `body` asks for, just created? Name and
 * metadata are the same; whatever configuration and schema are asked for is in it, numbers by their
 * values; and no record has fixed its dimension yet. */
MUST_CHECK bool chroma_creation_is_of(struct bytes body, struct bytes description);

#endif
