/* descriptor_count - how many descriptors this process has open, without a walk on the loop
 *
 * Since Linux 6.2 the size of /proc/self/fd says so. Where it does not, a worker walks over the
 * folder, which takes milliseconds when there are thousands, and the answer is the last walk's.
 *
 * Thread: event loop only.
 */
#ifndef IO_DESCRIPTOR_COUNT_H
#define IO_DESCRIPTOR_COUNT_H

#include <stdint.h>

#include "io/worker_pool.h"

struct descriptor_count; /* opaque */

/* `folder` is /proc/self/fd or, in tests, what is to be counted in its place; it is walked over
 * once now. Both are borrowed. NULL when out of memory. */
struct descriptor_count *descriptor_count_new(struct worker_pool *workers, const char *folder);

/* After the workers: one may be walking. NULL is a no-op. */
void descriptor_count_free(struct descriptor_count *count);

/* As many as there are, or as there were when this was asked before. */
uint64_t descriptor_count_get(struct descriptor_count *count);

#endif
