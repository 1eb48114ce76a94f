/* metadata_merge - what an update makes of the metadata of a record */
#ifndef MIRROR_METADATA_MERGE_H
#define MIRROR_METADATA_MERGE_H

#include <stdbool.h>

#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_metadata.h"

/* What `old` (NULL: nothing) becomes by `change`: its fields take the place of those under the same
 * keys, a null takes one away, the rest stays. *ret_metadata holds copies, and is given; NULL if no
 * field is left.
 * STATUS_NO_MEMORY */
MUST_CHECK enum status metadata_merge(const struct mirror_metadata *old,
                                      const struct mirror_metadata *change,
                                      struct mirror_metadata      **ret_metadata);

/* Have they the same fields with the same values? 0 and -0 are the same. NULL has none. */
bool metadata_merge_equal(const struct mirror_metadata *left, const struct mirror_metadata *right);

#endif
