/* mirror_names - the names of collections with a complete copy, for when Chroma cannot be asked
 *
 * While Chroma is down nothing is renamed, and renamings of unknown outcome make a copy forget its
 * name. So what a complete copy was called still holds; what the collection_table knows does not
 * outlive the Chroma that said it.
 *
 * Thread: event loop only. Memory: none.
 */
#ifndef COPIES_MIRROR_NAMES_H
#define COPIES_MIRROR_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/compiler.h"
#include "chroma/chroma_route.h"
#include "chroma/collection_facts.h"

struct mirror_keeper;

/* Of the collection `uuid`; borrowed until the keeper changes. False: it has no complete copy, or
 * Chroma said that it is in another place than the path by which it was read. NULL has none. */
MUST_CHECK bool mirror_names_of(const struct mirror_keeper *keeper, const uint8_t uuid[16],
                                struct scope *ret_scope, struct bytes *ret_name);

/* Which collection, copied or wanted, had this TENANT/DATABASE/NAME, or NAME in the default
 * database, when that was known last? False: none, or more than one. NULL has none. */
MUST_CHECK bool mirror_names_find(const struct mirror_keeper *keeper, struct bytes text,
                                  uint8_t ret_uuid[16]);

/* Was its complete copy read by this path? Without credentials, as all copies are. */
MUST_CHECK bool mirror_names_was_read(const struct mirror_keeper *keeper,
                                      const struct chroma_route  *route);

#endif
