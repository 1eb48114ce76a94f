/* mapping_guard - who reads a mapped file does not die of it
 *
 * Where a mapped file was cut short, or a block of it cannot be read, the system sends SIGBUS to
 * who reads there. A mapping that is guarded then becomes zeros as a whole, and says so; whoever
 * has read from it must look at that before he believes what he has read. Any other SIGBUS ends the
 * process, as without this.
 *
 * Thread: any, but one that reads must not block SIGBUS: the system ends the process then.
 * Memory: 384 KiB of addresses, of which only what is used takes memory.
 */
#ifndef IO_MAPPING_GUARD_H
#define IO_MAPPING_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/status.h"

enum { MAPPING_GUARD_MAX = 16384 };

/* Guard what file_map() gave, until mapping_guard_remove(). *is_damaged (borrowed until then)
 * becomes true with the first read that fails.
 * STATUS_LIMIT_REACHED  MAPPING_GUARD_MAX are guarded.
 * STATUS_IO_FAILED      the system takes no handler. */
MUST_CHECK enum status mapping_guard_add(const void *base, size_t size, atomic_bool *is_damaged);

/* Before it is unmapped. One that is not guarded is fine. */
void mapping_guard_remove(const void *base);

#endif
