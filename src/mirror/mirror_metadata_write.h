/* mirror_metadata_write - metadata and texts as JSON, as Chroma writes them
 *
 * serde_json's way: no white space, floats with as few digits as mean no other, always with a dot
 * or an exponent, only what must be is escaped. Keys are in their order here; Chroma has none.
 */
#ifndef MIRROR_MIRROR_METADATA_WRITE_H
#define MIRROR_MIRROR_METADATA_WRITE_H

#include "base/byte_buffer.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_metadata.h"

/* Append the object. STATUS_NO_MEMORY. */
MUST_CHECK enum status mirror_metadata_write(const struct mirror_metadata *metadata,
                                             struct byte_buffer           *buffer);

/* Append a string, which is UTF-8, with its quotes. STATUS_NO_MEMORY. */
MUST_CHECK enum status mirror_metadata_write_string(struct bytes text, struct byte_buffer *buffer);

#endif
