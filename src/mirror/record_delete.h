/* record_delete - what a delete that Chroma has answered with 2xx takes away
 *
 * Of ids, by filter, or of those of the ids that match a filter. Chroma reads first and then
 * deletes by id, so this is exact only if no other write was on its way; its count tells.
 *
 * Thread: one at a time. Memory: that of the filter.
 */
#ifndef MIRROR_RECORD_DELETE_H
#define MIRROR_RECORD_DELETE_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "mirror/record_set.h"

/* Apply the body of a delete, of which nothing is kept. *ret_count is the number that Chroma
 * answers: without a filter each of the ids counts, there or not, with one the records that match;
 * a limit takes the first of these.
 *
 * STATUS_NOT_IMPLEMENTED  it cannot be read exactly, or Chroma would refuse it; *ret_reason says
 *                         why, static storage. Nothing changed.
 * STATUS_NO_MEMORY        likewise, but there is no reason */
MUST_CHECK enum status record_delete_apply(struct record_set *set, struct bytes body,
                                           size_t *ret_count, const char **ret_reason);

#endif
