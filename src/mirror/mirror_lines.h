/* mirror_lines - the records of a whole copy as JSON lines
 *
 * A line is {"id":..., "embedding":[...], "document":..., "metadata":{...}, "uri":...} and a
 * newline; what a record has not is null. Numbers and texts stand as Chroma's answer to a `get` has
 * them.
 *
 * Thread: as mirror_copy_answer(). Memory: that of one record.
 */
#ifndef MIRROR_MIRROR_LINES_H
#define MIRROR_MIRROR_LINES_H

#include <stdint.h>

#include "mirror/mirror_copy.h"

/* `line` is borrowed for the call. */
typedef enum status mirror_line_fn(void *ctx, struct bytes line);

/* Give each record to `fn`, in order, all as they are at one moment: changes wait meanwhile. What
 * `fn` returns but STATUS_OK ends it.
 * STATUS_NOT_IMPLEMENTED  the copy is not whole.
 * STATUS_NO_MEMORY, STATUS_IO_FAILED, STATUS_CORRUPT */
MUST_CHECK enum status mirror_lines_write(struct mirror_copy *copy, mirror_line_fn *fn, void *ctx,
                                          uint64_t *ret_records);

#endif
