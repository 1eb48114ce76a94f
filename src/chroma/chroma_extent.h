/* chroma_extent - how much does this read ask for?
 *
 * Reads as much of the body of a get or a query as it takes to tell whether a get asks for
 * everything, or how many results a query wants. Nothing is checked beyond that, and nothing
 * depends on it but what is counted: chroma_query.h is for those who must be sure.
 *
 * Thread: any; up to 0.25 ms for a MiB of vectors, as json_scan.h says. Memory: none.
 */
#ifndef CHROMA_CHROMA_EXTENT_H
#define CHROMA_CHROMA_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "chroma/chroma_route.h"

struct chroma_extent {
    bool     is_unfiltered; /* of a get: no ids, no filter, no limit */
    uint64_t n_results;     /* of a query; the default if it is not there */
};

/* STATUS_OK       *ret_extent is filled.
 * STATUS_INVALID  it is no JSON object, as far as it was read, a number of results that is none, or
 *                 `operation` is neither GET nor QUERY. */
MUST_CHECK enum status chroma_extent_read(enum chroma_operation operation, struct bytes body,
                                          struct chroma_extent *ret_extent);

#endif
