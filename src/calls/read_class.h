/* read_class - of what cost a read is, at a glance
 *
 * Reads of one class take about the same time of one Chroma, so that a slow answer is known as slow
 * (concurrency_limit.h). For that it need not be exact, but cheap: a body is looked at for 512
 * bytes at its beginning and its end, where clients write all but vectors and ids. What stands
 * elsewhere is not found, and the read then counts as a plain one.
 *
 * Thread: any. Memory: none.
 */
#ifndef CALLS_READ_CLASS_H
#define CALLS_READ_CLASS_H

#include "base/bytes.h"
#include "chroma/chroma_route.h"
#include "limits/concurrency_limit.h"

/* `body` is borrowed, and empty if it is streamed: such a read is large. */
enum concurrency_class read_class_find(enum chroma_operation operation, struct bytes body,
                                       bool is_streamed);

#endif
