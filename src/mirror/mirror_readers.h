/* mirror_readers - a pool of readers of a copy's records: as many as read at once, and no more than
 * some
 *
 * Thread: any; who takes one while no writer is at work may have to wait until another is given
 * back. Memory: that of the readers, which are kept.
 */
#ifndef MIRROR_MIRROR_READERS_H
#define MIRROR_MIRROR_READERS_H

#include "base/compiler.h"
#include "base/status.h"
#include "mirror/mirror_records.h"

enum { MIRROR_READERS_MAX = 16 };

struct mirror_readers;

/* `records` is borrowed until mirror_readers_free(). NULL: no memory. */
struct mirror_readers *mirror_readers_new(struct mirror_records *records);

/* All were given back. NULL is fine. */
void mirror_readers_free(struct mirror_readers *readers);

/* *ret_reader is yours until mirror_readers_give(). Outcomes as mirror_reader_new(). */
MUST_CHECK enum status mirror_readers_take(struct mirror_readers *readers,
                                           struct mirror_reader **ret_reader);
void mirror_readers_give(struct mirror_readers *readers, struct mirror_reader *reader);

#endif
