/* filter - `where` and `where_document`, as Chroma 1.5.9 understands them
 *
 * Read once from the JSON of a request, then asked for any number of records. What records match is
 * what a single node's SQLite says, oddities included; doc/mirror-filters.md lists them, each as
 * measured. What this does not know for certain it does not answer: regular expressions (Chroma's
 * syntax is Rust's), keys that are Chroma's own, texts and numbers of operands where its limits may
 * be near. The schema of the collection must be the default one, which lets every key be filtered.
 *
 * Thread: any; a filter is not changed once it is made. Memory: 40 bytes for each condition, 16 for
 * each operand, and the size of the JSON; bounded (filter_program.h).
 */
#ifndef MIRROR_FILTER_H
#define MIRROR_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_metadata.h"

/* What filters ask of a record. */
struct filter_subject {
    const struct mirror_metadata *metadata; /* NULL: it has none */
    struct bytes                  document;
    bool                          has_document; /* it may be empty */
};

struct filter;

/* Read a filter. Each of the two may have no data, or be null: then there is none, and all records
 * match. Both are borrowed for the call; they are spans of a body that is valid JSON.
 *
 * STATUS_OK               *ret_filter is given.
 * STATUS_INVALID          Chroma refuses it, with 400, InvalidArgumentError and the message that
 *                         *ret_reason holds.
 * STATUS_NOT_IMPLEMENTED  Chroma must be asked, whether it takes the filter or not; *ret_reason
 *                         says why.
 * STATUS_NO_MEMORY
 * Reasons are static storage. */
MUST_CHECK enum status filter_new(struct bytes where, struct bytes where_document,
                                  struct filter **ret_filter, const char **ret_reason);

void filter_free(struct filter *filter);

/* Does the record match? */
bool filter_matches(const struct filter *filter, const struct filter_subject *subject);

#endif
