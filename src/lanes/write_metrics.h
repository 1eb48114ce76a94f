/* write_metrics - the coalescer's numbers in the Prometheus text format */
#ifndef LANES_WRITE_METRICS_H
#define LANES_WRITE_METRICS_H

#include "base/byte_buffer.h"
#include "base/compiler.h"
#include "writes/coalescer.h"

/* `deletes_lost`: deletes by a filter that were lost with a Chroma of our own.
 * STATUS_NO_MEMORY, STATUS_LIMIT_REACHED  `out` holds a part. */
MUST_CHECK enum status write_metrics_print(const struct coalescer_stats *stats,
                                           uint64_t deletes_lost, uint64_t now_us,
                                           struct byte_buffer *out);

#endif
